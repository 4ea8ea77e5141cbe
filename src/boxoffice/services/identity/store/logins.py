"""Logins and their refresh tokens. A login has at most one current token, by a partial unique index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.login import State

BEGIN = """
INSERT INTO logins (login_id, user_id, idle_until, absolute_until)
VALUES ($1, $2, clock_timestamp() + make_interval(days => $3), clock_timestamp() + make_interval(days => $4))
"""
ADD_TOKEN = "INSERT INTO refresh_tokens (token_hash, login_id) VALUES ($1, $2)"  # noqa: S105 - SQL
# Locks the login: of several uses of its tokens one at a time is judged, also of two different tokens.
PRESENT = """
SELECT l.login_id, l.user_id, l.state AS login,
  least(l.idle_until, l.absolute_until) <= clock_timestamp() AS expired
FROM refresh_tokens t JOIN logins l USING (login_id)
WHERE t.token_hash = $1 FOR UPDATE OF l
"""
# Read after the lock, in a statement of its own: joined above it would be the token of before the wait.
SPENT = """
SELECT state = 'rotated' AS rotated, rotated_by_key, sealed_successor,
  coalesce(extract(epoch FROM clock_timestamp() - rotated_at), 0)::float8 AS seconds_since_rotation
FROM refresh_tokens WHERE token_hash = $1
"""
ROTATE = """
UPDATE refresh_tokens SET state = 'rotated', rotated_at = clock_timestamp(), rotated_by_key = $2, sealed_successor = $3
WHERE token_hash = $1 AND state = 'current'
"""
STAY = "UPDATE logins SET idle_until = clock_timestamp() + make_interval(days => $2) WHERE login_id = $1"
CLOSE = """
UPDATE logins SET state = $2, closed_at = clock_timestamp(), closed_because = $3 WHERE login_id = $1 AND state = 'open'
"""
CLOSE_ALL = """
UPDATE logins SET state = $2, closed_at = clock_timestamp(), closed_because = $3 WHERE user_id = $1 AND state = 'open'
"""
OF_USER = """
SELECT begun_at, state, closed_at, closed_because FROM logins WHERE user_id = $1 ORDER BY begun_at DESC LIMIT 1000
"""
ERASE = "DELETE FROM logins WHERE user_id = $1"
FORGET_OLD = """
DELETE FROM logins WHERE login_id IN (
  SELECT login_id FROM logins WHERE idle_until < clock_timestamp() - make_interval(days => $1) LIMIT $2)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A presented token and its login."""

    login_id: UUID
    user_id: UserId
    login: State
    expired: bool
    rotated: bool
    rotated_by_key: str | None
    sealed_successor: bytes | None
    seconds_since_rotation: float


async def begin(tx: Connection, login_id: UUID, user_id: UUID, *, idle_days: int, absolute_days: int) -> None:
    """Write a new login."""
    await tx.execute(BEGIN, login_id, user_id, idle_days, absolute_days)


async def add_token(tx: Connection, login_id: UUID, token_hash: bytes) -> None:
    """Write a login's new current token."""
    await tx.execute(ADD_TOKEN, token_hash, login_id)


async def present(tx: Connection, token_hash: bytes) -> Presented | None:
    """Find a token and lock its login."""
    login: Any = await tx.fetchrow(PRESENT, token_hash)
    if login is None:
        return None
    token = await tx.fetchrow(SPENT, token_hash)
    return Presented(
        login_id=login["login_id"],
        user_id=UserId(login["user_id"]),
        login=State(login["login"]),
        expired=login["expired"],
        rotated=token["rotated"],
        rotated_by_key=token["rotated_by_key"],
        sealed_successor=token["sealed_successor"],
        seconds_since_rotation=token["seconds_since_rotation"],
    )


async def rotate(tx: Connection, token_hash: bytes, *, key: str | None, sealed_successor: bytes) -> bool:
    """Spend a current token; false when it was spent already."""
    return bool(await tx.execute(ROTATE, token_hash, key, sealed_successor) == "UPDATE 1")


async def stay(tx: Connection, login_id: UUID, *, idle_days: int) -> None:
    """Note that a login was active."""
    await tx.execute(STAY, login_id, idle_days)


async def close(tx: Connection, login_id: UUID, state: State, *, because: str) -> None:
    """End or revoke one open login."""
    await tx.execute(CLOSE, login_id, state.value, because)


async def close_all(tx: Connection, user_id: UUID, state: State, *, because: str) -> None:
    """End or revoke every open login of a user."""
    await tx.execute(CLOSE_ALL, user_id, state.value, because)


async def of_user(connection: Connection, user_id: UUID) -> Sequence[tuple[datetime, str, datetime | None]]:
    """List a user's logins, newest first: begun, state, closed."""
    records = await connection.fetch(OF_USER, user_id)
    return [(record["begun_at"], record["state"], record["closed_at"]) for record in records]


async def erase(tx: Connection, user_id: UUID) -> None:
    """Delete a user's logins and their tokens."""
    await tx.execute(ERASE, user_id)


async def forget_old(connection: Connection, *, days: int, at_most: int) -> int:
    """Delete logins that ended more than so many days ago; returns how many."""
    return int((await connection.execute(FORGET_OLD, days, at_most)).split()[-1])
