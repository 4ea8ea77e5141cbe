"""Group ``growth``: the same crowd on bigger halls and on more events at once.

Of a hall, seats are asked for in their order, as whoever wants the best ones does. Over many events nothing has an
order, so the one event beside them is asked for in none either: neighbours one after the other find their pages warm,
and the ratio would tell of the order instead of the events. The big hall is asked for in no order too, to show what
that costs.
"""

from collections.abc import Callable

from bench.holds import CROWD, called
from bench.house import House
from bench.rounds import Contender, Findings, Sample, against, interleaved, ratio

ROUNDS = 5
SECONDS = 2.0
SMALL_HALL, SMALL_HALLS = 1_000, 60
"""A hall of 1,000 is sold in a blink: one after the other, so that there is something to hold for two seconds."""
BIG_HALL = 100_000
MANY, EACH = 10_000, 60
"""Events on sale at once, and the seats of each: 600,000 seats in all."""
ALONE = 60_000
UNIT = "holds/s"

Say = Callable[[str], None]
Left = Callable[[], float]


def grown(house: House, name: str, *, events: int, seats: int, pick: str, holder: str = "desk") -> Contender:
    async def measure() -> Sample:
        ids = await house.fresh(events=events, seats=seats)
        return await called(house, holder, callers=CROWD, pick=pick, events=ids, seats=seats, seconds=SECONDS)

    return Contender(name, UNIT, measure, CROWD)


async def growth(house: House, say: Say, left: Left) -> Findings:
    """Holds a second as halls grow a hundredfold and events ten-thousandfold."""
    small = grown(
        house, "our holds, halls of 1,000 seats one after the other", events=SMALL_HALLS, seats=SMALL_HALL, pick="each"
    )
    big = grown(house, "our holds, one hall of 100,000 seats", events=1, seats=BIG_HALL, pick="each")
    strewn = grown(house, "our holds, one hall of 100,000 seats, in no order", events=1, seats=BIG_HALL, pick="mixed")
    one = grown(house, "our holds, one event of 60,000 seats, in no order", events=1, seats=ALONE, pick="mixed")
    many = grown(
        house, "our holds, 10,000 events of 60 seats at once, in no order", events=MANY, seats=EACH, pick="across"
    )
    crowd = [small, big, strewn, one, many]
    await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    return Findings(
        contenders=crowd, records=[against(big, small), against(strewn, small), against(many, one)],
        keys={
            "growth_100k_seats": ratio(big, small), "growth_10k_events": ratio(many, one),
            "growth_100k_seats_in_no_order": ratio(strewn, small),
            "growth_connection_p99_ms": max(one.middle("connection_p99_ms") or 0.0 for one in crowd),
            "growth_memory_mb": max(one.middle("memory_mb") or 0.0 for one in crowd),
            "growth_server_memory_mb": max(one.middle("server_memory_mb") or 0.0 for one in crowd),
        },
    )  # fmt: skip
