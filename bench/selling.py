"""Holds per second without HTTP: our use case, the bare SQL function, a plain UPDATE, and the seed's way."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis

from bench.house import SEATS, House, first_seat
from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

CALLERS = 64
CONNECTIONS = 10
"""As a process has by default."""
SECONDS = 2.5
WARM_UP_HOLDS = 200

PLAIN_UPDATE = """
UPDATE event_seats SET state = 'held', order_id = $3, hold_expires_at = clock_timestamp() + interval '20 minutes',
  fence = fence + 1
WHERE event_id = $1 AND seat_id = $2 AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()))
"""
READ_SEAT = "SELECT state, hold_expires_at <= clock_timestamp() FROM event_seats WHERE event_id = $1 AND seat_id = $2"
WRITE_SEAT = """
UPDATE event_seats SET state = 'held', order_id = $3, hold_expires_at = clock_timestamp() + interval '20 minutes',
  fence = fence + 1 WHERE event_id = $1 AND seat_id = $2
"""
BARE_FUNCTION = "SELECT place_hold($1, $2, ARRAY[$3::bigint], NULL, NULL, false, $4, $5, 'bench', '\\x00', NULL)"

PGBENCH_UPDATE = """\\set seat :first + :client_id + :n * :clients
\\set n :n + 1
UPDATE event_seats SET state = 'held', order_id = gen_random_uuid(),
  hold_expires_at = clock_timestamp() + interval '20 minutes', fence = fence + 1
WHERE event_id = :event AND seat_id = :seat
  AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()));
"""
PGBENCH_FUNCTION = """\\set seat :first + :client_id + :n * :clients
\\set n :n + 1
SELECT place_hold(gen_random_uuid(), :event, ARRAY[:seat]::bigint[], NULL, NULL, false, gen_random_uuid(),
  gen_random_uuid()::text, 'bench', '\\x00', NULL);
"""
TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)

Hold = Callable[[int, int], Awaitable[None]]
"""Holds one seat (event, seat)."""


async def use_case(house: House) -> float:
    """Our use case with all it writes: seat, limit, order, idempotency key, outbox."""

    async with Database.open(house.sales_url, size=CONNECTIONS, name="bench") as database:

        async def hold(event_id: int, seat: int) -> None:
            user_id = UserId(uuid4())
            body = json.dumps({"eventId": event_id, "ticketIds": [seat]}).encode()
            call = IdempotentCall.of(principal=user_id, key=str(uuid4()), route="bench", body=body)
            await place_hold(
                database, Wish(user_id=user_id, event_id=EventId(event_id), seat_ids=(SeatId(seat),)), call
            )

        return await holds_a_second(house, hold)


async def plain_update(house: House) -> float:
    """One UPDATE of one seat and nothing else: what a database can do at most."""
    if shutil.which("pgbench"):
        return await pgbench(house, PGBENCH_UPDATE)
    return await _with_asyncpg(house, PLAIN_UPDATE, keys=1)


async def bare_function(house: House) -> float:
    """The SQL function of the hold with the same records, without our process around it."""
    if shutil.which("pgbench"):
        return await pgbench(house, PGBENCH_FUNCTION)
    pool = await asyncpg.create_pool(house.sales_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool:

        async def hold(event_id: int, seat: int) -> None:
            await pool.fetchval(BARE_FUNCTION, uuid4(), event_id, seat, uuid4(), str(uuid4()))

        return await holds_a_second(house, hold)


async def seeds_way(house: House) -> float:
    """A lock in Redis, read, check, write, unlock: no order, no limit, no message."""
    pool = await asyncpg.create_pool(house.sales_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool, Redis.from_url(house.redis_url, max_connections=CALLERS * 2) as redis:
        return await holds_a_second(house, locked_hold(pool, redis))


def locked_hold(pool: asyncpg.Pool, redis: "Redis") -> Hold:
    """Build the seed's hold, also for its server over HTTP."""

    async def hold(event_id: int, seat: int) -> None:
        lock = f"seat:{seat}"
        if not await redis.set(lock, "1", nx=True, px=10_000):
            raise LookupError(seat)
        try:
            record = await pool.fetchrow(READ_SEAT, event_id, seat)
            if record is None or (record[0] != "free" and not record[1]):
                raise LookupError(seat)
            await pool.execute(WRITE_SEAT, event_id, seat, uuid4())
        finally:
            await redis.delete(lock)

    return hold


async def _with_asyncpg(house: House, sql: str, *, keys: int) -> float:
    pool = await asyncpg.create_pool(house.sales_url, min_size=CONNECTIONS, max_size=CONNECTIONS)
    async with pool:

        async def hold(event_id: int, seat: int) -> None:
            await pool.execute(sql, event_id, seat, *(uuid4() for _ in range(keys)))

        return await holds_a_second(house, hold)


async def holds_a_second(house: House, hold: Hold) -> float:
    """Let callers hold seat after seat of a fresh event; each seat is asked for once."""
    event_id = await house.new_event()
    seats = iter(range(first_seat(event_id), first_seat(event_id) + SEATS))
    for _ in range(WARM_UP_HOLDS):
        await hold(event_id, next(seats))
    done = 0
    began = time.perf_counter()
    deadline = began + SECONDS

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            seat = next(seats, None)
            if seat is None:
                return
            await hold(event_id, seat)
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done / (time.perf_counter() - began)


async def pgbench(house: House, script: str) -> float:
    """Run a script with pgbench, written in C; as many connections as our process has."""
    event_id = await house.new_event()
    file = house.folder / "script.sql"
    file.write_text(script)
    url = urlsplit(house.sales_url)
    command = [
        "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}", "--jobs=1", f"--time={SECONDS:.0f}",
        f"--file={file}", f"--define=first={first_seat(event_id)}", f"--define=event={event_id}", "--define=n=0",
        f"--define=clients={CONNECTIONS}", f"--host={url.hostname}", f"--port={url.port}", f"--username={url.username}",
        Path(url.path).name,
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSWORD": unquote(url.password or "")}
    run = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    found = TPS.search(run.stdout)
    if run.returncode or not found:
        raise RuntimeError(f"pgbench failed: {run.stderr[-500:]}")
    return float(found[1])
