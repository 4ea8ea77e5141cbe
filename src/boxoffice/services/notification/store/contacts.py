"""Contacts: what identity told last of each user."""

from uuid import UUID

from boxoffice.contracts.messages.identity import UserFact
from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.notification.domain.mail_job import Contact

KEEP = """
INSERT INTO contacts (user_id, name, email, language, receive_email, receive_sms, receive_push, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (user_id) DO UPDATE
SET name = excluded.name, email = excluded.email, language = excluded.language,
    receive_email = excluded.receive_email, receive_sms = excluded.receive_sms, receive_push = excluded.receive_push,
    version = excluded.version
WHERE contacts.version < excluded.version AND contacts.erased_at IS NULL
"""
ERASE = """
INSERT INTO contacts (user_id, version, erased_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (user_id) DO UPDATE
SET name = NULL, email = NULL, language = 'en', receive_email = false, receive_sms = false, receive_push = false,
    version = excluded.version, erased_at = coalesce(contacts.erased_at, excluded.erased_at)
"""
OF_USERS = "SELECT user_id, name, email, language, receive_email, erased_at FROM contacts WHERE user_id = ANY($1)"


async def keep(tx: Connection, fact: UserFact, *, version: int) -> None:
    """Keep a contact, unless something newer is known or the user was erased."""
    await tx.execute(
        KEEP, fact.user_id, fact.name, fact.email, fact.language,
        fact.receive_email, fact.receive_sms, fact.receive_push, version,
    )  # fmt: skip


async def erase(tx: Connection, user_id: UserId, *, version: int) -> None:
    """Forget everything personal, for good."""
    await tx.execute(ERASE, user_id, version)


async def of_users(tx: Connection, user_ids: list[UUID]) -> dict[UUID, Contact]:
    """Read the contacts of some users; who is unknown is left out."""
    return {
        record["user_id"]: Contact(
            name=record["name"] or "", email=record["email"] or "", language=record["language"],
            receives_email=record["receive_email"], erased=record["erased_at"] is not None,
        )
        for record in await tx.fetch(OF_USERS, user_ids)
    }  # fmt: skip
