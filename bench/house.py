"""What the sale is measured on: real engines that write through to the disk, and events with plenty of seats."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psycopg2

from boxoffice.kernel.ids import SEAT_BITS
from boxoffice.runtime import migrations
from boxoffice.runtime.embedded import postgres, valkey

PASSWORD = "of-a-throw-away-server"
SEATS = 40_000
"""Of one event: more than any contender holds in one round."""
HOUSE = 1_971
"""Seats of the house whose availability is read: those of a real concert hall."""
ENGINE = {"max_connections": "400", "min_wal_size": "1GB", "max_wal_size": "2GB"}
"""For 256 clients of pgbench, and room for the log of a round; all else is as the shop runs it, fsync included."""
LOG_FILES = 48
"""Of 16 MB, made before measuring: a new server has none to use again, and making one stops every writer for 50 ms."""

TABLES = """
SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'alembic'
"""
NEW_EVENTS = """
INSERT INTO event_terms (event_id, organisation_id, version, status, name, starts_at, ends_at, time_zone, venue_name,
  venue_location, currency, limit_per_customer, hold_seconds, cancel_until_hours, refund_percent)
SELECT e, gen_random_uuid(), 1, 'published', 'Measured', clock_timestamp() + interval '90 days',
  clock_timestamp() + interval '91 days', 'UTC', 'Hall', 'Somewhere', 'USD', 1000, 1200, 24, 100
FROM unnest($1::bigint[]) e
"""
NEW_LABELS = """
INSERT INTO event_seat_labels (event_id, seat_id, section, row_label, number, price_level)
SELECT e, (e << 20) | n, 'Stalls', (n / 50)::text, (n % 50 + 1)::text, 'Standard'
FROM unnest($1::bigint[]) e, generate_series(0, $2::int - 1) n
"""
NEW_SEATS = """
INSERT INTO event_seats (event_id, seat_id, price_minor, currency)
SELECT e, (e << 20) | n, 4950, 'USD' FROM unnest($1::bigint[]) e, generate_series(0, $2::int - 1) n
"""

NEW_AREAS = """
INSERT INTO ga_areas (event_id, area, first_place, capacity, price_minor, currency, free, n_free)
SELECT e, 'Standing', 0, $2, 4950, 'USD', int4multirange(int4range(0, $2)), $2 FROM unnest($1::bigint[]) e
"""
PLACES_GONE = """
SELECT (SELECT sum(capacity - n_free)::int FROM ga_areas), (SELECT coalesce(sum(n_seats), 0)::int FROM orders)
"""


@dataclass
class House:
    """Running engines and a migrated database of sales."""

    folder: Path
    admin_url: str
    sales_url: str
    catalog_url: str
    redis_url: str
    postmaster: int
    _last: int = 0

    async def fresh(self, *, events: int = 1, seats: int = SEATS, places: int = 0) -> list[int]:
        """Empty the sale and put new events on it, so that every round begins with the same; returns their ids.

        A checkpoint before gives the log's files back for use, so that none is made anew while measuring; a vacuum
        after does what autovacuum has done by the time that a sale opens.
        ``places``: of the one area of general admission that each has.
        """
        ids = list(range(self._last + 1, self._last + events + 1))
        self._last += events
        connection = await asyncpg.connect(self.sales_url)
        try:
            await connection.execute(f"TRUNCATE {await connection.fetchval(TABLES)}")  # names from the server's catalog
            await connection.execute("CHECKPOINT")
            await connection.execute(NEW_EVENTS, ids)
            await connection.execute(NEW_LABELS, ids, seats)
            await connection.execute(NEW_SEATS, ids, seats)
            if places:
                await connection.execute(NEW_AREAS, ids, places)
            await connection.execute("VACUUM (ANALYZE) event_terms, event_seats, event_seat_labels")
        finally:
            await connection.close()
        return ids

    async def held(self) -> int:
        """Count the seats that somebody has: what contenders say is compared with it."""
        connection = await asyncpg.connect(self.sales_url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM event_seats WHERE state <> 'free'"))
        finally:
            await connection.close()

    async def places_gone(self) -> tuple[int, int]:
        """Count the places that are not free, as the areas say and as the orders say."""
        connection = await asyncpg.connect(self.sales_url)
        try:
            gone, ordered = await connection.fetchrow(PLACES_GONE)
        finally:
            await connection.close()
        return int(gone), int(ordered)

    async def ran(self, statement: str, *values: object) -> None:
        """Run one statement on the sale."""
        connection = await asyncpg.connect(self.sales_url)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def version(self) -> str:
        connection = await asyncpg.connect(self.sales_url)
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()


def first_seat(event_id: int) -> int:
    return event_id << SEAT_BITS


@contextmanager
def running_house(extra: Mapping[str, str] | None = None) -> Iterator[House]:
    """Start PostgreSQL (fsync on) and Valkey in a folder beside the artifacts, so on a real disk; clean up after."""
    parent = Path("artifacts")
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent)).resolve()
    server = store = None
    try:
        server = postgres.start_ready(
            folder / "pg", password=PASSWORD, log=folder / "postgres.log", extra={**ENGINE, **(extra or {})}
        )
        store = valkey.start(folder / "valkey", password=PASSWORD, log=folder / "valkey.log")
        store.wait_ready()
        urls = {name: _with_database(server.admin_url, name) for name in ("sales", "catalog")}
        with closing(psycopg2.connect(server.admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE sales")
                cursor.execute("CREATE DATABASE catalog")
                for _ in range(LOG_FILES):
                    cursor.execute("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
                cursor.execute("CHECKPOINT")
        for name, url in urls.items():
            migrations.migrate(name, url)
        yield House(
            folder=folder, admin_url=server.admin_url, sales_url=urls["sales"], catalog_url=urls["catalog"],
            redis_url=store.url, postmaster=server.process.pid,
        )  # fmt: skip
    finally:
        for engine in (server, store):
            if engine is not None:
                engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
