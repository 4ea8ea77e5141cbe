"""A shop that sells while its log is followed, and is killed with all that it has; buyers; the provider's own books."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from uuid import uuid4

import asyncpg
import httpx
from tests.support.payments import PUBLIC_URL, WINDOW
from tests.support.sales import EVENT, SIGNER, TYPES, choose, hold, hold_places, put_areas_on_sale, put_on_sale, sell_as
from tests.support.servers import served

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime import migrations
from boxoffice.runtime.database import Database
from boxoffice.runtime.embedded.backup_folder import BackupFolder
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.domain.payment import Payment
from boxoffice.services.sales.providers.paypal import Credentials, PayPal, open_paypal
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.refund_payments import refund_payments
from boxoffice.services.sales.usecases.settle_payment import Settling, settle
from boxoffice.services.sales.usecases.start_payment import Wish, start_payment
from boxoffice.simulators.paypal import launch
from boxoffice.simulators.paypal.app import LEDGER_FILE, Account, build
from boxoffice.simulators.paypal.certificates import CA_FILE

GENERAL = EventId(8)
BUYERS = 6
"""Enough that several purchases are always half done, few enough for two cores."""
GIVES_UP = 0.1
CANCELS = 0.25
WHAT_A_CRASH_IS = (DomainError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, httpx.HTTPError)


@dataclass
class Acknowledged:
    """What buyers were told, by the clock of the machine: order -> when."""

    confirmed: dict[OrderId, datetime] = field(default_factory=dict)
    cancelled: dict[OrderId, datetime] = field(default_factory=dict)


class Shop:
    """PostgreSQL of a data folder whose log is followed into a folder of backups."""

    def __init__(self, folder: Path) -> None:
        self.folder = DataFolder(folder / "shop")
        self.backups = BackupFolder(folder / "backups")
        self.folder.open()
        self._engines: Engines | None = None

    @property
    def admin_url(self) -> str:
        """The superuser's URL."""
        assert self._engines is not None
        assert self._engines.postgres is not None
        return self._engines.postgres.admin_url

    def start(self) -> str:
        """Start, or start again after a crash; returns the sale's URL."""
        environment = {"BOXOFFICE_BACKUP_DIR": str(self.backups.path), "BOXOFFICE_REDIS_URL": "redis://127.0.0.1:1"}
        self._engines = Engines(self.folder, environment)
        self._engines.begin()
        url = str(self._engines.wait()["sales_database_url"])
        migrations.migrate("sales", url)
        return url

    def crash(self) -> datetime:
        """Kill the server and whoever follows its log, at once; returns when that was."""
        assert self._engines is not None
        at = datetime.now(UTC)
        self._engines.kill()
        return at

    def stop(self) -> None:
        """Stop what runs."""
        if self._engines is not None:
            self._engines.stop()
        self.folder.close()


@dataclass
class World:
    """The provider, its ledger, and a way to have its pages clicked."""

    folder: Path
    client: httpx.AsyncClient
    provider: PayPal

    async def approve(self, provider_ref: str | None) -> None:
        """The payer says yes."""
        answer = await self.client.post(f"/simulator/orders/{provider_ref}/approve", json={})
        answer.raise_for_status()

    async def kept(self) -> dict[str, int]:
        """What the provider holds for each order, in minor units; those that got all back are 0."""
        books = (await self.client.get("/simulator/books")).json()
        kept: dict[str, int] = {}
        for capture in books["captures"]:
            kept[capture["custom_id"]] = kept.get(capture["custom_id"], 0) + capture["total_minor"]
        for refund in books["refunds"]:
            kept[refund["capture_custom_id"]] -= refund["total_minor"]
        return kept


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Serve the provider with the ledger in a folder, over HTTP as ever."""
    account = Account(client_id=launch.CLIENT_ID, client_secret=launch.CLIENT_SECRET)
    app = build(folder, base_url="http://provider.example.org", accounts=[account])
    async with (
        served(app, lifespan="on", keep_alive_s=300) as url,
        httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client,
        open_paypal(
            api_url=url, credentials=Credentials(client_id=account.client_id, client_secret=account.client_secret),
            public_url=PUBLIC_URL, webhook_id=account.webhook_id, webhook_ca_file=str(folder / CA_FILE),
            read_timeout_s=60,
        ) as provider,
    ):  # fmt: skip
        yield World(folder, client, provider)


def copy_ledger(of: Path, to: Path) -> None:
    """Copy the provider's ledger as it is now: what it knows when the shop comes back."""
    to.mkdir()
    with sqlite3.connect(of / LEDGER_FILE) as source, sqlite3.connect(to / LEDGER_FILE) as target:
        source.backup(target)
    source.close()
    target.close()


async def open_sale(url: str, places: int) -> list[SeatId]:
    """Put seats with ticket types on sale, and places without seats; returns the seats."""
    async with Database.open(url, size=2, name="opening", statement_timeout_ms=0) as database:
        seats = await put_on_sale(database, places)
        await sell_as(database, TYPES)
        await put_areas_on_sale(database, {"Floor": places}, event_id=GENERAL)
    return seats


