"""The whole search service on a real stream and a stand-in catalog, wherever its index is kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from tests.support.concert_facts import concert_facts

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog, sales
from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.contracts.messages.sales import SaleFact
from boxoffice.runtime.bus import StreamBus
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import build
from boxoffice.services.search.providers.shelf import Shelf

PATIENCE_S = 30.0


@dataclass
class StandInCatalog:
    """Answers the catalog's public list; ``facts`` by event id with their versions."""

    facts: dict[int, tuple[EventFact, int]] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.asked += 1
        query = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
        page_no, page_size = int(query["pageNo"]), int(query["pageSize"])
        chosen = sorted(self.facts)[page_no * page_size : (page_no + 1) * page_size]
        body = {
            "events": [_answer(*self.facts[event_id]) for event_id in chosen],
            "totalElement": len(self.facts),
            "isLast": (page_no + 1) * page_size >= len(self.facts),
        }
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 503 if self.away else 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


def _answer(fact: EventFact, version: int) -> dict[str, Any]:
    return {
        "id": fact.event_id, "name": fact.name, "description": fact.description, "startTime": fact.starts_at,
        "endTime": fact.ends_at, "timeZone": fact.venue.time_zone, "availableSeats": None,
        "venue": {
            "id": fact.venue.venue_id, "name": fact.venue.name, "location": fact.venue.location,
            "timeZone": fact.venue.time_zone, "city": fact.venue.city, "latitude": fact.venue.latitude,
            "longitude": fact.venue.longitude,
        },
        "category": {"id": fact.category_id, "name": fact.category}, "status": fact.status, "onSale": False,
        "currency": fact.currency, "limitPerCustomer": 8, "holdMinutes": 20, "refundPolicy": fact.refund_policy,
        "programme": fact.programme, "organisationId": fact.organisation_id, "version": version,
    }  # fmt: skip


def event(number: int, **changes: Any) -> EventFact:
    start = datetime.now(UTC) + timedelta(days=30)
    fact = msgspec.structs.replace(concert_facts()[0], event_id=number, starts_at=start, ends_at=start)
    return msgspec.structs.replace(fact, **changes)


def told(fact: EventFact | SaleFact, version: int) -> Envelope:
    topic = catalog.TOPIC if isinstance(fact, EventFact) else sales.EVENT_TOPIC
    return Envelope(
        message_id=uuid4(), topic=topic, key=str(fact.event_id), type_=f"{topic}.told", version=version,
        occurred_at=datetime.now(UTC), body=msgspec.Raw(msgspec.json.encode(fact)),
    )  # fmt: skip


@dataclass
class Running:
    client: httpx.AsyncClient
    shelf: Shelf

    async def search(self, **asked: Any) -> dict[str, Any]:
        answer = await self.client.get("/api/v1/search", params=asked)
        assert answer.status_code == httpx.codes.OK, answer.text
        page: dict[str, Any] = answer.json()
        return page

    async def total(self, **asked: Any) -> int:
        return int((await self.search(**asked))["totalElement"])


@asynccontextmanager
async def running(settings: Settings, stand_in: StandInCatalog) -> AsyncIterator[Running]:
    app = build(settings, peers(stand_in))
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield Running(client, app.state.shelf)


def peers(stand_in: StandInCatalog) -> Peers:
    known = Peers({"identity": "http://127.0.0.1:9"})
    known.attach("catalog", stand_in)
    return known


async def publish(bus: StreamBus, envelopes: Sequence[Envelope]) -> None:
    for start in range(0, len(envelopes), 500):
        assert await bus.publish(envelopes[start : start + 500], mark=("test", "0"), after=await bus.mark("test"))


async def until(holds: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


async def equals(value: Awaitable[int], wanted: int) -> bool:
    return await value == wanted


async def finds(shop: Running, wanted: int) -> bool:
    answer = await shop.client.get("/api/v1/search")
    assert answer.status_code in {200, 503}
    return answer.status_code == httpx.codes.OK and answer.json()["totalElement"] == wanted


async def shows_state(shop: Running, state: str) -> bool:
    return any(hit["saleState"] == state for hit in (await shop.search())["events"])


async def degraded(shop: Running) -> int:
    return int("degraded" in await shop.search())


async def times_asked(stand_in: StandInCatalog) -> int:
    return int(stand_in.asked > 0)


async def asked_again(stand_in: StandInCatalog, before: int) -> int:
    return int(stand_in.asked > before)
