"""The catalog as a test drives it: its API as somebody, its database, and peers that trust the test's own tokens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
from tests.support.tasks import in_own_task
from tests.support.tokens import TokenFactory

from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.catalog.app import build


class TrustingPeers(Peers):
    """Knows the test's keys instead of asking identity."""

    def __init__(self, tokens: TokenFactory) -> None:
        super().__init__({})
        self._tokens = tokens

    async def jwks(self) -> dict[str, Any]:
        return await self._tokens.jwks()


@dataclass
class Catalog:
    """A client for somebody, and the database behind it."""

    database: Database
    peers: Peers
    tokens: TokenFactory
    organisation: UUID = field(default_factory=uuid4)
    user: UUID = field(default_factory=uuid4)

    def headers(self, role: str = "owner", *, organisation: UUID | None = None) -> dict[str, str]:
        """An organiser of the organisation, or of another."""
        return self.tokens.headers(self.user, ("customer", "organiser"), {organisation or self.organisation: role})

    def administrator(self) -> dict[str, str]:
        return self.tokens.headers(self.user, ("customer", "administrator"))

    async def ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **arguments: Any
    ) -> httpx.Response:
        """Call the API as the organisation's owner, or with other headers ({} is a stranger)."""
        chosen = self.headers() if headers is None else headers
        return await self.peers.client("catalog").request(method, f"/api/v1{path}", headers=chosen, **arguments)

    async def venue(self, **more: Any) -> dict[str, Any]:
        body = {
            "name": "City Hall", "description": "", "location": "1 Main Street", "totalSeats": 100,
            "timeZone": "America/New_York", **more,
        }  # fmt: skip
        answer = await self.ask("POST", "/venues", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def event(self, **more: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "/events", json=await self.event_body(**more))
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def event_body(self, **more: Any) -> dict[str, Any]:
        """The seed's body."""
        venue_id = more.pop("venueId", None) or (await self.venue())["id"]
        return {
            "name": "Gala", "description": "An evening.", "startTime": "2030-05-01T19:30:00",
            "endTime": "2030-05-01T22:00:00", "availableSeats": 100, "venueId": venue_id, **more,
        }  # fmt: skip

    async def published(self, **more: Any) -> dict[str, Any]:
        made = await self.event(**more)
        answer = await self.ask("POST", f"/events/{made['id']}/publish")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def told(self, event_id: int) -> list[dict[str, Any]]:
        """What the outbox has of an event, in order."""
        records = await self.database.fetch(
            "SELECT type, version, body FROM outbox WHERE topic = 'catalog.event.v1' AND key = $1 ORDER BY version",
            str(event_id),
        )
        return [dict(record) for record in records]


@asynccontextmanager
async def running_catalog(url: str, redis_url: str, tokens: TokenFactory) -> AsyncIterator[Catalog]:
    """The service as its process runs it, on a database."""
    peers = TrustingPeers(tokens)
    app = build(Settings(catalog_database_url=url, redis_url=redis_url), peers)
    peers.attach("catalog", app)
    async with in_own_task(app.lifespan()), Database.open(url, size=3) as database:
        yield Catalog(database=database, peers=peers, tokens=tokens)
        await peers.close()
