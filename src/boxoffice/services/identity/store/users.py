"""Accounts: one per e-mail address, by the unique key; an erased one keeps only its id."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.account import Person, State

INSERT = """
INSERT INTO users (user_id, state, email, email_key, name, phone, password_hash, staff_roles, verified_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $2 = 'verified' THEN clock_timestamp() END)
ON CONFLICT (email_key) DO NOTHING
RETURNING *
"""
BY_EMAIL = "SELECT * FROM users WHERE email_key = $1"
BY_ID = "SELECT * FROM users WHERE user_id = $1"
LOCK = "SELECT * FROM users WHERE user_id = $1 FOR UPDATE"
CHANGE = """
UPDATE users SET name = $2, phone = $3, version = version + 1 WHERE user_id = $1 AND state <> 'erased' RETURNING *
"""
VERIFY = """
UPDATE users SET state = $2, verified_at = coalesce(verified_at, clock_timestamp()), version = version + 1
WHERE user_id = $1 RETURNING *
"""
SET_PASSWORD = "UPDATE users SET password_hash = $2 WHERE user_id = $1 AND state <> 'erased'"  # noqa: S105 - SQL
# Compare and set: a password that was changed meanwhile must not be undone by renewing the hash of the old one.
RENEW_HASH = "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2"
GRANT = """
UPDATE users SET staff_roles = (SELECT array_agg(DISTINCT role) FROM unnest(staff_roles || $2::text[]) AS role)
WHERE user_id = $1
"""
ERASE = """
UPDATE users SET state = $2, email = NULL, email_key = NULL, name = NULL, phone = NULL, password_hash = NULL,
  staff_roles = '{}', receive_email = false, receive_sms = false, receive_push = false, preferred_language = 'en',
  erased_at = clock_timestamp(), version = version + 1
WHERE user_id = $1 RETURNING *
"""
FORGET_MESSAGES = """
DELETE FROM outbox WHERE topic IN ('identity.user.v1', 'identity.mail.v1') AND key = $1
"""
FORGET_ANSWERS = "DELETE FROM idempotency_keys WHERE principal = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account as it is stored; the personal fields of an erased one are empty."""

    user_id: UserId
    state: State
    email: str
    name: str
    phone: str | None
    password_hash: str | None
    staff_roles: tuple[str, ...]
    version: int
    created_at: datetime


def account(record: Any) -> Account:
    """Read an account from a record."""
    return Account(
        user_id=UserId(record["user_id"]),
        state=State(record["state"]),
        email=record["email"] or "",
        name=record["name"] or "",
        phone=record["phone"],
        password_hash=record["password_hash"],
        staff_roles=tuple(record["staff_roles"]),
        version=record["version"],
        created_at=record["created_at"],
    )


async def insert(
    tx: Connection, user_id: UUID, person: Person, *, state: State, password_hash: str, staff_roles: Iterable[str] = ()
) -> Account | None:
    """Write a new account; none when the address has one."""
    return _maybe(
        await tx.fetchrow(
            INSERT, user_id, state.value, person.email, person.email_key, person.name, person.phone, password_hash,
            list(staff_roles),
        )
    )  # fmt: skip


async def by_email(connection: Connection, email_key: str) -> Account | None:
    """Find the account of an address."""
    return _maybe(await connection.fetchrow(BY_EMAIL, email_key))


async def by_id(connection: Connection, user_id: UUID) -> Account | None:
    """Find an account, erased ones too."""
    return _maybe(await connection.fetchrow(BY_ID, user_id))


async def lock(tx: Connection, user_id: UUID) -> Account | None:
    """Find an account and keep it from changing until the transaction ends."""
    return _maybe(await tx.fetchrow(LOCK, user_id))


async def change(tx: Connection, user_id: UUID, *, name: str, phone: str | None) -> Account | None:
    """Write name and phone; none when the account is gone."""
    return _maybe(await tx.fetchrow(CHANGE, user_id, name, phone))


async def verify(tx: Connection, user_id: UUID, state: State) -> Account:
    """Write that the address is verified; the account must be locked."""
    return account(await tx.fetchrow(VERIFY, user_id, state.value))


async def set_password(tx: Connection, user_id: UUID, password_hash: str) -> None:
    """Write a new password's hash."""
    await tx.execute(SET_PASSWORD, user_id, password_hash)


async def renew_hash(connection: Connection, user_id: UUID, *, old: str, new: str) -> None:
    """Replace a hash by one of the same password with today's parameters."""
    await connection.execute(RENEW_HASH, user_id, old, new)


async def grant(tx: Connection, user_id: UUID, roles: Iterable[str]) -> None:
    """Add staff roles."""
    await tx.execute(GRANT, user_id, list(roles))


async def erase(tx: Connection, user_id: UUID, state: State, *, principals: Iterable[UUID]) -> Account:
    """Blank the account, its messages that still lie in the outbox, and remembered answers of these principals."""
    erased = account(await tx.fetchrow(ERASE, user_id, state.value))
    await tx.execute(FORGET_MESSAGES, str(user_id))
    await tx.execute(FORGET_ANSWERS, list(principals))
    return erased


def _maybe(record: object) -> Account | None:
    return account(cast("Any", record)) if record is not None else None
