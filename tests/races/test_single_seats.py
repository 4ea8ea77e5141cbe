"""The no-orphan rule on the real database: the hold's own statement says what trying every choice says, and no two holds
together strand a seat that neither may strand alone.

Opens with the control: without the lock on the neighbours they do.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from tests.support.best_reference import House, Seat
from tests.support.sales import EVENT, hold, put_on_sale, run_out

from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import SeatsTakenError, SingleSeatLeftError
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import give_back_hold

PLACES, ROW = 40, 10
WITHOUT_LOCK = """
CREATE OR REPLACE FUNCTION stranded_seats(p_req int[], p_seat bigint[], p_allocation bigint[])
RETURNS TABLE (req int, seat_id bigint, undecided boolean, contested boolean) LANGUAGE sql AS $$
  SELECT w.req, n.id, false, false FROM unnest(p_req, p_seat) w(req, id)
    JOIN event_seat_labels l ON l.seat_id = w.id
    CROSS JOIN LATERAL (VALUES (l.left_id), (l.right_id)) n(id)
    JOIN event_seats s ON s.seat_id = n.id AND s.state = 'free' JOIN event_seat_labels m ON m.seat_id = n.id
   WHERE NOT EXISTS (SELECT 1 FROM event_seats o WHERE o.seat_id IN (m.left_id, m.right_id) AND o.state = 'free')
