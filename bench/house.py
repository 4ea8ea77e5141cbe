"""What the sale is measured on: real engines that write through to the disk, and events with plenty of seats."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
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

NEW_EVENT = """
INSERT INTO event_terms (event_id, organisation_id, version, status, name, starts_at, ends_at, time_zone, venue_name,
  venue_location, currency, limit_per_customer, hold_seconds, cancel_until_hours, refund_percent)
VALUES ($1, gen_random_uuid(), 1, 'published', 'Measured', clock_timestamp() + interval '90 days',
  clock_timestamp() + interval '91 days', 'UTC', 'Hall', 'Somewhere', 'USD', 1000, 1200, 24, 100)
"""
NEW_LABELS = """
INSERT INTO event_seat_labels (event_id, seat_id, section, row_label, number, price_level)
SELECT $1, ($1::bigint << 20) | n, 'Stalls', (n / 50)::text, (n % 50 + 1)::text, 'Standard'
FROM generate_series(0, $2::int - 1) n
"""
NEW_SEATS = """
INSERT INTO event_seats (event_id, seat_id, price_minor, currency)
SELECT $1, ($1::bigint << 20) | n, 4950, 'USD' FROM generate_series(0, $2::int - 1) n
"""


@dataclass
class House:
    """Running engines and a migrated database of sales."""

    folder: Path
    admin_url: str
    sales_url: str
    catalog_url: str
    redis_url: str
    _events: Iterator[int] = field(default_factory=lambda: count(1))

    async def new_event(self, seats: int = SEATS) -> int:
        """Put a fresh event on sale; returns its id. Its seats are numbered from ``first_seat``."""
        event_id = next(self._events)
        connection = await asyncpg.connect(self.sales_url)
        try:
            await connection.execute(NEW_EVENT, event_id)
            await connection.execute(NEW_LABELS, event_id, seats)
            await connection.execute(NEW_SEATS, event_id, seats)
            await connection.execute("ANALYZE event_seats, event_seat_labels")
        finally:
            await connection.close()
        return event_id


def first_seat(event_id: int) -> int:
    return event_id << SEAT_BITS


@contextmanager
def running_house() -> Iterator[House]:
    """Start PostgreSQL (fsync on) and Valkey in a folder beside the artifacts, so on a real disk; clean up after."""
    parent = Path("artifacts")
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent)).resolve()
    server = store = None
    try:
        server = postgres.start_ready(folder / "pg", password=PASSWORD, log=folder / "postgres.log")
        store = valkey.start(folder / "valkey", password=PASSWORD, log=folder / "valkey.log")
        store.wait_ready()
        urls = {name: _with_database(server.admin_url, name) for name in ("sales", "catalog")}
        with closing(psycopg2.connect(server.admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE sales")
                cursor.execute("CREATE DATABASE catalog")
        for name, url in urls.items():
            migrations.migrate(name, url)
        yield House(
            folder=folder, admin_url=server.admin_url, sales_url=urls["sales"], catalog_url=urls["catalog"],
            redis_url=store.url,
        )  # fmt: skip
    finally:
        for engine in (server, store):
            if engine is not None:
                engine.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
