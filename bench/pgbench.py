"""pgbench, PostgreSQL's own client in C, as the reference that nobody can call slow: prepared, one statement a hold."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from bench import cpu
from bench.house import House, first_seat
from bench.rounds import Sample, percentile

LOGGED = 0.2
"""Share of the transactions whose latency pgbench writes down: enough for a p99, too few to slow it."""

BARE_UPDATE = """\\set seat :first + :client_id + :n * :clients
\\set n :n + 1
UPDATE event_seats SET state = 'held', order_id = gen_random_uuid(),
  hold_expires_at = clock_timestamp() + interval '20 minutes', fence = fence + 1
WHERE event_id = :event AND seat_id = :seat
  AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()));
"""
"""Nothing but the conditional UPDATE in autocommit: no order, no limit, no key, no message."""
PLACE_HOLD = """\\set seat :first + :client_id + :n * :clients
\\set n :n + 1
SELECT place_hold(gen_random_uuid(), :event, ARRAY[:seat]::bigint[], NULL, NULL, false, gen_random_uuid(),
  gen_random_uuid()::text, 'bench', '\\x00', NULL, gen_random_uuid(), NULL);
"""
"""Our own SQL function, one transaction a hold."""
LEAN_HOLD = """\\set seat :first + :client_id + :n * :clients
\\set n :n + 1
SELECT bench_hold(gen_random_uuid(), gen_random_uuid()::text, :event, ARRAY[:seat]::bigint[]);
"""
"""The least function that leaves the same records in the same tables (``LEAN_FUNCTION``)."""
COUNTER = """UPDATE bench_counter SET sold = sold + 1 WHERE event_id = :event AND sold + 1 <= capacity;
"""

LEAN_FUNCTION = """
CREATE OR REPLACE FUNCTION bench_hold(p_user uuid, p_key text, p_event bigint, p_ids bigint[]) RETURNS int
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  b uuid := gen_random_uuid();
  k int;
  total bigint;
  took bigint[];
  prices bigint[];
BEGIN
  INSERT INTO idempotency_keys (principal, key, route, fingerprint, status, body)
  VALUES (p_user, p_key, 'reserve', '\\x00', 201, convert_to(b::text, 'UTF8')) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN 200; END IF;
  INSERT INTO customer_limits AS l (event_id, user_id, n, cap) VALUES (p_event, p_user, cardinality(p_ids), 1000)
  ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n + EXCLUDED.n;
  WITH w AS (
    SELECT seat_id FROM event_seats WHERE event_id = p_event AND seat_id = ANY (p_ids)
       AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()))
     ORDER BY seat_id FOR UPDATE SKIP LOCKED),
  t AS (
    UPDATE event_seats s SET state = 'held', order_id = b, hold_expires_at = clock_timestamp() + interval '20 min',
      fence = s.fence + 1
      FROM w WHERE s.event_id = p_event AND s.seat_id = w.seat_id RETURNING s.seat_id, s.price_minor)
  SELECT count(*), sum(price_minor), array_agg(seat_id), array_agg(price_minor) INTO k, total, took, prices FROM t;
  IF k <> cardinality(p_ids) THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HT001'; END IF;
  INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
    hold_started_at, hold_expires_at, cancel_until, refund_percent)
  VALUES (b, p_event, p_user, 'held', k, took, prices, total, 'USD', clock_timestamp(),
    clock_timestamp() + interval '20 min', clock_timestamp() + interval '80 days', 100);
  INSERT INTO outbox (message_id, topic, key, type, version, body)
  VALUES (gen_random_uuid(), 'sales.order.v1', b::text, 'sales.order.held', 0,
    jsonb_build_object('seats', took, 'total', total));
  RETURN 201;
END $$
"""
"""``protocol/one.sql`` on our tables and their indexes: a rival that writes what we write, and says no more."""
COUNTER_TABLE = """
CREATE TABLE IF NOT EXISTS bench_counter (event_id bigint PRIMARY KEY, sold bigint NOT NULL, capacity bigint NOT NULL)
"""
NEW_COUNTER = "INSERT INTO bench_counter VALUES ($1, 0, $2)"
CONNECTED_IN_A_SECOND = 100
"""Its time runs while it connects; its rate is without that."""
TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)
DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)


def is_here() -> bool:
    return shutil.which("pgbench") is not None


def version() -> str:
    if not is_here():
        return "not installed"
    run = subprocess.run(["pgbench", "--version"], capture_output=True, text=True, check=True)
    return run.stdout.strip()


async def prepare(house: House) -> None:
    """Put the rival's function and the counter's table beside ours; fresh events empty the table too.

    :raises RuntimeError: when there is no pgbench: a ratio without it would be made up.
    """
    if not is_here():
        raise RuntimeError("install pgbench first (Debian: apt-get install postgresql-contrib)")
    connection = await asyncpg.connect(house.sales_url)
    try:
        await connection.execute(LEAN_FUNCTION)
        await connection.execute(COUNTER_TABLE)
    finally:
        await connection.close()


async def pgbench(house: House, script: str, *, event_id: int, clients: int, seconds: float) -> Sample:
    """Run a script as so many clients on one event; on the last core, as our own callers."""
    file, logs = house.folder / "script.sql", house.folder / "pgbench"
    file.write_text(script)
    url = urlsplit(house.sales_url)
    pinned = ["taskset", "--cpu-list", str(cpu.last_core())] if shutil.which("taskset") else []
    time = max(1, round(seconds)) + clients // CONNECTED_IN_A_SECOND
    command = [
        *pinned, "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=1",
        f"--time={time}", f"--file={file}", f"--define=first={first_seat(event_id)}",
        f"--define=event={event_id}", "--define=n=0", f"--define=clients={clients}", f"--host={url.hostname}",
        f"--port={url.port}", f"--username={url.username}", "--log", f"--sampling-rate={LOGGED}",
        f"--log-prefix={logs}", Path(url.path).name,
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSWORD": unquote(url.password or "")}
    before = cpu.of_server(house.postmaster)
    run = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    spent = cpu.of_server(house.postmaster).since(before)
    found, done = TPS.search(run.stdout), DONE.search(run.stdout)
    if run.returncode or not found or not done:
        raise RuntimeError(f"pgbench failed ({run.returncode}): {run.stdout[-500:]} {run.stderr[-500:]}")
    taken = sorted(latencies(house.folder))
    return Sample(
        rate=float(found[1]), p50_ms=percentile(taken, 0.5), p99_ms=percentile(taken, 0.99),
        more={
            "held": float(done[1]), "server_cpu_us": spent.both / int(done[1]) * cpu.MICROSECONDS,
            "server_kernel_us": spent.system / int(done[1]) * cpu.MICROSECONDS,
        },
    )  # fmt: skip


def latencies(folder: Path) -> list[float]:
    """Read the sampled latencies, in milliseconds, and remove the files."""
    taken: list[float] = []
    for log in folder.glob("pgbench.*"):
        taken += [int(line.split(" ", 3)[2]) / 1e3 for line in log.read_text().splitlines()]
        log.unlink()
    return taken
