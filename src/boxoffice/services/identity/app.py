"""Composition root of identity: settings, pool, keys, relay, timers, routes."""

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
from boxoffice.runtime.limits import Limiter
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.settings import Settings
from boxoffice.services.identity.api import parts as api_parts
from boxoffice.services.identity.api.auth import AuthController
from boxoffice.services.identity.api.organisations import OrganisationsController
from boxoffice.services.identity.api.users import UsersController
from boxoffice.services.identity.api.well_known import jwks, openid_configuration
from boxoffice.services.identity.jobs import jobs
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.providers.signing import SigningKeys
from boxoffice.services.identity.usecases.issue_tokens import Issuer
from boxoffice.services.identity.usecases.log_in import password_guesses

SERVICE = "identity"


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build identity's application; what it needs is opened by its lifespan."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            keys = SigningKeys.load(
                settings.signing_key_file, issuer=settings.token_issuer, life_minutes=settings.token_minutes
            )
            database = await stack.enter_async_context(
                Database.open(settings.identity_database_url, size=settings.database_pool_size, name=SERVICE)
            )
            limiter = await stack.enter_async_context(Limiter.open(settings.redis_url))
            redis = Redis.from_url(settings.redis_url)
            stack.push_async_callback(redis.aclose)
            bus = await stack.enter_async_context(open_bus(settings.bus_url, redis))
            relay = Relay(
                service=SERVICE, database=database, bus=bus, handover=handover_of(settings, SERVICE, database)
            )
            app.state.database = database
            app.state.parts = api_parts.Parts(
                database=database,
                hasher=Hasher(),
                keys=keys,
                issuer=Issuer(keys=keys, idle_days=settings.refresh_days),
                guesses=password_guesses(limiter, per_minute=settings.login_failures_per_minute),
                public_url=settings.public_url.rstrip("/"),
            )
            await stack.enter_async_context(relay.running())
            await stack.enter_async_context(running(jobs(database, public_url=settings.public_url)))
            yield

    app: Litestar

    async def database_answers() -> None:
        await app.state.database.fetchval("SELECT 1")

    app = web.make_app(
        SERVICE,
        routes=[AuthController, UsersController, OrganisationsController],
        root_routes=[jwks, openid_configuration],
        verifier=TokenVerifier(peers.jwks, issuer=settings.token_issuer),
        ready={"database": database_answers},
        lifespan=[lifespan],
        state={"issuer": settings.token_issuer},
        dependencies={"parts": api_parts.parts},
    )
    return app
