"""Idempotency keys: the same key with the same body gives the same answer, byte for byte, and one effect (I10).

Refusals are not remembered (the transaction that held the key rolls back), so a retry after a 409 is decided anew.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import msgspec

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.database import Connection, Database

MAX_KEY_LENGTH = 200
"""Longer than any UUID or ULID that clients send; a bound for the index."""


class KeyReusedError(DomainError):
    """One key, two different requests."""

    code: ClassVar[str] = "request.idempotency_key_reused"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The Idempotency-Key was used for another request"


class BadKeyError(DomainError):
    """A key that is empty or too long."""

    code: ClassVar[str] = "request.idempotency_key_malformed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The Idempotency-Key cannot be used"


class KeyRequiredError(DomainError):
    """A path that requires a key was called without one."""

    code: ClassVar[str] = "request.idempotency_key_required"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "This call needs an Idempotency-Key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that was given before."""

    status: int
    body: bytes


class IdempotentCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who calls what with which body under which key."""

    principal: UUID
    key: str
    route: str
    fingerprint: bytes

    @classmethod
    def of(cls, *, principal: UUID, key: str | None, route: str, body: bytes) -> "IdempotentCall | None":
        """Read a call's key; none when the client sent none.

        :raises BadKeyError: when the key is empty or longer than 200 characters.
        """
        if key is None:
            return None
        if not 1 <= len(key) <= MAX_KEY_LENGTH:
            raise BadKeyError(f"Send between 1 and {MAX_KEY_LENGTH} characters, a UUID for example.")
        return cls(principal=principal, key=key, route=route, fingerprint=hashlib.sha256(body).digest())


def required(call: IdempotentCall | None) -> IdempotentCall:
    """Insist on a key.

    :raises KeyRequiredError: when the client sent none.
    """
    if call is None:
        raise KeyRequiredError("Send a new UUID as Idempotency-Key: then a repeat of the call has one effect.")
    return call


async def begin(tx: Connection, call: IdempotentCall | None) -> Answer | None:
    """Take the key inside the business transaction; the earlier answer when there is one.

    A second call with the same key waits for the first one's commit (at most the lock timeout, then 503).

    :raises KeyReusedError: when the key came with another body or on another route.
    """
    if call is None:
        return None
    taken = await tx.fetchval(
        "INSERT INTO idempotency_keys (principal, key, route, fingerprint) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        call.principal,
        call.key,
        call.route,
        call.fingerprint,
    )
    if taken:
        return None
    earlier = await tx.fetchrow(
        "SELECT route, fingerprint, status, body FROM idempotency_keys WHERE principal = $1 AND key = $2",
        call.principal,
        call.key,
    )
    if earlier["route"] != call.route or earlier["fingerprint"] != call.fingerprint:
        raise KeyReusedError("Use a new key for a new request.", idempotencyKey=call.key)
    return Answer(status=earlier["status"], body=earlier["body"])


async def finish(tx: Connection, call: IdempotentCall | None, answer: Answer) -> Answer:
    """Remember the answer in the same transaction."""
    if call is not None:
        await tx.execute(
            "UPDATE idempotency_keys SET status = $3, body = $4 WHERE principal = $1 AND key = $2",
            call.principal,
            call.key,
            answer.status,
            answer.body,
        )
    return answer


async def known(database: Database, calls: Sequence[IdempotentCall]) -> set[tuple[UUID, str]]:
    """Tell which of these calls' keys have an answer already: (principal, key)."""
    records = await database.fetch(
        "SELECT principal, key FROM idempotency_keys k"
        " JOIN unnest($1::uuid[], $2::text[]) AS asked (principal, key) USING (principal, key)",
        [call.principal for call in calls],
        [call.key for call in calls],
    )
    return {(UUID(int=record["principal"].int), record["key"]) for record in records}
