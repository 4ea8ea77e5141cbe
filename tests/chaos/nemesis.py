"""The nemesis: every few seconds one thing breaks, by a schedule that the seed alone decides, and is healed again.

The schedule deals a shuffled pack of all acts, and another one when it is used up, so that a run of ten minutes does
each at least five times. An act that cannot be done here (no small disk) is named, never silently left out.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg
import httpx
import redis.asyncio
from redis.exceptions import RedisError
from tests.chaos.town import Town
from tests.support.checkers.sometimes import Sometimes

from boxoffice.runtime.embedded.errors import EngineError

PAUSE_S = (2.5, 5.5)
"""Between the end of one act and the next: one every six or seven seconds, so that ten minutes do each five times."""
HOLD_S = 6
"""Of the town's event: shorter than what a frozen process sleeps."""
FREEZE_S = (7.0, 10.0)
COPIES = 10
"""Of each webhook in a storm."""
ENDED_DB = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
KILLED = ("bookings-1", "bookings-2", "payments", "tickets", "gateway", "paypal")
ALSO_KILLED = ("catalog", "identity", "mailbox", "search", "storefront")
STRANGER_S = (1.2, 8.0)
"""How long a stranger keeps their locks: at least, and at most for somebody to be refused (waits end after 250 ms)."""
EFFECTS_WAIT_S = 20.0
"""For a message to come to a consumer whose effects are held up: the shop confirms or cancels every other second."""

