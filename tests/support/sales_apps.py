"""The three processes of sales as a test drives them: over ASGI, on a real database, with a catalog of one page each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
from litestar import Litestar, Response, get
from tests.support.sales import ORGANISATION
from tests.support.tokens import TokenFactory

from boxoffice.contracts.hall import Hall, Row, Section
from boxoffice.contracts.http.catalog import EventAnswer, SeatMapAnswer, VenueAnswer
from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.sales.app import build_bookings, build_payments, build_tickets

HALL = Hall(
    format="hall/1",
    name="A small hall",
    sections=(
        Section(name="Stalls", rows=(Row(row="A", blocks=("1-5", "6-10")), Row(row="B", blocks=("1-10",)))),
        Section(name="Circle", rows=(Row(row="A", blocks=("1-5",), marks={"5": "management"}),)),
    ),
)


@dataclass
class Catalog:
    """What the catalog answers: events by id, and seat map 1."""

    events: dict[int, tuple[EventFact, int]] = field(default_factory=dict)

    def app(self) -> Litestar:
        @get("/api/v1/events/{event_id:int}")
        async def event(event_id: int) -> Response[bytes]:
            if event_id not in self.events:
                return Response(b"{}", status_code=404)
            return Response(msgspec.json.encode(answer_of(*self.events[event_id])), media_type="application/json")

        @get("/api/v1/seat-maps/{seat_map_id:int}")
        async def seat_map(seat_map_id: int) -> Response[bytes]:
            if seat_map_id != 1:
                return Response(b"{}", status_code=404)
            found = SeatMapAnswer(id=1, venue_id=1, version=1, hall=HALL)
            return Response(msgspec.json.encode(found), media_type="application/json")

        return Litestar([event, seat_map])


def answer_of(fact: EventFact, version: int) -> EventAnswer:
    """The API's answer for what a message told."""
    return EventAnswer(
        id=fact.event_id, name=fact.name, description=fact.description, start_time=fact.starts_at,
        end_time=fact.ends_at, time_zone=fact.venue.time_zone, available_seats=fact.capacity,
        venue=VenueAnswer(id=1, name=fact.venue.name, location=fact.venue.location, time_zone=fact.venue.time_zone),
        status=fact.status, on_sale=True, on_sale_at=fact.on_sale_at, off_sale_at=fact.off_sale_at,
        seat_map_id=fact.seat_map_id, currency=fact.currency, limit_per_customer=fact.limit_per_customer,
        hold_minutes=fact.hold_minutes, refund_policy=fact.refund_policy, organisation_id=fact.organisation_id,
        version=version,
    )  # fmt: skip


@dataclass
class Apps:
    """Clients of the processes, a database to look into, and tokens."""

    tickets: httpx.AsyncClient
    bookings: httpx.AsyncClient
    payments: httpx.AsyncClient
    database: Database
    catalog: Catalog
    tokens: TokenFactory

    def buyer(self, user_id: UUID | None = None) -> tuple[UUID, dict[str, str]]:
        """A customer and the headers that say so."""
        found = user_id or uuid4()
        return found, self.tokens.headers(found)

    def organiser(self, organisation: UUID = ORGANISATION, role: str = "owner") -> dict[str, str]:
        """Headers of a member of that organisation, with that role in it."""
        return self.tokens.headers(uuid4(), ("customer", "organiser"), {organisation: role})


@asynccontextmanager
async def _running_apps(
    sales_url: str, redis_url: str, tokens: TokenFactory, folder: Path, *, pool: int = 5, **settings: Any
) -> AsyncIterator[Apps]:
    used = replace(
        Settings(), sales_database_url=sales_url, redis_url=redis_url, database_pool_size=pool,
        ticket_key_file=str(folder / "tickets.pem"), **settings,
    )  # fmt: skip
    catalog = Catalog()
    peers = Peers({})

    @get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        return await tokens.jwks()

    peers.attach("identity", Litestar([jwks]))
    peers.attach("catalog", catalog.app())
    builders: dict[str, Callable[[Settings, Peers], Litestar]] = {
        "tickets": build_tickets, "bookings": build_bookings, "payments": build_payments,
    }  # fmt: skip
    clients: dict[str, httpx.AsyncClient] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(peers.close)
        for name, build in builders.items():
            app = build(used, peers)
            await stack.enter_async_context(app.lifespan())
            clients[name] = await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/v1")
            )
        database = await stack.enter_async_context(Database.open(sales_url, size=2))
        yield Apps(**clients, database=database, catalog=catalog, tokens=tokens)


@asynccontextmanager
async def running_apps(
    sales_url: str, redis_url: str, tokens: TokenFactory, folder: Path, **options: Any
) -> AsyncIterator[Apps]:
    """Run tickets, bookings and payments.

    In a task of their own: Litestar's lifespan has to be left by the task that entered it, and a fixture's is not.
    """
    ready: asyncio.Future[Apps] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def run() -> None:
        try:
            async with _running_apps(sales_url, redis_url, tokens, folder, **options) as apps:
                ready.set_result(apps)
                await done.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    task = asyncio.create_task(run())
    try:
        yield await ready
    finally:
        done.set()
        await task
