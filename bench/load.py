"""Load over HTTP/1.1 from a process of its own: ``python -m bench.load`` with what to send as JSON on standard input.

Each connection sends its next request when the last one was answered; prints ``{answers, seconds}`` by status.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

import uvloop

WARM_UP = 0.3
"""Share of the time that is driven before counting begins."""


def main() -> None:
    asked = json.load(sys.stdin)
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {asked["core"]})
    json.dump(uvloop.run(drive(asked)), sys.stdout)


async def drive(asked: dict[str, Any]) -> dict[str, Any]:
    seats = count(asked.get("first_seat", 0))
    tokens = asked.get("tokens") or [""]
    began = time.perf_counter()
    count_from, deadline = began + asked["seconds"] * WARM_UP, began + asked["seconds"] * (1 + WARM_UP)
    answers: dict[str, int] = {}

    async def connection(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", asked["port"])
        token = tokens[number % len(tokens)]
        while (now := time.perf_counter()) < deadline:
            writer.write(request(asked, token, seats))
            status = await read_answer(reader)
            if now >= count_from:
                answers[status] = answers.get(status, 0) + 1
        writer.close()

    await asyncio.gather(*(connection(number) for number in range(asked["connections"])))
    return {"answers": answers, "seconds": time.perf_counter() - count_from}


def request(asked: dict[str, Any], token: str, seats: "count[int]") -> bytes:
    head = f"{asked['method']} {asked['path']} HTTP/1.1\r\nHost: bench\r\n"
    if asked["method"] == "GET":
        return f"{head}\r\n".encode()
    body = f'{{"eventId":{asked["event_id"]},"ticketIds":[{next(seats)}]}}'
    return (
        f"{head}Authorization: Bearer {token}\r\nIdempotency-Key: {uuid4()}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def read_answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return head[9:12]


if __name__ == "__main__":
    main()
