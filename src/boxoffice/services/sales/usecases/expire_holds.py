"""End holds that ran out. Hygiene only: whoever wants such a seat takes it over without waiting for this (I6)."""

from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import HOLDS_OPEN, current_trace
from boxoffice.services.sales.store import holds

BATCH = 100
"""Orders ended in one transaction: some ten milliseconds of locks."""


async def expire_holds(database: Database) -> int:
    """End the holds that ran out longest ago, and count those that are left; returns how many ended."""
    async with database.connection() as connection:
        ended = await holds.expire(connection, most=BATCH, trace=current_trace())
        HOLDS_OPEN.set(await holds.count_open(connection))
    return ended
