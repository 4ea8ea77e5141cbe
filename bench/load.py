"""Load over HTTP/1.1 from a process of its own: ``python -m bench.load`` with what to send as JSON on standard input.

Each client sends its next request when the last one was answered. What a client does is a generator that yields
requests and gets answers, over raw protocols on uvloop: the load must cost less than what it measures. Prints answers
by status, latencies, shares, and how much processor time the load itself took.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from itertools import count
from typing import Any

import uvloop

from bench import cpu
from bench.flows import FLOWS, Flow, SoldOutError
from bench.rounds import fairness, percentile

WARM_UP = 0.3
"""Share of the time that is driven before counting begins."""
STUCK_S = 20.0
"""A request without an answer for so long fails the measurement."""


def main() -> None:
    asked = json.load(sys.stdin)
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {asked["core"]})
    json.dump(uvloop.run(drive(asked)), sys.stdout)


class Line(asyncio.Protocol):
    """One connection: at most one request at a time; tells the status and the body of each answer."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = b""
        self.told: Callable[[bytes, bytes], None] = lambda _status, _body: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, chunk: bytes) -> None:
        buffer = self._buffer + chunk if self._buffer else chunk
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = buffer
            return
        size = length_of(buffer[:end])
        if len(buffer) < end + 4 + size:
            self._buffer = buffer
            return
        self._buffer = b""
        self.told(buffer[9:12], buffer[end + 4 :])

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def length_of(head: bytes) -> int:
    """Read Content-Length, whatever its case; an answer without one has no body here."""
    lower = head.lower()
    begin = lower.find(b"content-length:")
    if begin < 0:
        return 0
    end = lower.find(b"\r\n", begin)
    return int(lower[begin + 15 : end if end >= 0 else None])


class Client:
    """One client: runs its flow over its lines until it is told to stop."""

    def __init__(self, number: int, flow: Flow, lines: list[Line], count_up: Callable[..., None]) -> None:
        self._number = number
        self._flow = flow
        self._lines = lines
        self._count_up = count_up
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False
        self._steps: Generator[tuple[int, bytes], tuple[bytes, bytes], str] | None = None
        for line in lines:
            line.told = self._told

    def begin(self) -> None:
        if self.stopping:
            self._finish()
            return
        try:
            self._steps = self._flow(self._number)
            line, request = next(self._steps)
        except (SoldOutError, StopIteration):
            self._finish()
            return
        self._began = time.perf_counter()
        self._lines[line].send(request)

    def _told(self, status: bytes, body: bytes) -> None:
        assert self._steps
        try:
            line, request = self._steps.send((status, body))
        except StopIteration as ended:
            self._count_up(self._number, ended.value, time.perf_counter() - self._began)
            self.begin()
            return
        except Exception as error:  # noqa: BLE001 - whatever a flow trips over ends the run, with its words
            if not self.done.done():
                self.done.set_exception(error)
            return
        self._lines[line].send(request)

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def drive(asked: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    taken: dict[str, list[float]] = {}
    shares = [0] * asked["connections"]
    counting, done = False, 0

    def count_up(number: int, outcome: str, seconds: float) -> None:
        nonlocal done
        done += 1
        if counting:
            taken.setdefault(outcome, []).append(seconds)
            shares[number] += 1

    flow = FLOWS[asked["flow"]](asked, count())
    for number in range(asked["connections"]):
        lines = [(await loop.create_connection(Line, "127.0.0.1", port))[1] for port in asked["ports"]]
        clients.append(Client(number, flow, lines, count_up))
    for client in clients:
        client.begin()
    warm = 0.0 if asked.get("from_the_gun") else asked["seconds"] * WARM_UP
    await asyncio.sleep(warm)
    counting, start, before = True, time.perf_counter(), cpu.of_process()
    await asyncio.wait([client.done for client in clients], timeout=asked["seconds"])
    counting, seconds, spent = False, time.perf_counter() - start, cpu.of_process().since(before)
    for client in clients:
        client.stopping = True
    _, stuck = await asyncio.wait([client.done for client in clients], timeout=STUCK_S)
    if stuck:
        raise TimeoutError(f"{len(stuck)} clients got no answer")
    for client in clients:
        client.done.result()
    return {**told(taken, shares, seconds, spent), "done": done}


def told(taken: dict[str, list[float]], shares: list[int], seconds: float, spent: cpu.Spent) -> dict[str, Any]:
    everything = sorted(value for values in taken.values() for value in values)
    least, most = fairness(shares)
    return {
        "answers": {outcome: len(values) for outcome, values in taken.items()},
        "p99_ms_of": {outcome: percentile(sorted(values), 0.99) * 1e3 for outcome, values in taken.items()},
        "seconds": seconds, "p50_ms": percentile(everything, 0.5) * 1e3, "p99_ms": percentile(everything, 0.99) * 1e3,
        "least_share": least, "most_share": most, "load_cpu_share": spent.both / seconds,
    }  # fmt: skip


if __name__ == "__main__":
    main()
