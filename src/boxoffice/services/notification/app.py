"""The composition root of notification: settings to pool, bus, mail server, consumer, timers and routes."""

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
from boxoffice.services.notification.jobs import jobs
from boxoffice.services.notification.providers.smtp import MailServer
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
        ):
            app.state.database = database
            post = Post(database=database, server=mail_server(settings), sender=sender(settings))
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


def mail_server(settings: Settings) -> MailServer:
    """Say where mail is handed in."""
    return MailServer(
        host=settings.smtp_host, port=settings.smtp_port, user=settings.smtp_user, password=settings.smtp_password,
        starttls=settings.smtp_tls,
    )  # fmt: skip


def sender(settings: Settings) -> Sender:
    """Say who writes."""
    return Sender(address=settings.mail_from, public_url=settings.public_url.rstrip("/"))
