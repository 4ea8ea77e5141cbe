"""A plan that PostgreSQL made when tables were empty serves them when they are full: by index, whatever statistics say."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from tests.support.sales import EVENT, hold, put_areas_on_sale, put_on_sale, set_aside

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.store import allocations, areas, holds
from boxoffice.services.sales.store import seats as store

EMPTY = "VACUUM (ANALYZE) orders, outbox, customer_limits, idempotency_keys"
READ = """
SELECT relname, seq_tup_read + idx_tup_fetch AS records FROM pg_stat_xact_user_tables
WHERE relname IN ('orders', 'outbox', 'customer_limits', 'idempotency_keys')
"""
READ_SEATS = """
SELECT relname, seq_tup_read + idx_tup_fetch AS records FROM pg_stat_xact_user_tables
WHERE relname IN ('event_seats', 'event_seat_labels')
"""
BY_HALF_A_KEY = """
SELECT l.* FROM event_seats s JOIN event_seat_labels l USING (event_id, seat_id) WHERE s.event_id = $1 ORDER BY s.seat_id
"""
WITH_STATISTICS = """
ALTER TABLE event_seats ALTER COLUMN event_id SET STATISTICS -1;
ALTER TABLE event_seat_labels ALTER COLUMN event_id SET STATISTICS -1;
"""
SEATS = 600
FEW = 4
MANY = 300
BATCH = 10
BATCHES = 40
MOST_READ = 5 * BATCH
"""Records of one table that a batch may read: some for each request, and by far not the whole table."""

Gather = Callable[[Connection, int], Awaitable[int]]


async def assert_reads_few_records(database: Database, gather: Gather) -> None:
    async with database.connection() as connection:
        await connection.execute(EMPTY)
        for number in range(BATCHES):
            assert await gather(connection, number) == BATCH
        async with connection.transaction():
            assert await gather(connection, BATCHES) == BATCH
            read = dict(await connection.fetch(READ))
    assert read
    assert max(read.values()) <= MOST_READ, read


async def test_gathered_holds(database: Database) -> None:
    seats = await put_on_sale(database, BATCH * (BATCHES + 1))

    async def gather(connection: Connection, number: int) -> int:
        asked = [
            holds.Asked(
                user_id=UserId(uuid4()), event_id=EventId(EVENT), seat_ids=(seat,), order_id=OrderId(uuid7()),
                key=f"key-{seat}", fingerprint=b"f" * 32, trace=None,
            )
            for seat in seats[number * BATCH : (number + 1) * BATCH]
        ]  # fmt: skip
        verdicts = await holds.gather(connection, asked, route="reserve")
        return sum(verdict.kind == "placed" for verdict in verdicts.values())

    await assert_reads_few_records(database, gather)


async def test_gathered_places(database: Database) -> None:
    await put_areas_on_sale(database, {"Standing": BATCH * (BATCHES + 1)})

    async def gather(connection: Connection, number: int) -> int:
        asked = [
            areas.Asked(
                user_id=UserId(uuid4()), event_id=EventId(EVENT), area=None, places=1, order_id=OrderId(uuid7()),
                key=f"key-{number}-{one}", fingerprint=b"f" * 32, trace=None,
            )
            for one in range(BATCH)
        ]  # fmt: skip
        verdicts = await areas.gather(connection, asked, route="reserve")
        return sum(kind == "placed" for kind, _ in verdicts.values())

    await assert_reads_few_records(database, gather)


class TestNewerThanItsStatistics:
    """Of an event that came after the last ANALYZE the planner may expect one seat, and go round in circles for it."""

    @pytest.fixture
    async def seats(self, database: Database) -> list[SeatId]:
        return await self.put_on_sale_late(database)

    @pytest.fixture
    async def seats_of_a_stranger(self, database: Database) -> list[SeatId]:
        """Keep statistics of the events, as it was before 0016."""
        async with database.connection() as connection:
            await connection.execute(WITH_STATISTICS)
        return await self.put_on_sale_late(database)

    async def put_on_sale_late(self, database: Database) -> list[SeatId]:
        await put_on_sale(database, SEATS, event_id=EVENT + 1)
        await database.fetch("ANALYZE event_seats, event_seat_labels")
        return await put_on_sale(database, SEATS)

    async def read(self, database: Database, sql: str, *arguments: object) -> tuple[int, int]:
        """Run a statement and undo it; gives the records that it found, and the most that it read of one table."""
        async with database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            before = dict(await connection.fetch(READ_SEATS))
            found = await connection.fetch(sql, *arguments)
            read = dict(await connection.fetch(READ_SEATS))
            await transaction.rollback()
        return len(found), max(count - before[table] for table, count in read.items())

    async def read_by_each(self, database: Database, seats: list[SeatId]) -> list[int]:
        """Sell, free and set seats aside; gives how many records each of the statements read of a table at most."""
        order, others = seats[:FEW], seats[FEW : FEW + MANY]
        order_id, _ = await hold(database, order)
        asked: list[tuple[str, list[SeatId], tuple[object, ...]]] = [
            (store.SELL, order, (order_id, "held")),
            (store.FREE, order, (order_id, "held")),
            (allocations.SET_ASIDE, others, (1, None)),
            (allocations.NOT_SET_ASIDE, others, (1,)),
        ]
        return [(await self.read(database, sql, EVENT, ids, *more))[1] for sql, ids, more in asked]

    async def test_seats_are_read_by_their_whole_key(self, database: Database, seats: list[SeatId]) -> None:
        assert max(await self.read_by_each(database, seats)) <= 2 * SEATS  # a hall once; not for each seat

    async def test_with_statistics_of_events_many_are_read_for_every_seat(
        self, database: Database, seats_of_a_stranger: list[SeatId]
    ) -> None:
        assert max(await self.read_by_each(database, seats_of_a_stranger)) > 10 * SEATS

    async def test_a_list_reads_each_label_once(self, database: Database, seats: list[SeatId]) -> None:
        assert await self.read(database, store.LISTED_EVENT, EVENT) == (len(seats), len(seats))

    async def test_and_does_so_whatever_statistics_say(
        self, database: Database, seats_of_a_stranger: list[SeatId]
    ) -> None:
        all_of_them = len(seats_of_a_stranger)
        assert await self.read(database, store.LISTED_EVENT, EVENT) == (all_of_them, all_of_them)
        _, read = await self.read(database, BY_HALF_A_KEY, EVENT)
        assert read > 100 * SEATS

    async def test_parts_of_allocations_read_each_label_once(
        self, database: Database, seats_of_a_stranger: list[SeatId]
    ) -> None:
        kept = await set_aside(database, seats_of_a_stranger)
        found, read = await self.read(database, allocations.PARTS, EVENT, [kept])
        assert found > 0
        assert read <= SEATS
