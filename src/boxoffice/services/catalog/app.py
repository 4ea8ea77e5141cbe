"""Composition root of the catalog: settings, pool, relay, timers, routes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar
from redis.asyncio import Redis

from boxoffice.runtime import web
from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.bus import open_bus
from boxoffice.runtime.database import Database
from boxoffice.runtime.handover import handover_of
from boxoffice.runtime.jobs import running
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.settings import Settings
from boxoffice.services.catalog.api import parts as api_parts
from boxoffice.services.catalog.api.categories import CategoriesController
from boxoffice.services.catalog.api.events import EventsController
from boxoffice.services.catalog.api.venues import VenuesController, read_seat_map
from boxoffice.services.catalog.jobs import jobs
from boxoffice.services.catalog.usecases.describe_event import Defaults

SERVICE = "catalog"


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build the catalog's application; what it needs is opened by its lifespan."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(
                Database.open(settings.catalog_database_url, size=settings.database_pool_size, name=SERVICE)
            )
            redis = Redis.from_url(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            bus = await stack.enter_async_context(open_bus(settings.bus_url, redis))
            relay = Relay(
                service=SERVICE, database=database, bus=bus, handover=handover_of(settings, SERVICE, database)
            )
            app.state.database = database
            app.state.parts = api_parts.Parts(
                database=database,
                defaults=Defaults(
                    currency=settings.default_currency,
                    limit_per_customer=settings.limit_per_customer,
                    hold_minutes=settings.hold_minutes,
                ),
                time_zone=settings.default_time_zone,
            )
            await stack.enter_async_context(relay.running())
            await stack.enter_async_context(running(jobs(relay)))
            yield

    app: Litestar

    async def database_answers() -> None:
        await app.state.database.fetchval("SELECT 1")

    app = web.make_app(
        SERVICE,
        routes=[EventsController, VenuesController, CategoriesController, read_seat_map],
        verifier=TokenVerifier(peers.jwks, issuer=settings.token_issuer),
        ready={"database": database_answers},
        lifespan=[lifespan],
        dependencies={"parts": api_parts.parts},
    )
    return app
