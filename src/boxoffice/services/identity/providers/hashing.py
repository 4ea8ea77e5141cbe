"""Password hashes: argon2id in threads, behind a semaphore, so that logins never take the cores from the sale.

Parameters are OWASP's minimum (m = 19 MiB, t = 2, p = 1), about 20 ms; the sale matters more than a stronger hash, and
the rate limits stand before it. A hash with other parameters is renewed at the next login.
"""

import asyncio
import os
from collections.abc import Callable
from typing import ClassVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from boxoffice.kernel.errors import Category, DomainError

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
MAX_WAITING = 256
"""At 20 ms each and two cores that is 2.5 s in line; who would wait longer is told to come back."""


class BusyError(DomainError):
    """More logins than the machine can check."""

    code: ClassVar[str] = "identity.busy"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "Too many people are logging in"


class Hasher:
    """Hashes and verifies passwords; one for a process."""

    def __init__(self, *, at_once: int | None = None) -> None:
        self._argon = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, type=Type.ID
        )
        self._turns = asyncio.Semaphore(at_once or os.cpu_count() or 1)
        self._waiting = 0
        # Verified for unknown addresses, so that they cost the same time as known ones.
        self._nobody = self._argon.hash(os.urandom(16).hex())

    async def hash(self, password: str) -> str:
        """Hash a password.

        :raises BusyError: when too many wait already.
        """
        return await self._in_turn(self._argon.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Tell whether a password belongs to a hash; no hash takes as long and is false.

        :raises BusyError: when too many wait already.
        """
        try:
            await self._in_turn(self._argon.verify, hashed or self._nobody, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return hashed is not None

    def is_old(self, hashed: str) -> bool:
        """Whether a hash has other parameters than today's."""
        return self._argon.check_needs_rehash(hashed)

    async def _in_turn(self, work: Callable[..., object], *arguments: str) -> str:
        if self._waiting >= MAX_WAITING:
            raise BusyError("Try again in a few seconds.", retryAfterSeconds=3)
        self._waiting += 1
        try:
            async with self._turns:
                return str(await asyncio.to_thread(work, *arguments))
        finally:
            self._waiting -= 1
