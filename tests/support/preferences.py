"""Notification as its process runs it, with preferences in PostgreSQL or in MongoDB."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from litestar import Litestar
from litestar.testing import AsyncTestClient
from tests.support import notification as made
from tests.support.tokens import TokenFactory

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.notification.app import build
from boxoffice.services.notification.consumers import consumer
from boxoffice.simulators.mailbox import Mailbox

HERE = "/api/v1/users/me/preferences"


class KnownPeers(Peers):
    """Peers whose identity is a token factory."""

    def __init__(self, tokens: TokenFactory) -> None:
        super().__init__({})
        self._tokens = tokens

    async def jwks(self) -> dict[str, Any]:
        return await self._tokens.jwks()


@dataclass
class Notification:
    """The running service, and what it works with."""

    client: AsyncTestClient[Litestar]
    database: Database
    mailbox: Mailbox
    tokens: TokenFactory

    async def take(self, *envelopes: Envelope) -> None:
        """Take messages as the bus hands them over."""
        for envelope in envelopes:
            await consumer(self.database).take(envelope)

    async def read(self, user_id: UUID) -> httpx.Response:
        return await self.client.get(HERE, headers=self.tokens.headers(user_id))

    async def write(self, user_id: UUID, wish: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.client.put(HERE, json=wish, headers={**self.tokens.headers(user_id), **headers})

    async def send_news(self, user_id: UUID) -> httpx.Response:
        body = {"userId": str(user_id), "channel": "email", "subject": "Doors", "message": "Early."}
        return await self.client.post(
            "/api/v1/notifications/send", json=body, headers=self.tokens.headers(uuid4(), ("support",))
        )

    async def states(self, user_id: UUID) -> dict[str, str]:
        """The state of a user's mails by their template."""
        found = await self.database.fetch("SELECT template, state FROM mail_jobs WHERE user_id = $1", user_id)
        return {record["template"]: record["state"] for record in found}

    async def make_due(self) -> None:
        await self.database.fetch("UPDATE mail_jobs SET due_at = clock_timestamp() WHERE state = 'waiting' RETURNING 1")

    def subjects(self, user_id: UUID) -> list[str]:
        """The subjects of the mails that a user has got."""
        found = [
            self.mailbox.folder.find(one.mail_id) for one in self.mailbox.folder.newest(to=f"{user_id}@example.org")
        ]
        return [str(made.read(one[1])["Subject"]) for one in found if one is not None]


@asynccontextmanager
async def running(
    notification_url: str, redis_url: str, mailbox: Mailbox, tokens: TokenFactory, *, mongodb_url: str = ""
) -> AsyncIterator[Notification]:
    """Run the service while inside."""
    settings = Settings(
        notification_database_url=notification_url, redis_url=redis_url, smtp_port=mailbox.smtp_port,
        public_url="https://shop.example/", mail_from="tickets@shop.example", database_pool_size=6,
        mongodb_url=mongodb_url,
    )  # fmt: skip
    async with (
        AsyncTestClient(build(settings, KnownPeers(tokens))) as client,
        Database.open(notification_url, size=3) as database,
    ):
        yield Notification(client=client, database=database, mailbox=mailbox, tokens=tokens)
