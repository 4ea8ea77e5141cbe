"""A lease in Valkey: of several processes that could do something, one does it while the others stand by.

It saves work and keeps order; it is never what makes something correct (a paused process may believe for a moment that
it still has its lease): effects are no-ops when they are repeated.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from boxoffice.runtime.tasks import end

LIFE_MS = 5_000
"""After a crash another process takes over within this time."""
RENEW_S = 1.5
"""Three tries within one life."""

KEEP = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Lease:
    """One process's claim to a name."""

    def __init__(self, redis: "Redis", name: str) -> None:
        self._redis = redis
        self._key = f"lease:{name}"
        self._token = secrets.token_hex(8)
        self.held = False

    async def keep(self) -> bool:
        """Take the lease or prolong it; false while somebody else has it.

        :raises redis.exceptions.RedisError: when the server is away.
        """
        try:
            answer: Any = await self._redis.eval(KEEP, 1, self._key, self._token, LIFE_MS)
            self.held = answer == 1
        except BaseException:
            self.held = False
            raise
        return self.held

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Prolong the lease while inside and give it back on leaving; ``held`` tells whether that still works."""
        task = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            await end([task])
            self.held = False
            with suppress(RedisError, OSError):
                await self._redis.eval(RELEASE, 1, self._key, self._token)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(RedisError, OSError):
                await self.keep()