IN_TRANSACTION = """
SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND application_name LIKE 'sales-%'
"""
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) AS killed FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND application_name LIKE 'sales-%'
"""
LOCK_ORDERS = "SELECT count(*) FROM (SELECT 1 FROM orders WHERE state IN ('held', 'paying') FOR UPDATE) o"
LOCK_CUSTOMERS = "SELECT count(*) FROM (SELECT 1 FROM customer_limits FOR UPDATE) c"
HOLD_UP_EFFECTS = "LOCK TABLE inbox IN SHARE MODE"
HELD_UP = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
ALL_TAKEN = "SELECT message_id::text AS id FROM inbox ORDER BY taken_at DESC LIMIT 500"


@dataclass
class Event:
    """Something that was broken: what, from when to when (seconds of the run)."""

    act: str
    begin: float
    end: float = 0.0


@dataclass
class Nemesis:
    """One run's."""

    town: Town
    rng: random.Random
    seen: Sometimes
    began: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def acts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Everything that it can do."""
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            f"kill -9 {name}": self._killer(name) for name in KILLED
        }  # fmt: skip
        acts |= {
            "kill -9 one of the others": self.kill_another,
            "kill -9 notification between effect and acknowledgement": self.kill_between_effect_and_acknowledgement,
            "kill -9 valkey": self.kill_valkey,
            "kill -9 postmaster": self.kill_postmaster,
            "kill backends in their transactions": self.kill_backends,
            "freeze bookings longer than a hold": self.freeze_bookings,
            "freeze payments, provider or valkey": self.freeze_another,
            "FLUSHALL": self.flush,
            "provider faults": self.provider_faults,
            "webhook storm": self.webhook_storm,
            "slow, cut or reset wires": self.bad_wire,
            "a stranger's locks": self.stranger,
        }
        if self.town.has_small_disk:
            acts["disk full under postgres"] = self.disk_full
        else:
            self.left_out["disk full under postgres"] = "no private mount namespace on this machine"
        return acts

    async def run(self, over: asyncio.Event) -> None:
        """Break things until it is over."""
        acts = self.acts()
        pack: list[str] = []
        while not over.is_set():
            if not pack:
                pack = sorted(acts)
                self.rng.shuffle(pack)
            name = pack.pop()
            event = Event(name, time.monotonic() - self.began)
            self.events.append(event)
            try:
                async with asyncio.timeout(90):
                    await acts[name]()
                self.done[name] += 1
            except (*ENDED_DB, RedisError, httpx.HTTPError, AssertionError, EngineError) as error:
                self.failed[f"{name}: {type(error).__name__} {str(error)[:80]}"] += 1
            event.end = time.monotonic() - self.began
            await asyncio.sleep(self.rng.uniform(*PAUSE_S))

    async def heal(self) -> None:
        """Make everything whole again and wait until it answers."""
        town = self.town
        for task in list(self._tasks):
            with suppress(TimeoutError, AssertionError):
                await asyncio.wait_for(asyncio.shield(task), 120)
        for wire in town.wires.values():
            wire.heal()
        town.empty_disk()
        for name in town.programs:
            town.thaw(name)
        town.freeze_valkey(thaw=True)
        if not town.postgres_runs():
            await town.start_postgres()
        assert town.valkey is not None
        if not town.valkey.process.running():
            await town.start_valkey()
        for name, program in list(town.programs.items()):
            if program.process.poll() is not None:
                town.launch(name)
        await asyncio.gather(*(town.until_ready(name) for name in town.programs))
        await self._control("DELETE", "faults")

    def _killer(self, name: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            if name == "paypal":
                self.town.faults_met += await self.town.faults_met_now()
            await self.town.kill(name)
            await asyncio.sleep(self.rng.uniform(0, 2))
            self._later(name)

        return kill

    def _later(self, name: str) -> None:
        """Start it again without waiting for it: the shop goes on meanwhile."""
        task = asyncio.create_task(self.town.restart(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _control(self, method: str, path: str, body: object = None) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            with suppress(httpx.HTTPError):
                await client.request(method, f"{self.town.url('paypal')}/simulator/{path}", json=body)

    async def kill_another(self) -> None:
        """One of those that no sale hangs on."""
        await self._killer(self.rng.choice(ALSO_KILLED))()

    async def kill_between_effect_and_acknowledgement(self) -> None:
        """Hold up notification's effect, cut the way of its acknowledgement, let the effect be done, and kill it."""
        name, wire = "notification", self.town.wires["valkey"]
        client = redis.asyncio.Redis.from_url(self.town.direct_valkey())
        until = time.monotonic() + EFFECTS_WAIT_S
        try:
            while time.monotonic() < until:
                await self._cut_behind_an_effect(name, until)
                if await self._unacknowledged_effects(client, name):
                    self.seen.saw("consumer died between effect and acknowledgement")
                    break
                wire.heal()
            await self.town.kill(name)
        finally:
            wire.reset()  # or the acknowledgement that waits in the wire would still arrive
            wire.heal()
            await client.aclose()
            self._later(name)

    async def _cut_behind_an_effect(self, name: str, until: float) -> None:
        """Let a consumer come to its effect, cut it off from Valkey, and only then let the effect be done."""
        holding = await asyncpg.connect(self.town.direct_url(name), timeout=5)
        looking = await asyncpg.connect(self.town.direct_url(name), timeout=5)
        try:
            async with holding.transaction():
                await holding.execute(HOLD_UP_EFFECTS)
                while time.monotonic() < until and not await looking.fetchval(HELD_UP):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.01)
                self.town.wires["valkey"].break_("asks")
            await asyncio.sleep(0.5)
        finally:
            holding.terminate()
            looking.terminate()

    async def _unacknowledged_effects(self, client: "redis.asyncio.Redis", name: str) -> int:
        """Count messages that a consumer's inbox has and its acknowledgement is still to come."""
        taken = {row["id"].encode() for row in await self.town.look(ALL_TAKEN, service=name)}
        found = 0
        for given in await client.xpending_range("sales.order.v1", name, "-", "+", 200):
            for _, fields in await client.xrange("sales.order.v1", given["message_id"], given["message_id"]):
                found += any(one in fields[b"m"] for one in taken)
        return found

    async def kill_valkey(self) -> None:
        """Valkey loses what it had not written yet, and is away for a while."""
        await self.town.kill_valkey()
        await asyncio.sleep(self.rng.uniform(0.5, 4))
        await self.town.start_valkey()

    async def kill_postmaster(self) -> None:
        """PostgreSQL crashes with everything that was open, and recovers."""
        await self._saw_open_transactions()
        await self.town.kill_postmaster()
        await asyncio.sleep(self.rng.uniform(0, 1))
        await self.town.start_postgres()

    async def _saw_open_transactions(self) -> None:
        """Wait a moment for a transaction to be open, so that the kill meets one."""
        connection = await asyncpg.connect(self.town.direct_url("sales"), timeout=5)
        try:
            for _ in range(200):
                if await connection.fetch(IN_TRANSACTION):
                    self.seen.saw("kill inside an open transaction")
                    return
                await asyncio.sleep(0.01)
        finally:
            connection.terminate()

    async def kill_backends(self) -> None:
        """End backends that are in the middle of a transaction, a few times."""
        assert self.town.postgres is not None
        connection = await asyncpg.connect(self.town.postgres.admin_url.rpartition("/")[0] + "/sales", timeout=5)
        try:
            wanted = 4
            for _ in range(600):
                killed = await connection.fetchval(TERMINATE)
                if killed:
                    self.seen.saw("kill inside an open transaction", killed)
                    wanted -= 1
                if not wanted:
                    break
                await asyncio.sleep(0.01)
        finally:
            connection.terminate()

    async def freeze_bookings(self) -> None:
        """A process sleeps longer than a hold, wakes, and still believes that it holds what it held."""
        name = self.rng.choice(("bookings-1", "bookings-2"))
        self.town.freeze(name)
        await asyncio.sleep(self.rng.uniform(*FREEZE_S))
        self.town.thaw(name)

    async def freeze_another(self) -> None:
        """One of the others sleeps for a while."""
        name = self.rng.choice(("payments", "paypal", "valkey"))
        if name == "valkey":
            self.town.freeze_valkey()
        else:
            self.town.freeze(name)
        await asyncio.sleep(self.rng.uniform(3, 8))
        if name == "valkey":
            self.town.freeze_valkey(thaw=True)
        else:
            self.town.thaw(name)

    async def flush(self) -> None:
        """FLUSHALL; what the relay then carries again, and consumers had taken, is a redelivery."""
        taken = {row["id"] for row in await self.town.look(ALL_TAKEN, service="notification")}
        client = redis.asyncio.Redis.from_url(self.town.direct_valkey())
        try:
            await client.flushall()
            for _ in range(60):
                await asyncio.sleep(0.1)
                for _, fields in await client.xrange("sales.order.v1", count=500):
                    if any(name.encode() in fields[b"m"] for name in taken):
                        self.seen.saw("relay published again what was taken (redelivery)")
                        return
        finally:
            await client.aclose()

    async def provider_faults(self) -> None:
        """Lost replies, errors after success, slowness, a "no" now and then."""
        for fault in (
            {"on": "capture", "kind": "lose", "times": 3},
            {"on": "capture", "kind": "stumble", "status": 500, "times": 2},
            {"on": "capture", "kind": "slow", "seconds": 6.5, "times": 1},
            {"on": "create_order", "kind": "lose", "times": 1},
            {"on": "refund", "kind": "lose", "times": 2},
            {"on": "refund", "kind": "stumble", "status": 502, "times": 1},
            {"on": "get_order", "kind": "refuse", "status": 503, "times": 2},
            {"on": "capture", "kind": "decline", "times": 1},
        ):
            await self._control("POST", "faults", fault)
        if self.rng.random() < 0.5:
            await self._control("POST", "forget-keys")

    async def webhook_storm(self) -> None:
        """Every webhook ten times and out of order for a while; then none; then late ones."""
        await self._control("POST", "faults", {"on": "webhook", "kind": "repeat", "copies": COPIES, "times": 8})
        await self._control("POST", "faults", {"on": "webhook", "kind": "shuffle", "times": 20})
        await self._control("POST", "faults", {"on": "webhook", "kind": "drop", "times": 2})
        await self._control("POST", "faults", {"on": "webhook", "kind": "slow", "seconds": 3.0, "times": 6})

    async def bad_wire(self) -> None:
        """Latency, a cut in one direction, or every connection reset."""
        wire = self.town.wires[self.rng.choice(("postgres", "bookings", "valkey"))]
        how = self.rng.choice(("slow", "asks", "answers", "reset"))
        if how == "slow":
            wire.delay_s = 0.4
        elif how == "reset":
            wire.reset()
        else:
            wire.break_("asks" if how == "asks" else "answers")
        await asyncio.sleep(self.rng.uniform(1, 4))
        wire.heal()
        if how in {"asks", "answers"}:
            wire.reset()

    async def stranger(self) -> None:
        """Somebody at the database keeps every open order and every customer locked, until somebody was refused."""
        least_s, most_s = STRANGER_S
        began, refused = time.monotonic(), self.town.lock_timeouts_now()
        connection = await asyncpg.connect(self.town.direct_url("sales"), timeout=5)
        try:
            async with connection.transaction():
                await connection.fetch(LOCK_ORDERS)
                await connection.fetch(LOCK_CUSTOMERS)
                while (kept_s := time.monotonic() - began) < most_s:
                    if kept_s >= least_s and self.town.lock_timeouts_now() > refused:
                        break
                    await asyncio.sleep(0.2)
        finally:
            connection.terminate()

    async def disk_full(self) -> None:
        """No block is left for PostgreSQL; then there is room again, and it is started if it gave up."""
        try:
            self.town.fill_disk()
            await asyncio.sleep(self.rng.uniform(3, 6))
        finally:
            self.town.empty_disk()
        await asyncio.sleep(1)
        if not self.town.postgres_runs():
            await self.town.start_postgres()
