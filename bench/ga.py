"""Group ``ga``: places of general admission on one hot event, against a counter that everybody has to lock."""

from collections.abc import Callable

from bench import pgbench
from bench.holds import CROWD, called
from bench.house import House
from bench.rounds import Contender, Findings, Sample, against, interleaved, ratio

ROUNDS = 3
SECONDS = 2.0
CAPACITY = 1_000_000
"""Of the area: more than anybody takes in one round."""
RUSH = 3_000
"""Of the area that is sold out within the round: sold is to be exactly this."""
CLAIMED = "our places, gathered: the claim alone"
HELD = "our holds of places, gathered, with all their records"
COUNTER = "pgbench, a counter row"
UNIT = "places/s"

Say = Callable[[str], None]
Left = Callable[[], float]


def taken(house: House, holder: str, name: str) -> Contender:
    """Take one place after another of the one area."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=0, places=CAPACITY)
        sample = await called(
            house, holder, callers=CROWD, pick="each", events=[event_id], seats=CAPACITY, seconds=SECONDS
        )
        await checked(house, CAPACITY, sample.more["all_held"])
        return sample

    return Contender(name, UNIT, measure, CROWD)


def counted(house: House) -> Contender:
    """``sold = sold + 1 where sold + 1 <= capacity`` in autocommit: no order, no limit, no message."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=0)
        await house.ran(pgbench.NEW_COUNTER, event_id, CAPACITY)
        return await pgbench.pgbench(house, pgbench.COUNTER, event_id=event_id, clients=CROWD, seconds=SECONDS)

    return Contender(COUNTER, UNIT, measure, CROWD)


def rushed(house: House) -> Contender:
    """Everybody asks on when all is gone: attempts a second, and not one place too many or too few."""

    async def measure() -> Sample:
        (event_id,) = await house.fresh(seats=0, places=RUSH)
        sample = await called(
            house, "places", callers=CROWD, pick="last", events=[event_id], seats=RUSH, seconds=SECONDS
        )
        await checked(house, RUSH, sample.more["all_held"])
        if sample.more["all_held"] != RUSH:
            raise RuntimeError(f"sold {sample.more['all_held']:.0f} of {RUSH} places while everybody wanted more")
        return sample

    return Contender(f"our holds of places, {RUSH:,} for everybody, until after the last", "attempts/s", measure, CROWD)


async def checked(house: House, capacity: int, told: float) -> None:
    """Compare what the callers were told with what the area and the orders say.

    :raises RuntimeError: when a place was lost or sold twice.
    """
    gone, ordered = await house.places_gone()
    if gone != told or gone > capacity or ordered not in {0, gone}:
        raise RuntimeError(f"told {told:.0f} places, {gone} are gone, {ordered} are in orders")


async def ga(house: House, say: Say, left: Left) -> Findings:
    """One hot event, 64 callers."""
    await pgbench.prepare(house)
    claims, holds = taken(house, "claims", CLAIMED), taken(house, "places", HELD)
    counter = counted(house)
    crowd = [claims, counter, holds]
    await interleaved(crowd, rounds=ROUNDS, say=say, left=left)
    rush = rushed(house)
    await interleaved([rush], rounds=2, say=say, left=left)
    note = (
        "The counter writes a number and nothing else, so `ga_vs_counter_row` compares it with the claim of places "
        "alone (`claim_places`); `ga_holds_vs_counter_row` is the whole hold with its key, limit, order and message. "
        "In every round the places gone are those that callers were told of; of "
        f"{RUSH:,} places wanted by everybody exactly {RUSH:,} were sold."
    )
    return Findings(
        contenders=[*crowd, rush], records=[against(claims, counter), against(holds, counter)],
        keys={"ga_vs_counter_row": ratio(claims, counter), "ga_holds_vs_counter_row": ratio(holds, counter)},
        notes=[note],
    )  # fmt: skip
