"""What each member of an organisation may do with its events: every call, with every role."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.sales import EVENT, ORGANISATION, buy, event_fact, put_on_sale, set_aside
from tests.support.sales_apps import Apps

from boxoffice.runtime.authn import ORGANISER

DRAFT = 8
A_SEAT = [{"seatId": 1, "section": "A", "row": "1", "number": "1", "price": 10}]
MANAGERS, SELLERS = {"owner", "manager"}, {"owner", "manager", "box_office"}
ROLES = ("owner", "manager", "box_office", "scanner", "guest")
REFUSALS = {"sales.not_your_event", "sales.event_not_found", "sales.allocation_not_found", "sales.booking_not_found"}
ALLOCATIONS, ONE = "/events/{event_id}/allocations", "/events/{event_id}/allocations/{allocation_id}"
MANAGING: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/tickets/event/{draft_id}/create", A_SEAT),
    ("PUT", "/tickets/update-seats", {"ticketIds": [10], "status": "BLOCKED"}),
    ("GET", ALLOCATIONS, None),
    ("GET", ONE, None),
    ("POST", ALLOCATIONS, {"kind": "house", "name": "House", "ticketIds": [5]}),
    ("PATCH", ONE, {"name": "Other friends"}),
    ("POST", ONE + "/seats", {"ticketIds": [6]}),
    ("POST", ONE + "/give-back", {"ticketIds": [0]}),
    ("PUT", ONE + "/access-code", None),
    ("DELETE", ONE + "/access-code", None),
    ("POST", ONE + "/open", None),
    ("DELETE", ONE, None),
)
"""In this order each finds what it needs; seats are counted from the first of the event."""
SELLING: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/bookings?eventId={event_id}", None),
    ("GET", "/bookings/{booking_id}", None),
    ("POST", "/bookings/{booking_id}/cancel", {}),
)

EVERYTHING = """
SELECT json_build_object(
  'orders', (SELECT json_agg(t ORDER BY order_id) FROM orders t),
  'tickets', (SELECT json_agg(t ORDER BY ticket_id) FROM tickets t),
  'seats', (SELECT json_agg(t ORDER BY event_id, seat_id) FROM event_seats t),
  'allocations', (SELECT json_agg(t ORDER BY event_id, allocation_id) FROM allocations t),
  'refunds', (SELECT json_agg(t ORDER BY refund_id) FROM refunds t),
  'terms', (SELECT json_agg(t ORDER BY event_id) FROM event_terms t))::text
"""


async def ask(
    client: httpx.AsyncClient, call: tuple[str, str, Any], headers: dict[str, str], **names: object
) -> httpx.Response:
    method, path, body = call
    seats = names.pop("seats")
    if isinstance(body, dict) and "ticketIds" in body and isinstance(seats, list):
        body = {**body, "ticketIds": [seats[place] for place in body["ticketIds"]]}
    keyed = {**headers, "Idempotency-Key": str(uuid4())}
    return await client.request(method, path.format(draft_id=DRAFT, event_id=EVENT, **names), json=body, headers=keyed)


async def everything(apps: Apps) -> str:
    """All that these calls could change, as text."""
    return str(await apps.database.fetchval(EVERYTHING))


def refused(answers: Iterable[httpx.Response]) -> bool:
    return all(answer.status_code in {403, 404} and answer.json()["code"] in REFUSALS for answer in answers)


class TestRoles:
    @pytest.mark.parametrize("role", ROLES)
    async def test_each_role_may_do_its_own_and_nothing_else(self, apps: Apps, role: str) -> None:
        seats = await put_on_sale(apps.database, 20)
        apps.catalog.events[DRAFT] = (event_fact(DRAFT, status="draft"), 1)
        booking, _, _ = await buy(apps.database, seats[15:17])
        names = {"seats": seats, "allocation_id": await set_aside(apps.database, seats[:4]), "booking_id": booking}
        before = await everything(apps)
        headers = apps.organiser(role=role)
        managed = [await ask(apps.tickets, call, headers, **names) for call in MANAGING]
        if role in MANAGERS:
            assert [answer.text for answer in managed if not answer.is_success] == []
        else:
            assert refused(managed)
            assert await everything(apps) == before
        sold = [await ask(apps.bookings, call, headers, **names) for call in SELLING]
        if role in SELLERS:
            assert [answer.text for answer in sold if not answer.is_success] == []
        else:
            assert refused(sold)
            assert await everything(apps) == before

    async def test_a_scanner_cancels_the_own_booking_like_any_buyer(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 4)
        booking, owner, _ = await buy(apps.database, seats[:1])
        await apps.database.fetch("UPDATE orders SET cancel_until = clock_timestamp()")
        for role, status in (("scanner", 409), ("box_office", 200)):
            headers = apps.tokens.headers(owner, ("customer", "organiser"), {ORGANISATION: role})
            answer = await apps.bookings.post(f"/bookings/{booking}/cancel", json={}, headers=headers)
            assert answer.status_code == status, role

    @pytest.mark.parametrize("role", ROLES)
    async def test_every_member_sees_a_draft(self, apps: Apps, role: str) -> None:
        await put_on_sale(apps.database, 4, status="draft")
        for path in (f"/tickets/event/{EVENT}", f"/tickets/event/{EVENT}/types", f"/events/{EVENT}/availability"):
            assert (await apps.tickets.get(path, headers=apps.organiser(role=role))).status_code == 200, path
            assert (await apps.tickets.get(path, headers=apps.organiser(uuid4(), role))).status_code == 404, path

    async def test_no_call_for_organisers_is_left_out(self, apps: Apps) -> None:
        document = (await apps.tickets.get("http://test/openapi/openapi.json")).json()
        for_organisers = {
            (
                method.upper(),
                path.removeprefix("/api/v1").replace("/event/{event_id}/create", "/event/{draft_id}/create"),
            )
            for path, calls in document["paths"].items()
            for method, call in calls.items()
            if any(ORGANISER in needed for way in call.get("security", []) for needed in way.values())
        }
        assert for_organisers == {(method, re.sub(r"\?.*", "", path)) for method, path, _ in MANAGING}
