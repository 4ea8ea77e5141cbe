"""The composition root of notification: settings to pool, stores, bus, mail server, consumer, timers and routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from redis.asyncio import Redis

from boxoffice.runtime import jobs as timers
from boxoffice.runtime import web
from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.bus import open_bus
from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.notification.api import ROUTES
from boxoffice.services.notification.consumers import consumer
from boxoffice.services.notification.domain.preferences import Home, PreferenceStore
from boxoffice.services.notification.jobs import jobs
from boxoffice.services.notification.providers.smtp import MailServer
from boxoffice.services.notification.store.preferences import PostgresPreferences
from boxoffice.services.notification.usecases.carry_preferences import adopt_home, carry_preferences
from boxoffice.services.notification.usecases.read_preferences import Choices
from boxoffice.services.notification.usecases.send_due_mails import Post
from boxoffice.services.notification.usecases.write_letter import Sender


def build(settings: Settings, peers: Peers) -> Litestar:
    """Build the notification service; everything opens when the application starts and closes in reverse."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with (
            Database.open(
                settings.notification_database_url, size=settings.database_pool_size, name="notification"
            ) as database,
            Redis.from_url(settings.redis_url) as redis,
            preference_store(settings, database) as store,
        ):
            await adopt_home(database, store)
            choices = Choices(database=database, store=store)
            app.state.database, app.state.choices = database, choices
            post = Post(database=database, server=mail_server(settings), sender=sender(settings), choices=choices)
            async with (
                open_bus(settings.bus_url, redis) as bus,
                bus.consuming([consumer(database)]),
                timers.running(jobs(post)),
            ):
                yield

    async def database_answers() -> None:
        await app.state.database.fetchval("SELECT 1")

    app = web.make_app(
        "notification",
        routes=ROUTES,
        verifier=TokenVerifier(peers.jwks, issuer=settings.token_issuer),
        ready={"database": database_answers},
        lifespan=[lifespan],
    )
    return app


@asynccontextmanager
async def preference_store(settings: Settings, database: Database) -> AsyncIterator[PreferenceStore]:
    """Keep the store open that the settings name; a MongoDB that is away is found out about when it is asked."""
    if not settings.mongodb_url:
        yield PostgresPreferences(database)
        return
    from boxoffice.runtime.mongodb import open_mongodb
    from boxoffice.services.notification.providers.mongo_preferences import MongoPreferences

    async with open_mongodb(settings.mongodb_url, name="boxoffice notification") as documents:
        yield MongoPreferences(documents)


async def carry_to(settings: Settings, home: Home) -> int | None:
    """Carry preferences to a store from the other one; returns how many users', none when they are there already."""
    async with (
        Database.open(settings.notification_database_url, size=2, name="notification") as database,
        preference_store(settings, database) as elsewhere,
    ):
        here: PreferenceStore = PostgresPreferences(database)
        here, there = (here, elsewhere) if home is Home.MONGODB else (elsewhere, here)
        return await carry_preferences(database, here=here, there=there)


async def keep_preferences_where_told(settings: Settings) -> None:
    """Carry preferences to MongoDB if the settings name one, before anybody serves: so nobody has to be waited for."""
    if not settings.mongodb_url:
        return
    async with (
        Database.open(settings.notification_database_url, size=2, name="notification") as database,
        preference_store(settings, database) as there,
    ):
        await adopt_home(database, there)
        await carry_preferences(database, here=PostgresPreferences(database), there=there, drain_s=0)


def mail_server(settings: Settings) -> MailServer:
    """Say where mail is handed in."""
    return MailServer(
        host=settings.smtp_host, port=settings.smtp_port, user=settings.smtp_user, password=settings.smtp_password,
        starttls=settings.smtp_tls,
    )  # fmt: skip


def sender(settings: Settings) -> Sender:
    """Say who writes."""
    return Sender(address=settings.mail_from, public_url=settings.public_url.rstrip("/"))
