"""Put concerts on sale in the machine, and open accounts that buy."""

import asyncio
import time
from collections import deque
from typing import Any

import httpx
from tests.machine.crowd import PASSWORD, Customer
from tests.support.processes import Deployment

ADMINISTRATOR, ORGANISER = "administrator@example.org", "organiser@example.org"
NAMES = (
    "A great symphony", "Symphony of a thousand", "Piano and strings", "The great piano", "Symphony in C", "Piano alone",
)  # fmt: skip
SEATS = 2_400
CUSTOMERS = 24
TERMS = """
UPDATE event_terms SET hold_seconds = 600, limit_per_customer = 1000
WHERE event_id = $1 AND status = 'published' RETURNING 1
"""
"""Limits and budgets of customers are tested elsewhere: so few of them buy everything here."""


class Office:
    """Calls of one login, each of which must work."""

    def __init__(self, works: Deployment) -> None:
        self._client = httpx.AsyncClient(base_url=f"{works.url('gateway')}/api/v1", timeout=60, trust_env=False)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._client.request(method, path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None

    async def login(self, email: str) -> str:
        told = await self.call("POST", "/auth/login", {"email": email, "password": PASSWORD})
        token = str(told["accessToken"])
        self._client.headers["authorization"] = f"Bearer {token}"
        return token

    async def close(self) -> None:
        await self._client.aclose()


async def put_on_sale(works: Deployment) -> tuple[list[int], deque[int]]:
    """Publish the concerts; gives their ids, and the seats of the first one."""
    await asyncio.to_thread(works.make_administrator, ADMINISTRATOR, PASSWORD)
    office = Office(works)
    await office.login(ADMINISTRATOR)
    category = await office.call("POST", "/categories", {"name": "Concert"})
    await office.call("POST", "/auth/register", {"name": "Organiser", "email": ORGANISER, "password": PASSWORD})
    await office.login(ORGANISER)
    await office.call("POST", "/organisations", {"name": "A society"})
    await office.login(ORGANISER)
    hall = {"name": "A hall", "description": "", "location": "1 Some Street, Leipzig", "totalSeats": SEATS}
    venue = await office.call("POST", "/venues", hall)
    events, seats = [], deque[int]()
    for name in NAMES:
        concert = {
            "name": name, "description": "On sale whatever breaks", "startTime": "2031-05-01T19:30:00",
            "endTime": "2031-05-01T22:00:00", "availableSeats": SEATS, "venueId": venue["id"],
            "categoryId": category["id"],
        }  # fmt: skip
        event = (await office.call("POST", "/events", concert))["id"]
        places = SEATS if not events else 10
        plan = [
            {"seatId": n, "section": "Stalls", "row": str(n // 40 + 1), "number": str(n % 40 + 1), "price": 40}
            for n in range(places)
        ]
        made = await office.call("POST", f"/tickets/event/{event}/create", plan)
        await office.call("POST", f"/events/{event}/publish")
        seats.extend([] if events else [seat["ticketId"] for seat in made])
        events.append(event)
    await office.close()
    deadline = time.monotonic() + 60
    while not await works.look(TERMS, events[0]):
        assert time.monotonic() < deadline, "sales never heard that the event is published"
        await asyncio.sleep(0.2)
    await _until_found(works)
    return events, seats


async def _until_found(works: Deployment) -> None:
    async with httpx.AsyncClient(base_url=f"{works.url('gateway')}/api/v1", timeout=30, trust_env=False) as client:
        deadline = time.monotonic() + 60
        while True:
            page = (await client.get("/search", params={"q": "symphony"})).json()
            if page.get("totalElement") == 3 and "degraded" not in page:
                return
            assert time.monotonic() < deadline, f"search never found the concerts: {page}"
            await asyncio.sleep(0.3)


async def open_accounts(works: Deployment) -> list[Customer]:
    """Register customers and log them in."""
    office, customers = Office(works), []
    for number in range(CUSTOMERS):
        email = f"buyer-{number}@example.org"
        told = await office.call("POST", "/auth/register", {"name": "Buyer", "email": email, "password": PASSWORD})
        customers.append(Customer(email=email, user_id=told["id"]))
    await office.close()
    await log_in(works, customers)
    return customers


async def log_in(works: Deployment, customers: list[Customer]) -> None:
    """Log customers in anew: a token lasts ten minutes."""
    office = Office(works)
    for customer in customers:
        customer.token = await office.login(customer.email)
    await office.close()
