"""The wires between the processes: a small TCP proxy for each, which can be slow, cut one way, reset, or dead."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

CHUNK = 65_536
CONNECT_S = 2.0
LAST_WORDS_S = 0.1
"""For what passes bytes to notice that its wire is gone."""
Direction = Literal["asks", "answers"]


@dataclass(eq=False)
class Wire:
    """One edge: listens on a port, and passes on to one of the ports that ``targets`` names now, in turn."""

    name: str
    port: int
    targets: Callable[[], list[int]]
    delay_s: float = 0.0
    cut: Direction | None = None
    dead: bool = False
    _turn: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _whole: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Begin to listen."""
        self._whole.set()
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port, limit=CHUNK)

    async def stop(self) -> None:
        """End every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        self.reset()
        self.heal()
        await asyncio.sleep(LAST_WORDS_S)

    def reset(self) -> None:
        """Cut every connection at once, as a firewall does that lost its memory."""
        for writer in list(self._open):
            writer.transport.abort()

    def break_(self, direction: Direction) -> None:
        """Let nothing pass in one direction; what is sent waits."""
        self.cut = direction
        self._whole.clear()

    def heal(self) -> None:
        """Be a plain wire again."""
        self.delay_s, self.cut, self.dead = 0.0, None, False
        self._whole.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = None if self.dead else await self._reach()
        if far is None:
            writer.transport.abort()
            return
        far_reader, far_writer = far
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(
                self._pass(reader, far_writer, "asks"), self._pass(far_reader, writer, "answers"),
            )  # fmt: skip
        finally:
            for end in (writer, far_writer):
                self._open.discard(end)
                end.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = self.targets()
        self._turn += 1
        for offset in range(len(ports)):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    return await asyncio.open_connection("127.0.0.1", ports[(self._turn + offset) % len(ports)])
        return None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.cut == direction:
                    await self._whole.wait()
                if writer.transport.is_closing():  # reset meanwhile: what waited in the wire is lost
                    return
                writer.write(data)
                await writer.drain()
        if not writer.transport.is_closing():
            with suppress(OSError):
                writer.write_eof()
