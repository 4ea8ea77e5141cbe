"""Composition root of sales: one service and database behind three processes, tickets, bookings and payments.

Bookings also runs the relay, the consumers and the sale's timers; payments runs the payments' timers; tickets reads.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from litestar import Litestar
from redis.asyncio import Redis

from boxoffice.contracts.messages.sales import SEED_TOPICS, OrderType
from boxoffice.runtime import web
from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.bus import open_bus
from boxoffice.runtime.database import Database
from boxoffice.runtime.handover import handover_of
from boxoffice.runtime.hotpaths import HotPath
from boxoffice.runtime.jobs import running
from boxoffice.runtime.limits import Limiter
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.telemetry import FACTS
from boxoffice.services.sales import consumers
from boxoffice.services.sales.api import (
    allocations,
    bookings,
    changes,
    documents,
    houses,
    paying,
    payments,
    reserving,
    tickets,
)
from boxoffice.services.sales.api.live import live_socket
from boxoffice.services.sales.api.parts import Parts, parts
from boxoffice.services.sales.jobs import WATCH_TIMEOUT_MS, payment_jobs, sale_jobs, watch_jobs
from boxoffice.services.sales.providers import Providers
from boxoffice.services.sales.providers.opened import open_providers
from boxoffice.services.sales.store.shared_houses import SharedHouses
from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.open_with_code import code_guesses
from boxoffice.services.sales.usecases.refuse_hopeless import EarlyNo
from boxoffice.services.sales.usecases.settle_payment import Settling

SERVICE = "sales"
AUDITOR_CONNECTIONS = 2
"""One holds the lock of the only watch, one asks; none of them is the sale's."""


def build_tickets(settings: Settings, peers: Peers) -> Litestar:
    """Build the process that shows what is on sale, and tickets."""
    return _build(
        "tickets",
        [*tickets.ROUTES, *houses.ROUTES, *allocations.ROUTES, *documents.ROUTES],
        settings,
        peers,
        shows=True,
    )


def build_bookings(settings: Settings, peers: Peers, *, providers: Providers | None = None) -> Litestar:
    """Build the process that sells; it also carries the outbox, takes messages and ends holds that ran out.

    ``providers`` come on top of those that the settings name; measurements pass one that is in process.
    """
    return _build("bookings", [*bookings.ROUTES, *changes.ROUTES], settings, peers, sells=True, providers=providers)


def build_payments(settings: Settings, peers: Peers, *, providers: Providers | None = None) -> Litestar:
    """Build the process that talks to payment providers; ``providers`` as for ``build_bookings``."""
    return _build("payments", [payments.PaymentController], settings, peers, pays=True, providers=providers)


def _build(
    process: str,
    routes: list[Any],
    settings: Settings,
    peers: Peers,
    *,
    shows: bool = False,
    sells: bool = False,
    pays: bool = False,
    providers: Providers | None = None,
) -> Litestar:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            opened = await _open(stack, process, settings, peers, providers or {}, follows=shows or sells)
            app.state.parts = opened
            kept[:] = [opened]
            app.state.payment_desk = paying.PaymentDesk(
                till=opened.till,
                beginnings=await stack.enter_async_context(BeginDesk.open(opened.database)),
                public_url=settings.public_url.rstrip("/"),
                window=timedelta(minutes=settings.payment_minutes),
            )
            if sells:
                await _sell(stack, settings, opened)
            if pays:
                await stack.enter_async_context(running(payment_jobs(opened.till)))
            yield

    app: Litestar
    kept: list[Parts] = []
    """The same as in the application's state, which takes 8 µs to ask."""

    async def database_answers() -> None:
        await app.state.parts.database.fetchval("SELECT 1")

    def open_parts() -> Parts:
        return kept[0]

    def hot_paths() -> list[HotPath]:
        shown = [houses.availability_path(open_parts)] if shows else []
        sold = [hot(open_parts, verifier) for hot in (reserving.hot_path, paying.confirm)] if sells else []
        paid = [paying.create(lambda: app.state.payment_desk, verifier)] if pays else []
        return [*shown, *sold, *paid]

    verifier = TokenVerifier(peers.jwks, issuer=settings.token_issuer)
    live = live_socket(
        open_parts, verifier, most=settings.live_clients, most_per_address=settings.live_clients_per_address
    )  # fmt: skip
    app = web.make_app(
        process,
        routes=routes,
        verifier=verifier,
        ready={"database": database_answers},
        lifespan=[lifespan],
        dependencies={"parts": parts},
        hot_paths=hot_paths(),
        hot_sockets=[live] if shows else [],
    )
    return app


async def _open(
    stack: AsyncExitStack,
    process: str,
    settings: Settings,
    peers: Peers,
    more_providers: Providers,
    *,
    follows: bool,
) -> Parts:
    database = await stack.enter_async_context(
        Database.open(settings.sales_database_url, size=settings.database_pool_size, name=f"{SERVICE}-{process}")
    )
    signer = KeyRing.from_file(Path(settings.ticket_key_file)) if settings.ticket_key_file else KeyRing.generate()
    providers = {**await stack.enter_async_context(open_providers(settings)), **more_providers}
    till = Settling(database=database, providers=providers, signer=signer)
    desk = await stack.enter_async_context(HoldDesk.open(database))
    confirmations = await stack.enter_async_context(ConfirmDesk.open(till))
    is_shared = follows and bool(settings.redis_url)
    shared = await stack.enter_async_context(SharedHouses.open(settings.redis_url)) if is_shared else None
    pictures = Houses(database, shared)
    await stack.enter_async_context(pictures.running())
    limiter = await stack.enter_async_context(Limiter.open(settings.redis_url if follows else ""))
    return Parts(
        database=database, holds=EarlyNo(desk, pictures, database), confirmations=confirmations, houses=pictures,
        codes=code_guesses(limiter, per_minute=settings.access_code_failures_per_minute), peers=peers,
        signer=signer, till=till,
    )  # fmt: skip


async def _sell(stack: AsyncExitStack, settings: Settings, opened: Parts) -> None:
    database = opened.database
    for type_ in get_args(OrderType):
        FACTS.labels(type_)  # a counter that begins with its first fact would hide that one from every rate
    redis = Redis.from_url(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    bus = await stack.enter_async_context(open_bus(settings.bus_url, redis))
    relay = Relay(
        service=SERVICE, database=database, bus=bus, copies=SEED_TOPICS,
        notice=consumers.own_orders(database, opened.houses), handover=handover_of(settings, SERVICE, database),
    )  # fmt: skip
    await stack.enter_async_context(relay.running())
    await stack.enter_async_context(bus.consuming(consumers.consumers(database, opened.houses)))
    auditor = await stack.enter_async_context(
        Database.open(
            settings.sales_database_url, size=AUDITOR_CONNECTIONS, name=f"{SERVICE}-auditor",
            statement_timeout_ms=WATCH_TIMEOUT_MS,
        )
    )  # fmt: skip
    await stack.enter_async_context(running([*sale_jobs(database, relay, opened.houses), *watch_jobs(auditor)]))
