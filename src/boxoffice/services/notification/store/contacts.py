"""Contacts: what identity told last of each user."""

from uuid import UUID

from boxoffice.contracts.messages.identity import UserFact
from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.notification.domain.mail_job import Contact

KEEP = """
INSERT INTO contacts (user_id, name, email, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, email = excluded.email, version = excluded.version
WHERE contacts.version < excluded.version AND contacts.erased_at IS NULL
"""
ERASE = """
INSERT INTO contacts (user_id, version, erased_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (user_id) DO UPDATE
SET name = NULL, email = NULL, version = excluded.version, erased_at = coalesce(contacts.erased_at, excluded.erased_at)
"""
OF_USERS = "SELECT user_id, name, email, erased_at FROM contacts WHERE user_id = ANY($1)"
ERASED = "SELECT EXISTS (SELECT FROM contacts WHERE user_id = $1 AND erased_at IS NOT NULL)"
TO_ERASE = """
SELECT user_id FROM contacts WHERE erased_at IS NOT NULL AND preferences_erased_at IS NULL LIMIT $1
"""
NOTE_ERASED = "UPDATE contacts SET preferences_erased_at = clock_timestamp() WHERE user_id = ANY ($1)"


async def keep(tx: Connection, fact: UserFact, *, version: int) -> None:
    """Keep a contact, unless something newer is known or the user was erased."""
    await tx.execute(KEEP, fact.user_id, fact.name, fact.email, version)


async def erase(tx: Connection, user_id: UserId, *, version: int) -> None:
    """Forget everything personal, for good."""
    await tx.execute(ERASE, user_id, version)


async def of_users(tx: Connection, user_ids: list[UUID]) -> dict[UUID, Contact]:
    """Read the contacts of some users; who is unknown is left out."""
    return {
        record["user_id"]: Contact(
            name=record["name"] or "", email=record["email"] or "", erased=record["erased_at"] is not None,
        )
        for record in await tx.fetch(OF_USERS, user_ids)
    }  # fmt: skip


async def is_erased(tx: Connection, user_id: UserId) -> bool:
    """Whether a user is known to be gone."""
    return bool(await tx.fetchval(ERASED, user_id))


async def to_erase(tx: Connection, *, limit: int) -> list[UserId]:
    """List users who are gone while their preferences may still be there."""
    return [UserId(record["user_id"]) for record in await tx.fetch(TO_ERASE, limit)]


async def note_erased(tx: Connection, user_ids: list[UserId]) -> None:
    """Note that the preferences of these users are gone too."""
    await tx.execute(NOTE_ERASED, user_ids)
