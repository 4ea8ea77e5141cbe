"""Seats that are set aside, as the hold's own statements judge them: one by one and together alike."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from tests.support.sales import EVENT, event_fact, hold, put_on_sale, rows_of_ten, run_out, set_aside

from boxoffice.kernel.ids import EventId, SeatId, UserId, place_of, seat_id
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import NotEnoughSeatsError, SeatsTakenError
from boxoffice.services.sales.store import sale_summaries
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.take_event_terms import terms_of

OTHER = EventId(8)
PLACES = 60


class TestIsOffered:
    @pytest.mark.parametrize(
        ("closed_until", "allocation", "wanted", "offered"),
        [
            (None, None, None, True), (None, None, 5, True), ("-infinity", 5, None, True), ("-infinity", 5, 6, True),
            ("infinity", 5, None, False), ("infinity", 5, 6, False), ("infinity", 5, 5, True),
            ("infinity", None, None, False), ("infinity", None, 5, False), ("-infinity", None, None, True),
        ],
    )  # fmt: skip
    async def test_is_never_unknown(
        self, database: Database, closed_until: str | None, allocation: int | None, wanted: int | None, *, offered: bool
    ) -> None:
        sql = "SELECT is_offered($1::text::timestamptz, $2::bigint, $3::bigint)"
        assert await database.fetchval(sql, closed_until, allocation, wanted) is offered

    async def test_is_inlined_into_whoever_asks(self, database: Database) -> None:
        plan = await database.fetch(
            "EXPLAIN (VERBOSE) SELECT seat_id FROM event_seats WHERE is_offered(closed_until, allocation_id, NULL)"
        )
        text = " ".join(record[0] for record in plan)
        assert "is_offered" not in text
        assert "closed_until" in text


async def wishes(event_id: EventId, allocations: Sequence[int | None], seed: int) -> list[Wish]:
    """Wishes of different customers that share no seat, for places anywhere in the house."""
    rnd = random.Random(seed)
    places = list(range(PLACES))
    rnd.shuffle(places)
    return [
        Wish(
            user_id=UserId(uuid4()), event_id=event_id, allocation_id=rnd.choice(allocations),
            seat_ids=tuple(seat_id(event_id, place) for place in places[at : at + 2]),
        )
        for at in range(0, PLACES, 2)
    ]  # fmt: skip


async def put_house_on_sale(database: Database, event_id: EventId) -> list[int | None]:
    """A third is the sponsor's, a third the artist's; of the rest ten have just been opened, and some are held."""
    seats = await put_on_sale(database, PLACES, event_id=event_id, no_single_seats=False)
    first = await set_aside(database, seats[:20], event_id=event_id)
    second = await set_aside(database, seats[20:40], event_id=event_id)
    opened = await set_aside(
        database, seats[40:50], release_at=datetime.now(UTC) + timedelta(seconds=0.3), event_id=event_id
    )
    await hold(database, seats[52:54], event_id=event_id)
    stale, _ = await hold(database, seats[54:56], event_id=event_id)
    await run_out(database, stale)
    return [None, None, first, second, opened]


def told(outcome: bytes | BaseException) -> tuple[str, tuple[int, ...]]:
    """What a customer learns: which places they hold, or which they do not get."""
    if isinstance(outcome, SeatsTakenError):
        return "taken", tuple(place_of(SeatId(entry["ticketId"])) for entry in outcome.context["taken"])  # type: ignore[attr-defined]
    assert isinstance(outcome, bytes), outcome
    return "held", tuple(place_of(seat["ticketId"]) for seat in msgspec.json.decode(outcome)["reservedTickets"])


class TestBothPaths:
    @pytest.mark.parametrize("seed", range(4))
    async def test_tell_everybody_the_same(self, database: Database, seed: int) -> None:
        allocations = [await put_house_on_sale(database, event_id) for event_id in (EVENT, OTHER)]
        await asyncio.sleep(0.35)
        alone = [
            told(outcome)
            for wish in await wishes(EVENT, allocations[0], seed)
            for outcome in await asyncio.gather(place_hold(database, wish), return_exceptions=True)
        ]
        async with HoldDesk.open(database) as desk:
            asked = await wishes(OTHER, allocations[1], seed)
            together = await asyncio.gather(*(desk.place(wish) for wish in asked), return_exceptions=True)
        assert [told(outcome) for outcome in together] == alone
        assert {kind for kind, _ in alone} == {"held", "taken"}

    async def test_refuse_a_closed_seat_beside_a_free_one_and_name_it_alone(self, database: Database) -> None:
        seats = await put_on_sale(database, 20, no_single_seats=False)
        await set_aside(database, seats[:1])
        wanted = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats[:2]))
        with pytest.raises(SeatsTakenError) as refused:
            await place_hold(database, wanted)
        assert told(refused.value) == ("taken", (0,))


class TestBestAvailable:
    async def test_takes_closed_seats_for_their_own_allocation_only(self, database: Database) -> None:
        seats = await put_on_sale(database, 20, no_single_seats=False)
        mine, _ = await set_aside(database, seats[:10]), await set_aside(database, seats[10:])
        async with HoldDesk.open(database) as desk:

            async def best(allocation: int | None) -> list[int]:
                wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=2, allocation_id=allocation)
                return list(told(await desk.place(wish))[1])

            with pytest.raises(NotEnoughSeatsError):
                await best(None)
            got = await asyncio.gather(*(best(mine) for _ in range(5)))
            with pytest.raises(NotEnoughSeatsError):
                await best(mine)
        assert sorted(place for places in got for place in places) == list(range(10))


class TestBundles:
    async def test_are_set_aside_whole(self, database: Database) -> None:
        marks = {0: "companion", 1: "wheelchair"}
        priced = [replace(seat, mark=marks.get(seat.place)) for seat in rows_of_ten(10)]
        await create_event_seats(database, terms_of(event_fact(), 1), priced)
        await set_aside(database, [seat_id(EVENT, 1)])
        aside = await database.fetchval("SELECT array_agg(seat_id & 1048575) FROM event_seats WHERE allocation_id > 0")
        assert sorted(aside) == [0, 1]


class TestSummary:
    async def test_does_not_count_closed_seats_that_nobody_has(self, database: Database) -> None:
        seats = await put_on_sale(database, 20, no_single_seats=False)
        mine = await set_aside(database, seats[:10])
        wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=(seats[0],), allocation_id=mine)
        await place_hold(database, wish)
        async with database.transaction() as tx:
            counts = await sale_summaries.count(tx, EVENT)
        assert (counts.capacity, counts.free, counts.held) == (11, 10, 1)
