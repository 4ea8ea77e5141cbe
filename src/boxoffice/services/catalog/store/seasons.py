"""How far a season was shifted when it was staged, and the lock that lets an organisation import once at a time."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from boxoffice.runtime.database import Connection

# The import of an organisation is a singleton: two at once would both find a concert missing and make it twice.
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('import_concerts:' || $1::uuid::text, 0))"
SHIFTS = """
SELECT season, shift_weeks FROM staged_seasons WHERE organisation_id = $1 AND last_starts_at > clock_timestamp()
"""
REMEMBER = """
INSERT INTO staged_seasons AS s (organisation_id, season, shift_weeks, last_starts_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (organisation_id, season) DO UPDATE SET shift_weeks = EXCLUDED.shift_weeks,
  last_starts_at = CASE s.shift_weeks WHEN EXCLUDED.shift_weeks THEN greatest(s.last_starts_at, EXCLUDED.last_starts_at)
    ELSE EXCLUDED.last_starts_at END
"""
NOW = "SELECT clock_timestamp()"


async def import_alone(tx: Connection, organisation: UUID) -> None:
    """Wait for another import of the organisation to end."""
    await tx.execute(ALONE, organisation)


async def shifts_in_use(tx: Connection, organisation: UUID) -> dict[str, int]:
    """Tell by how many weeks the seasons were shifted that are not over yet."""
    return {record["season"]: record["shift_weeks"] for record in await tx.fetch(SHIFTS, organisation)}


async def remember(tx: Connection, organisation: UUID, last: Mapping[str, tuple[int, datetime]]) -> None:
    """Remember each season's shift in weeks and the start of its last concert."""
    for season, (shift_weeks, starts_at) in last.items():
        await tx.execute(REMEMBER, organisation, season, shift_weeks, starts_at)


async def now(tx: Connection) -> datetime:
    """Read the database's clock."""
    moment: datetime = await tx.fetchval(NOW)
    return moment
