"""Answers kept in Valkey until a message changes the index: for a crowd that asks the same, over several processes.

Each kept answer carries the epoch in which it was made, and whoever changes the index begins a new epoch after the
change can be found: one write drops every answer, and one that was made meanwhile belongs to an epoch that is over.
Nothing here is a promise. While the server is away, or slow, questions go to the engine as if there were no cache.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from boxoffice.runtime.gathering import Gathering, Waiting
from boxoffice.runtime.telemetry import log

LIFE_MS = 30_000
"""At most, for the case that a change could not be told."""
ANSWER_S = 0.25
"""A cache that answers later is worth less than the engine."""
CONNECTIONS = 8
MOST_TOGETHER = 128
"""Questions of one request to the server: 128 pages are some 2 MB."""
AWAY_S = 1.0
"""After a failure the server is left alone this long, and then one question tries it for all."""
SLOTS = 2_048
MAX_BODY_BYTES = 48_000
"""Both bound what is kept to 100 MB: an answer has one slot, which another may take over; a page of 20 has 20 kB."""
EPOCH = "search:epoch"
MARK_BYTES = 16
"""Of an epoch and of a question."""

AWAY = (RedisError, OSError, TimeoutError)

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of a question: the present ``epoch`` (none: there is no cache now), its answer if it is kept."""

    epoch: bytes | None = None
    body: bytes | None = None


class KeptAnswers:
    """The answers on one server."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._looking: Gathering[bytes, Look] = Gathering(
            self._look_together, apart=None, lanes=1, most_together=MOST_TOGETHER
        )
        self._away_until = 0.0
        self._owed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["KeptAnswers"]:
        """Connect while inside."""
        pool = BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=ANSWER_S, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
        )
        async with Redis.from_pool(pool) as redis:
            kept = cls(redis)
            async with kept._looking.open():
                yield kept

    async def look(self, question: bytes) -> Look:
        """Look for the answer to a question; those who look at the same moment are one request to the server."""
        if time.monotonic() < self._away_until:
            return Look()
        return await self._looking.ask(_mark(question))

    async def keep(self, question: bytes, body: bytes, *, epoch: bytes, life_ms: int) -> None:
        """Keep an answer that was made in an epoch, for so long at most."""
        if len(body) > MAX_BODY_BYTES or life_ms <= 0 or not self._may_try():
            return
        mark = _mark(question)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._redis.set(_slot(mark), epoch + mark + body, px=min(life_ms, LIFE_MS))
        except AWAY as error:
            self._leave_alone(error)

    async def drop(self) -> bool:
        """Begin a new epoch; false when the server is away: then this process takes no kept answer until it is told."""
        self._owed = True
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._redis.set(EPOCH, _new_epoch())
        except AWAY as error:
            self._leave_alone(error)
            return False
        self._owed = False
        return True

    async def _look_together(self, batch: list[Waiting[bytes, Look]]) -> None:
        marks = [waiting.ask for waiting in batch]
        for waiting, look in zip(batch, await self._looks(marks), strict=True):
            waiting.answer(look)

    async def _looks(self, marks: Sequence[bytes]) -> Sequence[Look]:
        nothing = [Look()] * len(marks)
        if not self._may_try() or (self._owed and not await self.drop()):
            return nothing
        try:
            async with asyncio.timeout(ANSWER_S):
                epoch, *found = await self._ask(EPOCH, *(_slot(mark) for mark in marks))
                if epoch is None:  # a new server, or an emptied one
                    await self._redis.set(EPOCH, _new_epoch(), nx=True)
        except AWAY as error:
            self._leave_alone(error)
            return nothing
        self._away_until = 0.0
        return nothing if epoch is None else [_read(epoch, mark, kept) for mark, kept in zip(marks, found, strict=True)]

    async def _ask(self, *keys: str) -> list[bytes | None]:
        found: list[Any] = await self._redis.mget(keys)
        return found

    def _may_try(self) -> bool:
        now = time.monotonic()
        if now < self._away_until:
            return False
        if self._away_until:
            self._away_until = now + AWAY_S  # the others do not wait for the one that tries
        return True

    def _leave_alone(self, error: Exception) -> None:
        if not self._away_until:
            _log.warning("answers.away", error=type(error).__name__)
        self._away_until = time.monotonic() + AWAY_S


def _read(epoch: bytes, mark: bytes, kept: bytes | None) -> Look:
    if kept is None or kept[: 2 * MARK_BYTES] != epoch + mark:
        return Look(epoch=epoch)
    return Look(epoch=epoch, body=kept[2 * MARK_BYTES :])


def _mark(question: bytes) -> bytes:
    return blake2b(question, digest_size=MARK_BYTES).digest()


def _slot(mark: bytes) -> str:
    return f"search:answer:{int.from_bytes(mark[:4]) % SLOTS}"


def _new_epoch() -> bytes:
    return secrets.token_bytes(MARK_BYTES)
