"""The log archive in PostgreSQL: one table, which is made when it is missing, in whichever database the URL names.

It is no service's: the archive has no migrations, and every process of the shop writes into it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from boxoffice.runtime.archive.record import LogRecord
from boxoffice.runtime.archive.seam import MOST_FOUND, Wanted
from boxoffice.runtime.database import Connection, Database

STATEMENT_TIMEOUT_MS = 10_000
"""Nobody is waiting but an operator who looks for something."""
FORGOTTEN_AT_ONCE = 5_000
LOCK = 0x0B0C_0002
"""Several processes that start at once would make the same table at once, which PostgreSQL refuses."""

PREPARE = """
CREATE TABLE IF NOT EXISTS log_records (
  record_id uuid PRIMARY KEY,
  time timestamptz NOT NULL,
  level text NOT NULL,
  service text NOT NULL,
  trace_id text NOT NULL,
  event text NOT NULL,
  fields jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS log_records_time ON log_records (time);
CREATE INDEX IF NOT EXISTS log_records_trace ON log_records (trace_id, time) WHERE trace_id <> '';
"""
EXISTS = "SELECT to_regclass('log_records_trace') IS NOT NULL"
ADD = """
INSERT INTO log_records (record_id, time, level, service, trace_id, event, fields)
SELECT record_id, time, level, service, trace_id, event, fields::jsonb
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS told (record_id, time, level, service, trace_id, event, fields)
ON CONFLICT DO NOTHING
"""
FIND = """
SELECT record_id, time, level, service, trace_id, event, fields FROM log_records
WHERE ($1 = '' OR trace_id = $1) AND ($2 = '' OR service = $2) AND level = ANY ($3::text[])
  AND ($4::timestamptz IS NULL OR time >= $4) AND ($5::timestamptz IS NULL OR time < $5)
ORDER BY time DESC, record_id DESC LIMIT $6
"""
FORGET = """
WITH old AS (
  SELECT record_id FROM log_records WHERE time < clock_timestamp() - make_interval(days => $1) ORDER BY time LIMIT $2
)
DELETE FROM log_records USING old WHERE log_records.record_id = old.record_id RETURNING 1
"""


class PostgresLogs:
    """An archive in one table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prepare(self, *, days: int) -> None:  # noqa: ARG002 - the seam's: here `forget` is told
        """Make the table and its indexes when they are missing."""
        if await self._database.fetchval(EXISTS):
            return
        async with self._database.transaction() as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await tx.execute(PREPARE)

    async def add(self, records: Sequence[LogRecord]) -> None:
        """Keep records, in one statement that waits for no disk: a crash may cost the last half second of logs."""
        async with self._database.transaction() as tx:
            await tx.execute("SET LOCAL synchronous_commit = off")
            await tx.execute(
                ADD,
                [one.record_id for one in records],
                [one.time for one in records],
                [one.level for one in records],
                [one.service for one in records],
                [one.trace_id for one in records],
                [one.event for one in records],
                [msgspec.json.encode(one.fields).decode() for one in records],
            )

    async def find(self, wanted: Wanted) -> list[LogRecord]:
        """Find the newest records that are wanted, the oldest of them first."""
        found = await self._database.fetch(
            FIND, wanted.trace_id, wanted.service, wanted.levels, wanted.since, wanted.until,
            min(wanted.limit, MOST_FOUND),
        )  # fmt: skip
        return [_record(record) for record in reversed(found)]

    async def forget(self, *, days: int) -> int:
        """Delete some of what is older; what another process deletes meanwhile counts for it."""
        async with self._database.transaction() as tx:
            return len(await _deleted(tx, days))


async def _deleted(tx: Connection, days: int) -> Sequence[Any]:
    gone: Sequence[Any] = await tx.fetch(FORGET, days, FORGOTTEN_AT_ONCE)
    return gone


def _record(record: Any) -> LogRecord:
    return LogRecord(
        record_id=record["record_id"], time=record["time"], level=record["level"], service=record["service"],
        trace_id=record["trace_id"], event=record["event"], fields=record["fields"],
    )  # fmt: skip


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[PostgresLogs]:
    """Keep an archive open."""
    async with Database.open(url, size=1, name="log archive", statement_timeout_ms=STATEMENT_TIMEOUT_MS) as database:
        yield PostgresLogs(database)
