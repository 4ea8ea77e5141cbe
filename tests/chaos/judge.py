"""The judge: looks on while it happens, waits for quiet afterwards, and then asks every checker.

What it says is empty or a list of violations; a run whose sometimes-list is not complete is invalid besides.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import msgspec
import redis.asyncio
from redis.exceptions import RedisError
from tests.chaos.buyers import Crowd
from tests.chaos.nemesis import COPIES, ENDED_DB
from tests.chaos.town import Town
from tests.support.checkers import bank, cycles, effects, fence, register, tickets
from tests.support.checkers.cycles import Transaction
from tests.support.checkers.fence import Seen
from tests.support.checkers.sometimes import Sometimes

from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases.audit import audit

QUIET_WITHIN_S = 240.0
"""A minute for a payment's window, a quarter for the resolver's patience, the rest for a busy machine."""
KEYS = (1, 2, 3, 4, 5)
OPEN = """
SELECT (SELECT count(*) FROM payments WHERE state IN ('created', 'capturing', 'abandoning'))
     + (SELECT count(*) FROM refunds WHERE state = 'requested') AS n
"""
TOLD = "SELECT message_id::text AS id, type FROM outbox WHERE topic = 'sales.order.v1'"
INBOX = "SELECT message_id::text AS id FROM inbox WHERE consumer = $1"
MAILED = {"confirmed", "cancelled", "refunded"}
"""Messages of an order whose effect must happen once, for it is a mail; notification's inbox tells which it took."""
COPIED = {
    "reservation-notification-topic": {"held", "released"},
    "tickets-notification-topic": {"confirmed", "exchanged", "cancelled"},
}
"""The seed's topics, and what of an order's messages is told there too."""
TICKETS = "SELECT ticket_id::text AS ticket, order_id::text AS booking, seat_id, state <> 'void' AS live FROM tickets"
HALTED = "SELECT event_id, halted_because FROM event_terms WHERE halted_because IS NOT NULL"
PAYMENTS = "SELECT payment_id::text AS payment, provider_ref, state FROM payments"
TAKEOVERS = """
SELECT count(*) AS n FROM orders o WHERE o.released_because = 'expired' AND EXISTS (
  SELECT 1 FROM orders later WHERE later.event_id = o.event_id AND later.seat_ids && o.seat_ids
    AND later.created_at >= o.hold_expires_at AND later.created_at < o.ended_at)
"""
TOLD_AT = """
SELECT payload->'resource'->>'id' AS ref, extract(epoch FROM min(received_at))::float8 AS at FROM provider_events
WHERE payload->>'event_type' = 'CHECKOUT.ORDER.APPROVED' GROUP BY 1
"""


@dataclass
class Verdict:
    """What came of a run."""

    violations: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass
