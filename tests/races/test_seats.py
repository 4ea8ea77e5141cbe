"""200 clients against 50 seats: each is sold at most once, and whoever loses hears which seats are gone.

Opens with the controls: the same crowd without the guards sells seats twice, so this race is one.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from tests.support.sales import EVENT, put_on_sale
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.services.sales.domain.refusals import NotEnoughSeatsError, SeatsTakenError
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.hold_best_available import BestDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

CLIENTS, SEATS, TRIES = 200, 50, 40

CHECK = "SELECT count(*) FROM event_seats WHERE seat_id = ANY ($1::bigint[]) AND state = 'free'"
ACT = "UPDATE event_seats SET state = 'sold', order_id = $2, hold_expires_at = NULL WHERE seat_id = ANY ($1::bigint[])"
ORDER = """
INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency, hold_expires_at,
                    cancel_until, refund_percent)
VALUES ($1, $2, $3, 'confirmed', cardinality($4::bigint[]), $4, array_fill(0, ARRAY[cardinality($4)]), 0, 'USD', clock_timestamp(), clock_timestamp(), 100)
"""
TICKETS = """
INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id)
SELECT gen_random_uuid(), $1, seat_id, $2, $3, 0, 'USD', 'valid', '00' FROM unnest($4::bigint[]) s(seat_id)
"""


def wishes(seats: Sequence[SeatId], seed: int) -> list[tuple[UserId, tuple[SeatId, ...]]]:
    """Every client wants one to three seats, most of them near the front."""
    chance = random.Random(seed)
    hot = list(seats) + list(seats[:10]) * 5
    return [(UserId(uuid4()), tuple(sorted(set(chance.choices(hot, k=chance.randint(1, 3)))))) for _ in range(CLIENTS)]


async def sell_as_the_seed_does(database: Database, user: UserId, seats: Sequence[SeatId]) -> None:
    """Ask whether the seats are free; then take them: two statements, and nothing between them and the others."""
    order_id = uuid4()
    if await database.fetchval(CHECK, list(seats)) != len(seats):
        return
    async with database.transaction() as tx:
        await tx.execute(ACT, sorted(seats), order_id)
        await tx.execute(ORDER, order_id, EVENT, user, list(seats))
        await tx.execute(TICKETS, EVENT, order_id, user, list(seats))


async def patiently(act: Callable[[], Awaitable[object]]) -> object | None:
    """Try again as a client does when the answer is 503; a lost race ends the trying."""
    for _ in range(TRIES):
        try:
            return await act()
        except (DatabaseBusyError, DatabaseUnavailableError):
            await asyncio.sleep(0.05)
        except asyncpg.UniqueViolationError:
            return None
    raise AssertionError("the database stayed busy")


class TestControl:
    async def test_without_the_guards_seats_are_sold_twice(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, SEATS, price=0)
        await unguarded.fetch("DROP INDEX ticket_one_live")
        await asyncio.gather(
            *(
                patiently(lambda user=user, wanted=wanted: sell_as_the_seed_does(unguarded, user, wanted))
                for user, wanted in wishes(seats, 1)
            )
        )
        sold_twice = await unguarded.fetch(
            "SELECT seat_id FROM tickets WHERE state = 'valid' GROUP BY seat_id HAVING count(*) > 1"
        )
        assert sold_twice, "nothing collided: this crowd is no race"
        assert "one_live_ticket_a_seat" in {finding.name for finding in await audit(unguarded)}

    async def test_the_unique_index_alone_stops_the_second_ticket(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, SEATS, price=0)
        await asyncio.gather(
            *(
                patiently(lambda user=user, wanted=wanted: sell_as_the_seed_does(unguarded, user, wanted))
                for user, wanted in wishes(seats, 1)
            )
        )
        assert "one_live_ticket_a_seat" not in {finding.name for finding in await audit(unguarded)}

    async def test_a_hold_without_the_state_predicate_loses_the_first_holder(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, SEATS)
        await unguarded.fetch(
            "CREATE OR REPLACE FUNCTION is_open(state text, hold_expires_at timestamptz) RETURNS boolean"
            " LANGUAGE sql VOLATILE AS 'SELECT true'"
        )
        source = await unguarded.fetchval("SELECT pg_get_functiondef('place_hold'::regproc)")
        guard = "AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()))"
        assert guard in source
        await unguarded.fetch(source.replace(guard, ""))
        await hold_all(unguarded, seats)
        assert {"hold_has_all_its_seats", "taken_seat_is_in_its_order"} & {
            finding.name for finding in await audit(unguarded)
        }


async def hold_all(database: Database, seats: Sequence[SeatId]) -> tuple[list[OrderId], list[SeatsTakenError]]:
    """Let the crowd in; returns the orders that were placed and the refusals."""
    placed: list[OrderId] = []
    refused: list[SeatsTakenError] = []

    async def one(user: UserId, wanted: tuple[SeatId, ...]) -> None:
        try:
            body = await patiently(lambda: place_hold(database, Wish(user_id=user, event_id=EVENT, seat_ids=wanted)))
        except SeatsTakenError as refusal:
            named = {seat["ticketId"] for seat in refusal.context["taken"]}  # type: ignore[index,attr-defined]
            assert named, "a loser hears which seats are gone"
            assert named <= set(wanted)
            refused.append(refusal)
        else:
            assert isinstance(body, bytes)
            placed.append(OrderId(UUID(msgspec.json.decode(body)["bookingId"])))

    await asyncio.gather(*(one(user, wanted) for user, wanted in wishes(seats, 2)))
    return placed, refused


class TestTwoHundredAgainstFifty:
    async def test_through_the_use_case(self, database: Database) -> None:
        seats = await put_on_sale(database, SEATS)
        placed, refused = await hold_all(database, seats)
        assert len(placed) + len(refused) == CLIENTS
        assert refused, "nobody lost: this was no race"
        orders = await database.fetch("SELECT order_id, seat_ids FROM orders")
        assert {order["order_id"] for order in orders} == set(placed)
        times = Counter(seat for order in orders for seat in order["seat_ids"])
        assert set(times.values()) == {1}
        owners = await database.fetch("SELECT seat_id, order_id FROM event_seats WHERE state = 'held'")
        assert {(owner["seat_id"], owner["order_id"]) for owner in owners} == {
            (seat, order["order_id"]) for order in orders for seat in order["seat_ids"]
        }
        fences = await database.fetchval("SELECT max(fence) FROM event_seats")
        assert fences == 1, "no seat changed hands twice"

    async def test_over_http(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, SEATS)
        statuses: Counter[int] = Counter()
        sold: Counter[int] = Counter()

        async def one(user: UserId, wanted: tuple[SeatId, ...]) -> None:
            headers = apps.tokens.headers(user)
            body = {"userId": str(user), "eventId": EVENT, "ticketIds": list(wanted)}
            for _ in range(TRIES):
                answer = await apps.bookings.post("/bookings/reserve", json=body, headers=headers)
                if answer.status_code != 503:
                    break
                await asyncio.sleep(0.05)
            statuses[answer.status_code] += 1
            if answer.status_code == 201:
                sold.update(seat["ticketId"] for seat in answer.json()["reservedTickets"])
            else:
                assert answer.json()["code"] == "sales.seats_taken"
                named = {seat["ticketId"] for seat in answer.json()["taken"]}
                assert named
                assert named <= set(wanted)

        await asyncio.gather(*(one(user, wanted) for user, wanted in wishes(seats, 3)))
        assert set(statuses) == {201, 409}
        assert statuses.total() == CLIENTS
        assert set(sold.values()) == {1}
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'held'") == sold.total()

    @pytest.mark.parametrize("together", [False, True])
    async def test_best_available_never_gives_a_place_twice(self, database: Database, together: bool) -> None:  # noqa: FBT001
        await put_on_sale(database, SEATS)
        taken: Counter[int] = Counter()
        desks = [BestDesk(database) for _ in range(3)]  # as many processes

        async def one(number: int) -> None:
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=2, together=together)
            try:
                body = await patiently(lambda: desks[number % 3].place(wish))
            except NotEnoughSeatsError:
                return
            assert isinstance(body, bytes)
            taken.update(seat["ticketId"] for seat in msgspec.json.decode(body)["reservedTickets"])

        await asyncio.gather(*(one(number) for number in range(60)))
        assert set(taken.values()) == {1}
        assert taken.total() >= SEATS - 2 * len(desks)  # who was beaten six times in a row is told so


class TestContested:
    async def lock_then(self, database: Database, seats: Sequence[SeatId], *, keep_ms: int) -> None:
        """Lock seats as another hold does that then fails, and let go after a while."""
        async with database.transaction() as tx:
            await tx.fetch("SELECT 1 FROM event_seats WHERE seat_id = ANY ($1::bigint[]) FOR UPDATE", list(seats))
            self.locked.set()
            await asyncio.sleep(keep_ms / 1000)

    @pytest.fixture(autouse=True)
    def _signal(self) -> None:
        self.locked = asyncio.Event()

    async def hold_against(self, database: Database, *, keep_ms: int) -> bytes:
        seats = await put_on_sale(database, 2)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.lock_then(database, seats[:1], keep_ms=keep_ms))
            await self.locked.wait()
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))
            return await group.create_task(place_hold(database, wish))

    async def test_a_seat_that_was_only_locked_is_tried_once_more(self, database: Database) -> None:
        assert await self.hold_against(database, keep_ms=5)

    async def test_but_nobody_waits_for_it(self, database: Database) -> None:
        with pytest.RaisesGroup(SeatsTakenError):
            await self.hold_against(database, keep_ms=1500)