$$
"""


def reference() -> House:
    """The rows of ten of ``put_on_sale``."""
    return House([Seat("Stalls", str(place // ROW), 0, place % ROW, None, None, 0, 0) for place in range(PLACES)])


def wish(seats: Sequence[SeatId]) -> Wish:
    return Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))


async def open_places(database: Database) -> set[int]:
    records = await database.fetch(
        "SELECT seat_id & 1048575 AS place FROM event_seats"
        " WHERE event_id = $1 AND (state = 'free' OR hold_expires_at <= clock_timestamp())",
        EVENT,
    )
    return {record["place"] for record in records}


def lonely_places(open_seats: set[int]) -> set[int]:
    house = reference()
    return {place for place in open_seats if house.island(place, open_seats) == [place]}


class TestControl:
    async def test_without_the_lock_two_holds_strand_a_seat_together(self, database: Database) -> None:
        # Two transactions, both at the point where they have judged and not yet committed.
        seats = await put_on_sale(database, ROW, no_single_seats=True)
        async with database.transaction() as tx:
            await tx.execute(WITHOUT_LOCK)
        async with database.transaction() as one, database.transaction() as other:
            for tx, wanted in ((one, seats[3:5]), (other, seats[6:8])):
                await tx.fetchval(
                    "SELECT place_hold($1, $2, $3, NULL, NULL, false, $4, NULL, NULL, NULL, NULL, $5, NULL)",
                    uuid4(), EVENT, wanted, uuid4(), uuid4(),
                )  # fmt: skip
        assert 5 in lonely_places(await open_places(database))


class TestTwoAtOnce:
    async def test_the_second_hold_cannot_be_judged_before_the_first_is_over(self, database: Database) -> None:
        seats = await put_on_sale(database, ROW, no_single_seats=True)
        sql = "SELECT place_hold($1, $2, $3, NULL, NULL, false, $4, NULL, NULL, NULL, NULL, $5, NULL)"
        async with database.transaction() as one:
            await one.fetchval(sql, uuid4(), EVENT, seats[3:5], uuid4(), uuid4())
            with pytest.raises(asyncpg.PostgresError) as refused:
                async with database.transaction() as other:
                    await other.fetchval(sql, uuid4(), EVENT, seats[6:8], uuid4(), uuid4())
            assert refused.value.sqlstate == "BX004"
            assert msgspec.json.decode(refused.value.detail or "")["contested"] is True
        with pytest.raises(SingleSeatLeftError):
            await place_hold(database, wish(seats[6:8]))

    async def test_neighbours_that_do_not_depend_on_each_other_are_both_placed(self, database: Database) -> None:
        # To the left of the second there is nothing that it could leave alone, however the first ends.
        seats = await put_on_sale(database, ROW, no_single_seats=True)
        await hold(database, seats[6:])
        sql = "SELECT place_hold($1, $2, $3, NULL, NULL, false, $4, NULL, NULL, NULL, NULL, $5, NULL)"
        async with database.transaction() as one, database.transaction() as other:
            await one.fetchval(sql, uuid4(), EVENT, seats[:2], uuid4(), uuid4())
            await other.fetchval(sql, uuid4(), EVENT, seats[4:6], uuid4(), uuid4())

    @pytest.mark.parametrize("desks", [0, 1, 2])
    async def test_a_crowd_never_strands_a_seat(self, database: Database, desks: int) -> None:
        # What was placed in a row is right if it is within the rule in some order, one after the other.
        seats = await put_on_sale(database, PLACES, no_single_seats=True)
        rnd = random.Random(desks)
        told: Counter[str] = Counter()
        placed: dict[int, list[set[int]]] = {row: [] for row in range(PLACES // ROW)}
        opened = [HoldDesk(database) for _ in range(desks)]

        async def one(number: int) -> None:
            first = rnd.randrange(PLACES - 1)
            if first % ROW == ROW - 1:
                first -= 1
            wanted = wish(seats[first : first + 2])
            try:
                await (opened[number % desks].place(wanted) if desks else place_hold(database, wanted))
                told["placed"] += 1
                placed[first // ROW].append({first % ROW, first % ROW + 1})
            except SingleSeatLeftError:
                told["single"] += 1
            except SeatsTakenError:
                told["taken"] += 1

        for _ in range(5):
            await asyncio.gather(*(one(number) for number in range(60)))
        for parts in placed.values():
            assert any(allowed(list(order)) for order in permutations(parts)), parts
        assert told["placed"] >= PLACES // ROW
        assert told["single"] + told["taken"] > 0, told


class TestHistories:
    @pytest.mark.parametrize("through", ["one by one", "a desk"])
    @pytest.mark.parametrize("seed", range(3))
    async def test_every_refusal_is_what_trying_everything_says(
        self, database: Database, seed: int, through: str
    ) -> None:
        seats = await put_on_sale(database, PLACES, no_single_seats=True, limit_per_customer=8)
        house, rnd = reference(), random.Random(seed)
        orders: list[tuple[OrderId, UserId]] = []
        seen: Counter[str] = Counter()
        desk = HoldDesk(database)
        for _ in range(120):
            open_seats = await open_places(database)
            if orders and (rnd.random() < 0.3 or len(open_seats) < 8):
                order_id, owner = orders.pop(rnd.randrange(len(orders)))
                if rnd.random() < 0.5:
                    await run_out(database, order_id)
                else:
                    async with database.transaction() as tx:
                        await give_back_hold(tx, order_id=order_id, user_id=owner)
                continue
            taken = set(rnd.sample(sorted(open_seats), rnd.choice([1, 1, 2, 3, 5])))
            if rnd.random() < 0.6:  # mostly side by side, as people choose
                first = rnd.choice(sorted(open_seats))
                taken = {place for place in range(first, first + rnd.randint(1, 4)) if place in open_seats}
            stranded = house.stranded(open_seats, taken)
            wanted = wish([seats[place] for place in sorted(taken)])
            try:
                body = await (desk.place(wanted) if through == "a desk" else place_hold(database, wanted))
            except SingleSeatLeftError as refusal:
                named = {entry["ticketId"] & 1048575 for entry in refusal.context["single"]}
                assert named == stranded, (taken, open_seats)
                seen["refused"] += 1
            else:
                assert not stranded, (taken, open_seats)
                orders.append((OrderId(UUID(msgspec.json.decode(body)["bookingId"])), wanted.user_id))
                seen["placed"] += 1
        assert seen["refused"] >= 5
        assert seen["placed"] >= 20

    @pytest.mark.parametrize("seed", range(4))
    async def test_what_is_decided_together_is_what_some_order_of_it_allows(
        self, database: Database, seed: int
    ) -> None:
        # Requests that share no seat, gathered: each that was placed left nothing alone in the order of the orders' ids,
        # or in some order; with so few, every order is tried.
        seats = await put_on_sale(database, ROW, no_single_seats=True)
        rnd = random.Random(seed)
        cuts = sorted(rnd.sample(range(1, ROW), 4))
        parts = [list(range(a, b)) for a, b in zip([0, *cuts], [*cuts, ROW], strict=True)]
        chosen = rnd.sample(parts, 3)
        desk = HoldDesk(database)
        results = await asyncio.gather(
            *(desk.place(wish([seats[place] for place in part])) for part in chosen), return_exceptions=True
        )
        placed = [set(part) for part, result in zip(chosen, results, strict=True) if isinstance(result, bytes)]
        assert all(isinstance(result, bytes | SingleSeatLeftError) for result in results), results
        assert any(allowed(list(order)) for order in permutations(placed))


def allowed(parts: list[set[int]]) -> bool:
    """Whether these requests, one after the other, are all within the rule in a row of ten."""
    house, open_seats = reference(), set(range(ROW))
    for part in parts:
        if house.stranded(open_seats, part):
            return False
        open_seats -= part
    return True
