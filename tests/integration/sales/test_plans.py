"""A plan that PostgreSQL made when tables were empty serves them when they are full: by index, whatever statistics say."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

from tests.support.sales import EVENT, put_areas_on_sale, put_on_sale

from boxoffice.kernel.ids import EventId, OrderId, UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.store import areas, holds

EMPTY = "VACUUM (ANALYZE) orders, outbox, customer_limits, idempotency_keys"
READ = """
SELECT relname, seq_tup_read + idx_tup_fetch AS records FROM pg_stat_xact_user_tables
WHERE relname IN ('orders', 'outbox', 'customer_limits', 'idempotency_keys')
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
