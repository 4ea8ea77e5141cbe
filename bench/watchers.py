"""Clients that watch one house live, in a process of their own: ``python -m bench.watchers``, what to do on stdin.

Raw protocols on uvloop, on the last core: reading a frame must cost less than sending it. One seat at a time is
blocked in the database and the notice is given as a bookings process gives it; every client is timed from the commit
until it has the frame. Prints percentiles of the latencies as JSON; a client that does not get a frame fails the run.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from typing import Any

import asyncpg
import msgspec
import uvloop

from bench import cpu
from bench.house import first_seat
from bench.rounds import percentile
from boxoffice.contracts.http.live import LiveDelta, LiveMessage, LiveSnapshot
from boxoffice.kernel.ids import EventId
from boxoffice.services.sales.store.shared_houses import SharedHouses

AT_ONCE = 100
"""Clients that connect at the same time."""
STEP_S = 10.0
"""A step that some client has not heard of after so long fails the measurement."""
PAUSE_S = 0.3
"""Between changes: three times the time that a picture is shared for, so none waits for the one before."""
SETTLE_S = 1.0
TEXT, PING, PONG = 0x81, 0x89, 0x8A
SHORT, MEDIUM = 126, 127

CHANGE = """
UPDATE event_seats SET state = CASE WHEN state = 'blocked' THEN 'free' ELSE 'blocked' END
 WHERE event_id = $1 AND seat_id = $2
"""


def main() -> None:
    asked = json.load(sys.stdin)
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {cpu.last_core()})
    json.dump(uvloop.run(drive(asked)), sys.stdout)


class Crowd:
    """All clients of one run, and who has heard of the present step."""

    def __init__(self, clients: int) -> None:
        self.clients = clients
        self.heard: list[float] = []
        self.first = b""
        self.differing = 0
        self.complete = asyncio.Event()
        self.lost = 0

    def begin(self) -> None:
        self.heard, self.first, self.differing = [], b"", 0
        self.complete.clear()

    def hear(self, payload: bytes) -> None:
        self.heard.append(time.perf_counter())
        if not self.first:
            self.first = payload
        elif payload != self.first:
            self.differing += 1
        if len(self.heard) == self.clients:
            self.complete.set()


class Watching(asyncio.Protocol):
    """One client."""

    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self._buffer = b""
        self._upgraded = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def connection_lost(self, _error: Exception | None) -> None:
        self._crowd.lost += 1

    def data_received(self, chunk: bytes) -> None:
        buffer = self._buffer + chunk if self._buffer else chunk
        if not self._upgraded:
            head, end, rest = buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = buffer
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(head.decode("latin-1"))
            self._upgraded, buffer = True, rest
        while len(buffer) > 1:
            begin, size = extent(buffer)
            if len(buffer) < begin + size:
                break
            self._frame(buffer[0], buffer[begin : begin + size])
            buffer = buffer[begin + size :]
        self._buffer = buffer

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._crowd.hear(payload)
        elif kind == PING:  # a client's frames are masked; a mask of zeros changes nothing
            self._transport.write(bytes((PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)

    def close(self) -> None:
        self._transport.abort()


def extent(buffer: bytes) -> tuple[int, int]:
    """Where a frame's payload begins, and its size (RFC 6455, 5.2); more than there is while it is not known."""
    size = buffer[1]
    if size < SHORT:
        return 2, size
    width = 2 if size == SHORT else 8
    if len(buffer) < 2 + width:
        return 2 + width, len(buffer)
    return 2 + width, int.from_bytes(buffer[2 : 2 + width], "big")


async def drive(asked: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    crowd = Crowd(asked["clients"])
    request = (
        f"GET /api/v1/events/{asked['event_id']}/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    watching: list[Watching] = []
    began = time.perf_counter()
    for start in range(0, asked["clients"], AT_ONCE):
        count = min(AT_ONCE, asked["clients"] - start)
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: Watching(crowd, request), "127.0.0.1", asked["port"])
                for _ in range(count)
            )
        )
        watching += [protocol for _, protocol in made]
    async with asyncio.timeout(STEP_S):
        await crowd.complete.wait()
    connected = time.perf_counter() - began
    snapshot = msgspec.json.decode(crowd.first, type=LiveMessage)
    if not isinstance(snapshot, LiveSnapshot) or crowd.differing:
        raise RuntimeError(f"the first message is no common snapshot ({crowd.differing} differ)")
    await asyncio.sleep(SETTLE_S)
    memory = cpu.memory_mb(asked["pid"])
    latencies, slowest, delta_bytes, spent = await stepped(asked, crowd)
    for one in watching:
        one.close()
    return {
        "clients": asked["clients"], "connected_s": connected, "memory_mb": memory, "steps": len(slowest),
        "p50_ms": percentile(latencies, 0.5) * 1e3, "p99_ms": percentile(latencies, 0.99) * 1e3,
        "max_ms": latencies[-1] * 1e3, "last_client_p50_ms": percentile(sorted(slowest), 0.5) * 1e3,
        "delta_bytes": delta_bytes, "server_cpu_us": spent / (len(latencies) or 1) * cpu.MICROSECONDS,
    }  # fmt: skip


async def stepped(asked: dict[str, Any], crowd: Crowd) -> tuple[list[float], list[float], int, float]:
    """Make changes one after another; latencies (sorted), each step's slowest, a delta's size, the server's CPU."""
    latencies: list[float] = []
    slowest: list[float] = []
    size = 0
    event = EventId(asked["event_id"])
    connection = await asyncpg.connect(asked["sales_url"])
    before = cpu.of_process(asked["pid"])
    try:
        async with SharedHouses.open(asked["redis_url"]) as shared:
            for step in range(asked["steps"]):
                crowd.begin()
                await connection.execute(CHANGE, event, first_seat(event) + step)
                began = time.perf_counter()
                await shared.touch([event])
                async with asyncio.timeout(STEP_S):
                    await crowd.complete.wait()
                found = msgspec.json.decode(crowd.first, type=LiveMessage)
                if not isinstance(found, LiveDelta) or [place for place, _ in found.changes] != [step]:
                    raise RuntimeError(f"step {step} was told as {crowd.first[:200]!r}")
                if crowd.differing or crowd.lost:
                    raise RuntimeError(f"{crowd.differing} were told something else, {crowd.lost} were cut off")
                taken = [at - began for at in crowd.heard]
                latencies += taken
                slowest.append(max(taken))
                size = len(crowd.first)
                await asyncio.sleep(PAUSE_S)
    finally:
        await connection.close()
    return sorted(latencies), slowest, size, cpu.of_process(asked["pid"]).since(before).both


if __name__ == "__main__":
    main()
