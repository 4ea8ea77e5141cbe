"""Between a proxy and the shop: what the proxy asks the shop, counted on the wire, refreshing in the background included.

Neither the proxy's word nor the shop's own metrics: those count what a page asks the shop's API as well.
"""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.shop import free_port

START = re.compile(rb"^(GET|HEAD) (\S+) HTTP/1\.1\r\n")
BODY = re.compile(rb"\r\n(content-length: *[1-9]|transfer-encoding:)", re.IGNORECASE)
SOMEBODY = re.compile(rb"\r\n(authorization:|cookie:[^\r]*session=)", re.IGNORECASE)
CHUNK = 64 * 1024
PROBE = "/health/live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One request of the proxy; whether it is for somebody who said who they are."""

    path: str
    is_somebodys: bool


@dataclass
class Between:
    """Hands connections on to the shop and reads along; requests are GET without a body, answers are not looked at."""

    upstream: int
    port: int = field(default_factory=free_port)
    passed: list[Passed] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand one connection on, both ways, until either side ends it."""
        there, back = await asyncio.open_connection("127.0.0.1", self.upstream)
        ways = [asyncio.create_task(one) for one in (self._read_along(reader, back), _hand_on(there, writer))]
        try:
            with suppress(asyncio.CancelledError):  # the measurement is over
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, back):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _read_along(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        head = b""
        while some := await reader.read(CHUNK):
            back.write(some)
            head += some
            *whole, head = head.split(b"\r\n\r\n")
            for one in whole:
                start = START.match(one)
                assert start is not None, one
                assert not BODY.search(one), one
                path = start[2].decode()
                if path != PROBE:
                    self.passed.append(Passed(path=path, is_somebodys=bool(SOMEBODY.search(one))))


async def _hand_on(there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await there.read(CHUNK):
        writer.write(some)


@contextmanager
def between(upstream: int) -> Iterator[Between]:
    """Listen in a thread of its own."""
    one = Between(upstream)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(one.take, "127.0.0.1", one.port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()
