"""A client of the live house, as a phone would be: it keeps the states, notices what it lost, and asks again."""

import asyncio
import base64
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from boxoffice.contracts.http.live import LiveCurrent, LiveDelta, LiveMessage, LiveSnapshot
from boxoffice.services.sales.domain.availability import pack, unpack

SOON_S = 30.0
"""Much longer than anything here takes, on a machine that others use too."""


ANSWER_S = 0.1
"""An answer that is not here by then was lost too."""


async def eventually(check: Callable[[], Any]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + SOON_S
    while not check():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


def never() -> bool:
    return False


class LiveClient:
    """Follows one house. ``loses`` is asked for each message whether it gets lost on the way."""

    def __init__(self, socket: ClientConnection, loses: Callable[[], bool] = never) -> None:
        self.socket = socket
        self.codes = bytearray()
        self.version: int | None = None
        self.seen: list[LiveMessage] = []
        self.lost = 0
        self.asked = 0
        self._loses = loses
        self._asked_at = float("-inf")

    @property
    def hash(self) -> str:
        return f"{zlib.crc32(pack(bytes(self.codes))):08x}"

    async def next(self) -> LiveMessage:
        """Take the next message that arrives."""
        while True:
            message: LiveMessage = msgspec.json.decode(await self.socket.recv(), type=LiveMessage)
            if self._loses():
                self.lost += 1
                continue
            self.seen.append(message)
            await self._take(message)
            return message

    async def _take(self, message: LiveMessage) -> None:
        match message:
            case LiveSnapshot():
                self.codes = bytearray(unpack(base64.b64decode(message.states), message.places))
            case LiveDelta():
                if message.since != self.version:
                    await self.resume()
                    return
                for place, code in message.changes:
                    self.codes[place] = code
            case LiveCurrent():
                pass
        self.version = message.version
        if self.hash != message.hash:
            await self.resume()
        else:
            self._asked_at = float("-inf")

    async def resume(self, version: int | None = None, hash_: str | None = None) -> None:
        """Say what we have, and get what is missing; once, while an answer may be on its way."""
        if time.monotonic() - self._asked_at < ANSWER_S:
            return
        self._asked_at = time.monotonic()
        self.asked += 1
        said: dict[str, Any] = {"resume": (self.version or 0) if version is None else version}
        await self.socket.send(msgspec.json.encode({**said, "hash": hash_ or self.hash}).decode())

    async def until_version(self, version: int) -> None:
        """Follow until that version, or a later one."""
        while self.version is None or self.version < version:
            await self.next()


@asynccontextmanager
async def following(address: str, event_id: int, query: str = "", **options: Any) -> AsyncIterator[LiveClient]:
    """Follow a house at a server's address."""
    loses = options.pop("loses", never)
    url = f"{address.replace('http', 'ws', 1)}/api/v1/events/{event_id}/live{query}"
    async with connect(url, proxy=None, **options) as socket:
        yield LiveClient(socket, loses)
