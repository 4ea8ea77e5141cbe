"""One-time links and the wishes for them. Using one is a compare-and-set, so that it works once."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.identity.domain.link import Purpose

WITHDRAW = "UPDATE one_time_links SET state = 'withdrawn' WHERE user_id = $1 AND purpose = $2 AND state = 'issued'"
ISSUE = """
INSERT INTO one_time_links (token_hash, user_id, purpose, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(mins => $4)) RETURNING link_number
"""
USE = """
UPDATE one_time_links SET state = 'used', used_at = clock_timestamp()
WHERE token_hash = $1 AND purpose = $2 AND state = 'issued' AND expires_at > clock_timestamp()
RETURNING user_id
"""
WAS_USED = """
SELECT user_id FROM one_time_links WHERE token_hash = $1 AND purpose = $2 AND state = 'used'
"""
OPEN_FOR = """
SELECT u.user_id FROM one_time_links l JOIN users u USING (user_id)
WHERE l.token_hash = $1 AND l.purpose = $2 AND l.state = 'issued' AND l.expires_at > clock_timestamp()
"""
RECENT = """
SELECT EXISTS (SELECT FROM one_time_links WHERE user_id = $1 AND purpose = $2
  AND issued_at > clock_timestamp() - make_interval(secs => $3))
"""
ASK = "INSERT INTO reset_requests (email_key) VALUES ($1) ON CONFLICT DO NOTHING"
TAKE_ASKED = """
DELETE FROM reset_requests WHERE email_key IN (
  SELECT email_key FROM reset_requests ORDER BY requested_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING email_key
"""
ERASE = "DELETE FROM one_time_links WHERE user_id = $1"
FORGET_OLD = """
DELETE FROM one_time_links WHERE token_hash IN (
  SELECT token_hash FROM one_time_links WHERE expires_at < clock_timestamp() - make_interval(days => $1) LIMIT $2)
"""


async def issue(tx: Connection, token_hash: bytes, user_id: UUID, purpose: Purpose, *, life_minutes: int) -> int:
    """Write a new link and withdraw the older ones of its purpose; returns its number."""
    await tx.execute(WITHDRAW, user_id, purpose.value)
    return int(await tx.fetchval(ISSUE, token_hash, user_id, purpose.value, life_minutes))


async def use(tx: Connection, token_hash: bytes, purpose: Purpose) -> UserId | None:
    """Use a link up; none when it works no more."""
    found = await tx.fetchval(USE, token_hash, purpose.value)
    return UserId(found) if found is not None else None


async def was_used(tx: Connection, token_hash: bytes, purpose: Purpose) -> UserId | None:
    """Tell whose link was used before."""
    found = await tx.fetchval(WAS_USED, token_hash, purpose.value)
    return UserId(found) if found is not None else None


async def open_for(connection: Connection, token_hash: bytes, purpose: Purpose) -> UserId | None:
    """Tell whose link would work now, without using it."""
    found = await connection.fetchval(OPEN_FOR, token_hash, purpose.value)
    return UserId(found) if found is not None else None


async def issued_within(connection: Connection, user_id: UUID, purpose: Purpose, *, seconds: int) -> bool:
    """Tell whether a link of that purpose was issued in the last so many seconds."""
    return bool(await connection.fetchval(RECENT, user_id, purpose.value, seconds))


async def ask(connection: Connection, email_key: str) -> None:
    """Note that somebody forgot the password of an address."""
    await connection.execute(ASK, email_key)


async def take_asked(tx: Connection, *, at_most: int) -> Sequence[str]:
    """Take the oldest wishes; they are gone when the transaction commits."""
    return [record["email_key"] for record in await tx.fetch(TAKE_ASKED, at_most)]


async def erase(tx: Connection, user_id: UUID) -> None:
    """Delete a user's links."""
    await tx.execute(ERASE, user_id)


async def forget_old(connection: Connection, *, days: int, at_most: int) -> int:
    """Delete links that expired more than so many days ago; returns how many."""
    return int((await connection.execute(FORGET_OLD, days, at_most)).split()[-1])
