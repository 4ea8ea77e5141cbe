"""End holds that ran out. Hygiene only: whoever wants such a seat takes it over without waiting for this (I6)."""

from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import current_trace
from boxoffice.services.sales.store import holds

BATCH = 100
"""Orders ended in one transaction: some ten milliseconds of locks."""


async def expire_holds(database: Database) -> int:
    """End the holds that ran out longest ago; returns how many."""
    async with database.connection() as connection:
        return await holds.expire(connection, most=BATCH, trace=current_trace())
