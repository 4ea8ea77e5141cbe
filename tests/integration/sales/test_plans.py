"""A plan that PostgreSQL made when tables were empty serves them when they are full: by index, whatever statistics say."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from tests.support.sales import EVENT, put_areas_on_sale, put_on_sale, set_aside

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
    """Of an event that came after the last ANALYZE the planner expects one seat, and may go round in circles for it."""

    @pytest.fixture
    async def seats(self, database: Database) -> list[SeatId]:
        await put_on_sale(database, 600, event_id=EVENT + 1)
        await database.fetch("ANALYZE event_seats, event_seat_labels")
        return await put_on_sale(database, 600)

    async def read(self, connection: Connection, sql: str, *arguments: object) -> tuple[int, int]:
        """Run a statement; gives the records that it found, and the most that it read of one of the tables."""
        async with connection.transaction():
            before = dict(await connection.fetch(READ_SEATS))
            found = await connection.fetch(sql, *arguments)
            read = dict(await connection.fetch(READ_SEATS))
        return len(found), max(count - before[table] for table, count in read.items())

    async def test_a_list_reads_each_label_once(self, database: Database, seats: list[SeatId]) -> None:
        async with database.connection() as connection:
            assert await self.read(connection, store.LISTED_EVENT, EVENT) == (len(seats), len(seats))

    async def test_without_the_whole_key_it_reads_them_for_every_seat(
        self, database: Database, seats: list[SeatId]
    ) -> None:
        async with database.connection() as connection:
            found, read = await self.read(connection, BY_HALF_A_KEY, EVENT)
        assert found == len(seats)
        assert read > 100 * len(seats)

    async def test_parts_of_allocations_read_each_label_once(self, database: Database, seats: list[SeatId]) -> None:
        kept = await set_aside(database, seats)
        async with database.connection() as connection:
            found, read = await self.read(connection, allocations.PARTS, EVENT, [kept])
        assert found > 0
        assert read <= len(seats)
