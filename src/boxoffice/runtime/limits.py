"""Rate limits: GCRA, on Valkey with the server's own clock, or per process while Valkey is away.

A limit is never a safety property: when the server is away each process limits by itself, and nothing waits for it.
GCRA as in ITU-T I.371, annex A: one instant per key, so a key costs some 100 bytes and forgets itself when full again.
"""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime.telemetry import log

KEYS_IN_PROCESS: Final = 100_000
"""About 20 MB; the least recently seen are forgotten first, which only lets somebody have a new burst."""
AWAY_S: Final = 1.0
"""After a failure Valkey is left alone this long, so that its absence does not slow every request."""
ANSWER_S: Final = 0.25
"""A limiter that answers later is worth less than its answer."""
MICROSECONDS: Final = 1_000_000
SECONDS_A_MINUTE: Final = 60

_log = log(__name__)

# KEYS[1]: the bucket. ARGV: interval and tolerance in µs, 1 to take or -1 to give back. Returns allowed, wait in µs.
SCRIPT: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = tonumber(redis.call('GET', KEYS[1]) or '0')
local due = math.max(kept, now) + interval
if ARGV[3] == '-1' then due = kept - interval end
local wait = due - now - tolerance
if wait > 0 and ARGV[3] == '1' then return {0, wait} end
if due > now then
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
else
  redis.call('DEL', KEYS[1])
end
return {1, 0}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most ``burst`` at once and ``per_second`` in the long run: in any W seconds at most burst + per_second * W."""

    per_second: float
    burst: int

    @property
    def interval_s(self) -> float:
        """Seconds that one call costs."""
        return 1.0 / self.per_second

    @property
    def tolerance_s(self) -> float:
        """Seconds that may be owed."""
        return self.interval_s * self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a call may pass, and in how many seconds the next may when it may not."""

    allowed: bool
    wait_s: float = 0.0


def gcra(due: float, now: float, rate: Rate) -> tuple[Verdict, float]:
    """Decide one call; ``due`` is the instant kept for the key (seconds, 0 at first). Returns the instant to keep."""
    next_due = max(due, now) + rate.interval_s
    wait = next_due - now - rate.tolerance_s
    # A nanosecond is less than any interval and more than the rounding of the sums.
    if wait > 1e-9:  # noqa: PLR2004 - explained above
        return Verdict(allowed=False, wait_s=wait), due
    return Verdict(allowed=True), next_due


class Limiter:
    """Counts calls by key. Without a server, or while it is away, in this process alone."""

    def __init__(self, redis: "Redis | None" = None) -> None:
        self._script = redis.register_script(SCRIPT) if redis else None
        self._here: OrderedDict[str, float] = OrderedDict()
        self._away_until = 0.0

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Limiter"]:
        """Keep a limiter on the server at a URL; "" is a limiter of this process."""
        if not url:
            yield cls()
            return
        redis = Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
        try:
            yield cls(redis)
        finally:
            await redis.aclose()

    async def take(self, key: str, rate: Rate) -> Verdict:
        """Count one call, if it may pass."""
        return await self._ask(key, rate, take=True)

    async def give_back(self, key: str, rate: Rate) -> None:
        """Count one call less."""
        await self._ask(key, rate, take=False)

    def take_here(self, key: str, rate: Rate, *, now: float | None = None) -> Verdict:
        """Count one call in this process only: for limits so generous that asking a server would cost more."""
        return self._decide_here(key, rate, time.monotonic() if now is None else now, take=True)

    async def _ask(self, key: str, rate: Rate, *, take: bool) -> Verdict:
        now = time.monotonic()
        if self._script is None or now < self._away_until:
            return self._decide_here(key, rate, now, take=take)
        interval, tolerance = int(rate.interval_s * MICROSECONDS), int(rate.tolerance_s * MICROSECONDS)
        try:
            allowed, wait = await self._script(keys=[f"limit:{key}"], args=[interval, tolerance, 1 if take else -1])
        except (RedisError, OSError) as error:
            self._away_until = now + AWAY_S
            _log.warning("limiter.alone", error=type(error).__name__)
            return self._decide_here(key, rate, now, take=take)
        return Verdict(allowed=bool(allowed), wait_s=int(wait) / MICROSECONDS)

    def _decide_here(self, key: str, rate: Rate, now: float, *, take: bool) -> Verdict:
        kept = self._here.get(key, 0.0)
        verdict, due = gcra(kept, now, rate) if take else (Verdict(allowed=True), kept - rate.interval_s)
        if verdict.allowed:
            self._here[key] = due
            self._here.move_to_end(key)
            while len(self._here) > KEYS_IN_PROCESS:
                self._here.popitem(last=False)
        return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """Bounds wrong guesses of a secret by key, ``per_minute`` of them; 0 a minute means that nobody counts.

    A guess is counted before anybody looks at it, and given back unless it was ``wrong``: those made at the same moment
    do not all pass, and a right one uses nothing up.
    """

    limiter: Limiter
    per_minute: int
    wrong: type[DomainError]
    too_many: type[DomainError]
    said: str

    @property
    def rate(self) -> Rate:
        """The wrong guesses that one key may have."""
        return Rate(per_second=self.per_minute / SECONDS_A_MINUTE, burst=self.per_minute)

    @asynccontextmanager
    async def guess(self, key: str) -> AsyncIterator[None]:
        """Look at one guess while inside.

        :raises DomainError: ``too_many``, when there were too many wrong ones, or as many are looked at just now.
        """
        if self.per_minute <= 0:
            yield
            return
        verdict = await self.limiter.take(key, self.rate)
        if not verdict.allowed:
            raise self.too_many(self.said, retryAfterSeconds=int(verdict.wait_s) + 1)
        was_wrong = False
        try:
            yield
        except self.wrong:
            was_wrong = True
            raise
        finally:
            if not was_wrong:
                await self.limiter.give_back(key, self.rate)
