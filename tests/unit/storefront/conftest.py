"""The storefront over a stand-in for the API: no sockets, every page as a browser gets it."""

import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.support.gateway import FakeGateway

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.storefront.app import build

SHOP = "http://127.0.0.1:8000"
BOOKING = "8a8f2c0e-6d0c-4f6e-9b1d-2f6f3a7f1c55"
TICKET = "11111111-2222-4333-8444-555555555555"
ORGANISATION = "99999999-2222-4333-8444-555555555555"
SECRET = "a secret that is long enough"
HALL = {
    "format": "hall/1",
    "name": "Small Hall",
    "credit": "Plan: the house",
    "sections": [{"name": "Stalls", "rows": [{"row": "A", "blocks": ["1-3"]}, {"row": "B", "blocks": ["1-2", "3-4"]}]}],
}


def token(roles: list[str]) -> str:
    claims = {"roles": roles, "orgs": [{"id": ORGANISATION, "role": "owner"}] if "organiser" in roles else []}
    return f"head.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.sign"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7, "name": "Mahler Symphony No. 5", "description": "An evening.", "startTime": "2027-03-14T11:30:00Z",
        "endTime": "2027-03-14T13:30:00Z", "timeZone": "Asia/Hong_Kong", "availableSeats": None,
        "venue": {"id": 1, "name": "Small Hall", "location": "1 Street", "timeZone": "Asia/Hong_Kong", "city": "Hong Kong"},
        "category": {"id": 1, "name": "Season"}, "status": "published", "onSale": True, "onSaleAt": None, "offSaleAt": None,
        "seatMapId": 3, "currency": "USD", "limitPerCustomer": 8, "holdMinutes": 20,
        "refundPolicy": {"cancelUntilHours": 24, "refundPercent": 80}, "programme": [], "organisationId": ORGANISATION,
        "source": None, "version": 1, **changes,
    }  # fmt: skip


def seat(place: int, row: str, number: str, *, price: str = "80.00", level: str = "Standard") -> dict[str, Any]:
    return {
        "ticketId": (7 << 20) | place, "section": "Stalls", "row": row, "number": number, "price": price,
        "currency": "USD", "priceLevel": level, "status": "AVAILABLE", "mark": None,
    }  # fmt: skip


SEATS = [seat(0, "A", "1"), seat(1, "A", "2"), seat(2, "A", "3")] + [
    seat(place, "B", str(place - 2), price="40.50", level="Rear") for place in range(3, 7)
]


def availability(states: list[int]) -> dict[str, Any]:
    packed = bytearray((len(states) + 3) // 4)
    for place, state in enumerate(states):
        packed[place >> 2] |= state << 2 * (place & 3)
    return {
        "eventId": 7, "version": 1, "places": len(states), "states": base64.b64encode(bytes(packed)).decode(),
        "free": states.count(0), "held": states.count(1), "sold": states.count(2), "blocked": 0, "asOf": 1,
    }  # fmt: skip


def booking(status: str = "HELD", **changes: Any) -> dict[str, Any]:
    issued = {"issuedTicketId": TICKET, "ticketStatus": "VALID"} if status == "CONFIRMED" else {}
    return {
        "bookingId": BOOKING, "userId": BOOKING,
        "event": {
            "id": 7, "name": "Mahler Symphony No. 5", "startTime": "2027-03-14T11:30:00Z",
            "endTime": "2027-03-14T13:30:00Z", "timeZone": "Asia/Hong_Kong", "venueName": "Small Hall", "venueLocation": "1 Street",
        },
        "status": status, "tickets": [{**SEATS[0], **issued}, {**SEATS[3], **issued}], "total": "120.50", "currency": "USD",
        "expiresAt": None, "expiresInSeconds": 1199 if status == "HELD" else 0, "payment": None,
        "refundPolicy": {"cancelUntil": "2027-03-13T11:30:00Z", "refundPercent": 80},
        "cancellable": status == "CONFIRMED", "createdAt": "2027-01-01T00:00:00Z", **changes,
    }  # fmt: skip


@pytest.fixture
def gateway() -> FakeGateway:
    """An API with one event, whose seat A2 is sold and B1 held, one booking, and one login."""
    return FakeGateway(
        answers={
            "POST /auth/login": (200, {"accessToken": token(["customer"]), "refreshToken": "r1", "expiresInSeconds": 600}),
            "POST /auth/logout": (204, b""),
            "GET /users/me": (200, {"id": BOOKING, "name": "Ada", "email": "ada@example.org", "roles": ["customer"]}),
            "GET /search": (200, {"events": [], "totalElement": 0, "facets": {}}),
            "GET /events/7": (200, event()),
            "GET /events/7/availability": (200, availability([0, 2, 0, 1, 0, 0, 0])),
            "GET /tickets/event/7": (200, SEATS),
            "GET /seat-maps/3": (200, {"id": 3, "venueId": 1, "version": 1, "hall": HALL}),
            "POST /bookings/reserve": (201, {"bookingId": BOOKING}),
            f"GET /bookings/{BOOKING}": (200, booking()),
        }
    )  # fmt: skip


def browser(gateway: FakeGateway, **settings: Any) -> httpx.AsyncClient:
    """A browser without JavaScript: it keeps cookies and follows no redirect by itself."""
    peers = Peers({})
    peers.attach("gateway", gateway)
    app = build(Settings(session_secret=SECRET, **{"public_url": SHOP, **settings}), peers)
    address = settings.get("public_url", SHOP)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=address, timeout=10)


@pytest.fixture
async def visitor(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not logged in."""
    async with browser(gateway) as client:
        yield client


@pytest.fixture
async def customer(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is logged in."""
    async with browser(gateway) as client:
        await log_in(client)
        yield client


async def log_in(client: httpx.AsyncClient, *, next_path: str = "") -> httpx.Response:
    """Log in through the form."""
    page = await client.get("/login", params={"next": next_path} if next_path else {})
    form = {"csrf": hidden(page, "csrf"), "next": next_path, "email": "ada@example.org", "password": "some words here"}
    return await client.post("/login", data=form)


def hidden(page: httpx.Response, name: str) -> str:
    """Read a hidden field of a page's last form that has it."""
    found = re.findall(rf'<input type="hidden" name="{name}" value="([^"]*)">', page.text)
    assert found, f"no field {name} in {page.url}"
    return str(found[-1])