class Crowd:
    """Buyers that hold, pay, cancel and turn away, as fast as the machine lets them."""

    def __init__(self, outside: World, seats: list[SeatId], rng: Random) -> None:
        self._outside = outside
        self._free = list(seats)
        self._rng = rng
        self._going = False
        self.told = Acknowledged()
        rng.shuffle(self._free)

    async def sell(self, url: str, *, until: float, crash: "Shop | None") -> datetime:
        """Sell until a time (monotonic), then kill the shop in the middle of it; returns when that was."""
        self._going = True
        async with Database.open(url, size=BUYERS + 2, name="crowd") as database:
            till = Settling(database=database, providers={"paypal": self._outside.provider}, signer=SIGNER)
            buyers = [asyncio.create_task(self._buy_on(till)) for _ in range(BUYERS)]
            buyers.append(asyncio.create_task(self._refund_on(till)))
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            at = datetime.now(UTC) if crash is None else crash.crash()
            self._going = False
            await asyncio.gather(*buyers)
        return at

    async def _buy_on(self, till: Settling) -> None:
        while self._going:
            try:
                await self._buy(till)
            except WHAT_A_CRASH_IS:
                await asyncio.sleep(0.01)

    async def _refund_on(self, till: Settling) -> None:
        while self._going:
            with suppress(WHAT_A_CRASH_IS):
                await refund_payments(till.database, till.providers)
            await asyncio.sleep(0.05)

    async def _buy(self, till: Settling) -> None:
        order_id, buyer, chosen = await self._hold(till.database)
        if self._rng.random() < GIVES_UP:
            return
        payment = await self._start(till, order_id, buyer)
        await self._outside.approve(payment.provider_ref)
        settled = await settle(till, payment.payment_id)
        if settled.state.value != "captured":
            return
        self.told.confirmed[order_id] = datetime.now(UTC)
        if self._rng.random() < CANCELS:
            some = chosen[:1] if chosen and self._rng.random() < 0.5 else None
            async with till.database.transaction() as tx:
                await cancel_order(tx, order_id=order_id, by=Canceller(user_id=buyer), chosen=some)
            self.told.cancelled[order_id] = datetime.now(UTC)
            self._free[:0] = [] if chosen is None else (some or chosen)

    async def _hold(self, database: Database) -> tuple[OrderId, UserId, list[SeatId] | None]:
        places = self._rng.randint(1, 3)
        if self._rng.random() < 0.2:
            order_id, buyer = await hold_places(database, places, area="Floor", event_id=GENERAL)
            return order_id, buyer, None
        chosen = [self._free.pop() for _ in range(places)]
        order_id, buyer = await hold(database, chosen, event_id=EVENT)
        if self._rng.random() < 0.3:
            await choose(database, order_id, buyer, {chosen[0]: "Child"})
        return order_id, buyer, chosen

    async def _start(self, till: Settling, order_id: OrderId, buyer: UserId) -> Payment:
        started: list[Payment] = []

        def render(payment: Payment) -> Answer:
            started.append(payment)
            return Answer(status=201, body=b"{}")

        wish = Wish(
            order_id=order_id, user_id=buyer, provider="paypal", return_url=f"{PUBLIC_URL}/back",
            cancel_url=f"{PUBLIC_URL}/no",
        )  # fmt: skip
        await start_payment(
            till.database, till.providers, wish, public_url=PUBLIC_URL, window=WINDOW, call=None, render=render
        )
        return started[0]


async def lost_since(database: Database, told: Acknowledged, crashed_at: datetime) -> tuple[int, float]:
    """Count acknowledged orders that a restored database does not know as confirmed; how many s the oldest is lost."""
    known = {
        record["order_id"]
        for record in await database.fetch("SELECT order_id FROM orders WHERE state IN ('confirmed', 'cancelled')")
    }
    lost = [at for order_id, at in told.confirmed.items() if order_id not in known and at <= crashed_at]
    return len(lost), max(((crashed_at - at).total_seconds() for at in lost), default=0.0)


async def sell_too_early(database: Database, outside: World, rng: Random, *, most: int) -> int:
    """Hold some seats that lost orders had, as a shop does that opens before it is reconciled; returns how many."""
    paid = [order_id for order_id, kept in (await outside.kept()).items() if kept > 0]
    known = {str(record["order_id"]) for record in await database.fetch("SELECT order_id FROM orders")}
    names = {str(one) for one in paid} - known
    books = (await outside.client.get("/simulator/books")).json()
    refs = [order["order_id"] for order in books["orders"] if order["custom_id"] in names]
    taken = 0
    for ref in rng.sample(sorted(refs), min(most, len(refs))):
        told = await outside.provider.get(ref)
        line = told.bought.lines[0][0] if told.bought and told.bought.lines else ""
        seat = await database.fetchval(
            "SELECT seat_id FROM event_seat_labels WHERE event_id = $1"
            " AND $2 LIKE section || ', row ' || row_label || ', seat ' || number || '%' ORDER BY number DESC LIMIT 1",
            EVENT, line,
        )  # fmt: skip
        if seat is not None:
            try:
                await hold(database, [SeatId(seat)], UserId(uuid4()))
                taken += 1
            except DomainError:
                continue
    return taken


async def money_off(database: Database, outside: World) -> list[str]:
    """List orders where what the provider keeps is not what the live tickets are worth (I2), from its own books."""
    worth = {
        str(record["order_id"]): int(record["worth"])
        for record in await database.fetch(
            "SELECT order_id, sum(price_minor) AS worth FROM tickets WHERE state <> 'void' GROUP BY order_id"
        )
    }
    kept = await outside.kept()
    return [
        json.dumps({"order": name, "provider_keeps": kept.get(name, 0), "live_tickets": worth.get(name, 0)})
        for name in sorted(kept.keys() | worth.keys())
        if kept.get(name, 0) != worth.get(name, 0)
    ]