class Judge:
    """One run's."""

    town: Town
    crowd: Crowd
    seen: Sometimes
    snapshots: list[bank.Snapshot] = field(default_factory=list)
    looks: list[Seen] = field(default_factory=list)
    probes: list[Transaction] = field(default_factory=list)
    left_open: int = 0
    """Payments and refunds that were open when waiting for quiet ended."""
    _number: int = 0

    async def open(self) -> None:
        """Make the probe's table."""
        await self.town.look(cycles.TABLE)
        for key in KEYS:
            await self.town.look("INSERT INTO append_log (seat) VALUES ($1) ON CONFLICT DO NOTHING", key)

    async def watch(self) -> None:
        """Look at money, fences and the probe until cancelled; what is away is looked at later."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._look, 1.0))
            for _ in range(3):
                group.create_task(self._forever(self._probe, 0.2))

    async def _forever(self, look: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            with suppress(*ENDED_DB):
                await look()
            await asyncio.sleep(pause_s)

    async def _look(self) -> None:
        [sums] = await self.town.look(bank.SNAPSHOT)
        at = time.monotonic() - self.crowd.began
        self.snapshots.append(bank.Snapshot(at, sums["captured"], sums["refunded"], sums["live"], sums["kept"]))
        for row in await self.town.look(fence.LOOK, self.crowd.event):
            self.looks.append(Seen(row["seat_id"], row["fence"], row["owner"]))

    async def _probe(self) -> None:
        """One transaction of the list-append probe, through the driver and the wire that the sale uses."""
        self._number += 1
        name = self._number
        chosen = sorted(self.crowd.rng.sample(KEYS, 2))
        reads: dict[int, tuple[int, ...]] = {}
        url = self.town._databases["BOXOFFICE_SALES_DATABASE_URL"]
        connection = await asyncpg.connect(url, timeout=5, command_timeout=5)
        sent = acknowledged = False
        try:
            transaction = connection.transaction()
            await transaction.start()
            for row in await connection.fetch(cycles.LOCKED, chosen):
                reads[row["seat"]] = tuple(row["numbers"])
            await connection.execute(cycles.APPEND, chosen[0], name)
            sent = True
            await transaction.commit()
            acknowledged = True
        finally:
            connection.terminate()
            if sent:
                self.probes.append(Transaction(name, reads, {chosen[0]: name}, acknowledged=acknowledged))

    async def until_quiet(self) -> float:
        """Wait until nothing is open any more; returns how long it took. What stays open is a violation (I6)."""
        began = time.monotonic()
        while time.monotonic() - began < QUIET_WITHIN_S:
            with suppress(*ENDED_DB, RedisError):
                [row] = await self.town.look(OPEN)
                self.left_open = row["n"]
                if row["n"] == 0 and not await self._behind():
                    break
            await asyncio.sleep(1)
        return time.monotonic() - began

    async def _behind(self) -> list[str]:
        """Say which effects are missing or of nobody, and what is on the bus that should not be, or is not and should."""
        type_of = {row["id"]: row["type"].removeprefix("sales.order.") for row in await self.town.look(TOLD)}
        due = {one for one, type_ in type_of.items() if type_ in MAILED}
        taken = [row["id"] for row in await self.town.look(INBOX, "notification", service="notification")]
        # What it takes besides (other topics) is not judged; what it must take of orders is.
        found = effects.missing_and_phantom(due, {"notification": [one for one in taken if one in due]})
        told = await self._on_bus("sales.order.v1")
        if phantoms := told.keys() - type_of.keys():
            found.append(f"{len(phantoms)} messages are on the bus that were never committed, such as {min(phantoms)}")
        for topic, types in COPIED.items():
            wanted = {one for one in told if type_of.get(one) in types}
            if differ := wanted ^ (await self._on_bus(topic)).keys():
                found.append(f"{topic} and the orders' topic differ by {len(differ)} messages, such as {min(differ)}")
        return found + effects.out_of_order(told.values())

    async def _on_bus(self, topic: str) -> dict[str, tuple[str, int]]:
        """Read what a stream holds, in its order: key and version by id, a repeat at its first place."""
        async with redis.asyncio.Redis.from_url(self.town.direct_valkey()) as client:
            entries = [msgspec.json.decode(fields[b"m"]) for _, fields in await client.xrange(topic)]
        first: dict[str, tuple[str, int]] = {}
        for one in entries:
            first.setdefault(one["messageId"], (one["key"], one["version"]))
        return first

    async def verdict(self) -> Verdict:
        """Ask every checker."""
        town, crowd = self.town, self.crowd
        found = Verdict()
        operations = crowd.log.operations()
        found.violations += await self._audit()
        if self.left_open:
            found.violations.append(f"quiet: {self.left_open} payments or refunds never came to an end")
        found.violations += [f"register: {text}" for text in register.violations(operations)]
        rows = await town.look(TICKETS)
        final = [tickets.FinalTicket(row["ticket"], row["booking"], row["seat_id"], live=row["live"]) for row in rows]
        bookings = {row["id"] for row in await town.look("SELECT order_id::text AS id FROM orders")}
        found.violations += [f"set: {text}" for text in tickets.violations(operations, final, bookings)]
        found.violations += [f"bank: {text}" for text in bank.unbalanced(self.snapshots)]
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            books = (await client.get(f"{town.url('paypal')}/simulator/books")).json()
        ours, theirs = bank.our_books(await town.look(bank.BOOKS)), bank.provider_books(books)
        found.violations += [f"bank: {text}" for text in bank.disagreements(ours, theirs)]
        found.violations += [f"fence: {text}" for text in fence.violations(self.looks)]
        found.violations += [f"effects: {text}" for text in await self._behind()]
        lists = {row["seat"]: tuple(row["numbers"]) for row in await town.look("SELECT seat, numbers FROM append_log")}
        found.violations += [f"cycles: {text}" for text in cycles.violations(self.probes, lists)]
        await self.count_sometimes()
        found.figures = {
            "operations": len(operations),
            "bookings": len(bookings),
            "tickets": len(final),
            "captures": len(books["captures"]),
            "refunds": len(books["refunds"]),
            "snapshots": len(self.snapshots),
            "fence_looks": len(self.looks),
            "probe_transactions": len(self.probes),
            "provider_faults_met": dict(sorted((town.faults_met + await town.faults_met_now()).items())),
        }
        return found

    async def _audit(self) -> list[str]:
        async with Database.open(self.town.direct_url("sales"), size=1, statement_timeout_ms=0) as database:
            findings = await audit(database)
        found = [f"audit: {f.invariant} {f.name}: {len(f.records)} records, first {f.records[0]}" for f in findings]
        halted = await self.town.look(HALTED)
        return found + [f"audit: the sale of {row['event_id']} was halted: {row['halted_because']}" for row in halted]

    async def count_sometimes(self) -> None:
        """Count what only the databases and the provider can tell; may be asked again while the run goes on."""
        town, crowd, counted = self.town, self.crowd, self.seen.counted
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            orders = (await client.get(f"{town.url('paypal')}/simulator/books")).json()["orders"]
        approved = {order["order_id"] for order in orders if order["approved_at"]}
        payments = await town.look(PAYMENTS)
        [row] = await town.look(TAKEOVERS)
        told_at = {row["ref"]: row["at"] for row in await town.look(TOLD_AT)}
        met = town.faults_met + await town.faults_met_now()
        counted["expired hold taken over"] = row["n"]
        counted["claimed before it was abandoned (C1 before D)"] = sum(
            payment["state"] == "captured" and payment["payment"] in crowd.races for payment in payments
        )
        counted["abandoned before it was claimed (D before C1)"] = sum(
            payment["state"] == "voided" and payment["provider_ref"] in approved for payment in payments
        )
        counted["approval after void"] = len(crowd.approved_after_void)
        counted["webhook before redirect"] = crowd.webhook_first
        counted["redirect before webhook"] = sum(
            told_at.get(ref, float("inf")) > at for ref, at in crowd.redirects.items()
        )
        counted["lock timeout"] = town.lock_timeouts + town.lock_timeouts_now()
        counted["capture reply lost"] = met["capture lose"] + met["capture stumble"]
        counted["duplicate webhook"] = met["webhook repeat"] * (COPIES - 1)
