"""Pictures of houses in Valkey: one process reads a house, all others of the platform take it from here.

Only pictures are here, never decisions: whatever is lost, late or wrong about this server makes a picture older, and
how old it may be is counted on the server's own clock, from before the reading began.
"""

import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from boxoffice.kernel.ids import EventId
from boxoffice.services.sales.domain.picture import Area, Picture

ANSWER_S = 0.25
"""A picture that takes longer to fetch is read from the database instead."""
KEPT_MS = 60_000
"""A picture that nobody renews is of no use to anybody soon after."""
TURN_MS = 1_000
"""A process that died while it was reading keeps the others from it for so long; no reading takes longer."""
LONGEST_READING_US = 1_000_000
"""A reading that was held up longer (a paused process) is not told to the others: it would look newer than it is."""
HEARD_S = 2.5
"""Silence for longer than this means that the server is away: it is asked for a sign of life every second."""
ASK_S = 1.0
PICTURES, TOUCHED = "houses", "houses:touched"
"""Channels: new pictures; ids of events whose house may have changed."""
US = 1_000_000

AWAY = (RedisError, OSError, TimeoutError)

CLAIM = """
local clock = redis.call('TIME')
local wait = 0
local mine = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
if not mine then wait = redis.call('PTTL', KEYS[1]) end
return {mine and 1 or 0, wait, string.format('%.0f', clock[1] * 1000000 + clock[2]), redis.call('GET', KEYS[2]) or ''}
"""
# The turn is not given back: it stays taken for as long as the house is not to be read again.
TELL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local clock = redis.call('TIME')
local took = clock[1] * 1000000 + clock[2] - tonumber(ARGV[3])
if took < 0 or took > tonumber(ARGV[4]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PUBLISH', ARGV[7], ARGV[2])
return 1
"""


GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class SharedHouse(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One picture as it travels. ``read_us``: the server's clock before the reading began (µs).

    ``as_of``: the database's clock when this version was first seen (ms); ``changes_in``: ms from the reading.
    """

    event_id: int
    version: int
    read_us: int
    as_of: int
    changes_in: int | None
    places: int
    packed: bytes
    free: int
    held: int
    sold: int
    blocked: int
    status: str
    organisation_id: UUID
    areas: tuple[Area, ...] = ()

    @property
    def picture(self) -> Picture:
        """The picture itself."""
        return Picture(version=self.version, places=self.places, packed=self.packed, areas=self.areas)

    def shows(self, other: "SharedHouse") -> bool:
        """Whether both show the same states."""
        return self.packed == other.packed and self.places == other.places and self.areas == other.areas


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``token`` is set when it is our turn to read; else somebody reads, or has just read, and ``wait_s`` is left."""

    token: str | None
    wait_s: float
    now_us: int
    known: SharedHouse | None


class SharedHouses:
    """The pictures on one server."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._claim = redis.register_script(CLAIM)
        self._tell = redis.register_script(TELL)
        self._give_back = redis.register_script(GIVE_BACK)
        self._ahead = 0.0

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["SharedHouses"]:
        """Connect while inside."""
        redis = Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
        try:
            yield cls(redis)
        finally:
            await redis.aclose()

    def seconds(self, read_us: int) -> float:
        """Turn an instant of the server's clock into one of this process's monotonic clock, rather too early.

        An instant that seems to lie ahead (a clock was set back) says nothing of its age: it counts as very long ago.
        """
        found = read_us / US - self._ahead
        return found if self._ahead and found <= time.monotonic() else float("-inf")

    async def claim(self, event_id: EventId) -> Claim:
        """Ask whether it is our turn to read a house, and what is known.

        :raises redis.exceptions.RedisError: when the server is away; also OSError.
        """
        asked, token = time.monotonic(), secrets.token_hex(8)
        answer: Any = await self._claim(keys=_keys(event_id), args=[token, TURN_MS])
        mine, wait_ms, now_us, known = answer
        # The clock was read after ``asked``: so this makes pictures look older than they are, never younger.
        self._ahead = int(now_us) / US - asked
        return Claim(
            token=token if mine else None, wait_s=max(0, int(wait_ms)) / 1000, now_us=int(now_us),
            known=msgspec.msgpack.decode(known, type=SharedHouse) if known else None,
        )  # fmt: skip

    async def tell(self, house: SharedHouse, *, token: str, rest_ms: int) -> bool:
        """Keep a picture and tell it to every process; no other is read within ``rest_ms``.

        False, and nothing, when the reading took so long that the turn has passed.

        :raises redis.exceptions.RedisError: when the server is away; also OSError.
        """
        packed = msgspec.msgpack.encode(house)
        arguments: list[Any] = [token, packed, house.read_us, LONGEST_READING_US, KEPT_MS, max(1, rest_ms), PICTURES]
        return bool(await self._tell(keys=_keys(EventId(house.event_id)), args=arguments))

    async def give_back(self, event_id: EventId, token: str) -> None:
        """Give a turn back unused.

        :raises redis.exceptions.RedisError: when the server is away; also OSError.
        """
        await self._give_back(keys=_keys(event_id), args=[token])

    async def touch(self, event_ids: Iterable[EventId]) -> None:
        """Tell every process that these houses may have changed.

        :raises redis.exceptions.RedisError: when the server is away; also OSError.
        """
        await self._redis.publish(TOUCHED, msgspec.msgpack.encode(sorted(event_ids)))

    async def listen(self) -> AsyncIterator[SharedHouse | list[EventId] | None]:
        """Hear pictures and the ids of touched events; none: the subscription begins (again), who knows what was told.

        :raises redis.exceptions.RedisError: when the server is away, or silent for too long; also OSError.
        """
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(PICTURES, TOUCHED)
            heard = time.monotonic()
            while True:
                message: Any = await pubsub.get_message(timeout=ASK_S)
                if message is None and time.monotonic() - heard > HEARD_S:
                    raise TimeoutError("the server has been silent")
                if message is None:
                    await pubsub.ping()
                    continue
                heard = time.monotonic()
                if message["type"] == "message":
                    yield _read(message)
                elif message["type"] == "subscribe" and message["channel"] == TOUCHED.encode():
                    yield None  # the driver connects again by itself, and says so only by this


def _keys(event_id: EventId) -> list[str]:
    return [f"house:{event_id}:turn", f"house:{event_id}"]


def _read(message: Any) -> SharedHouse | list[EventId]:
    if message["channel"] == PICTURES.encode():
        return msgspec.msgpack.decode(message["data"], type=SharedHouse)
    return [EventId(event_id) for event_id in msgspec.msgpack.decode(message["data"], type=list[int])]
