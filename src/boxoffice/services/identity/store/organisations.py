"""Organisations and who belongs to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from boxoffice.kernel.ids import OrganisationId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.organisation import Role

INSERT = """
INSERT INTO organisations (organisation_id, name, slug) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING RETURNING *
"""
JOIN = "INSERT INTO memberships (organisation_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
OF_USER = """
SELECT o.*, m.role FROM memberships m JOIN organisations o USING (organisation_id)
WHERE m.user_id = $1 ORDER BY m.joined_at, o.organisation_id
"""
BY_ID_FOR_MEMBER = """
SELECT o.*, m.role FROM organisations o
LEFT JOIN memberships m ON m.organisation_id = o.organisation_id AND m.user_id = $2
WHERE o.organisation_id = $1 AND ($3 OR m.user_id IS NOT NULL)
"""
ONLY_OWNER_OF = """
SELECT o.organisation_id FROM memberships m JOIN organisations o USING (organisation_id)
WHERE m.user_id = $1 AND m.role = 'owner' AND NOT EXISTS (
  SELECT FROM memberships other
  WHERE other.organisation_id = m.organisation_id AND other.role = 'owner' AND other.user_id <> $1)
"""
OLDEST = "SELECT organisation_id FROM organisations ORDER BY created_at, organisation_id LIMIT 1"
LEAVE_ALL = "DELETE FROM memberships WHERE user_id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One organisation, and the role in it of whom it was read for (none: staff of the platform)."""

    organisation_id: OrganisationId
    name: str
    slug: str
    role: str | None
    created_at: datetime


async def insert(tx: Connection, organisation_id: UUID, name: str, slug: str) -> Organisation | None:
    """Write a new organisation; none when the slug is taken."""
    record = await tx.fetchrow(INSERT, organisation_id, name, slug)
    return _organisation(record, None) if record is not None else None


async def join(tx: Connection, organisation_id: UUID, user_id: UserId, role: Role) -> None:
    """Write a membership."""
    await tx.execute(JOIN, organisation_id, user_id, role.value)


async def of_user(connection: Connection, user_id: UUID) -> Sequence[Organisation]:
    """List the organisations of a user, oldest membership first."""
    return [_organisation(record, record["role"]) for record in await connection.fetch(OF_USER, user_id)]


async def seen_by(connection: Connection, organisation_id: UUID, user_id: UUID, *, staff: bool) -> Organisation | None:
    """Find an organisation that a user belongs to, or any for staff."""
    record = await connection.fetchrow(BY_ID_FOR_MEMBER, organisation_id, user_id, staff)
    return _organisation(record, record["role"]) if record is not None else None


async def oldest(connection: Connection) -> OrganisationId | None:
    """Find the organisation that was made first; none where there is none."""
    found = await connection.fetchval(OLDEST)
    return OrganisationId(found) if found is not None else None


async def only_owner_of(tx: Connection, user_id: UUID) -> Sequence[UUID]:
    """List the organisations that would have no owner without a user."""
    return [record["organisation_id"] for record in await tx.fetch(ONLY_OWNER_OF, user_id)]


async def leave_all(tx: Connection, user_id: UUID) -> None:
    """Delete every membership of a user."""
    await tx.execute(LEAVE_ALL, user_id)


def _organisation(record: Any, role: str | None) -> Organisation:
    return Organisation(
        organisation_id=OrganisationId(record["organisation_id"]),
        name=record["name"],
        slug=record["slug"],
        role=role,
        created_at=record["created_at"],
    )
