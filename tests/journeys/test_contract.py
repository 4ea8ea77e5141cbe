"""Every path of the public contract up to Notifications answers as written, driven with the seed's own bodies."""

import base64
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.support.shop import Shop

pytestmark = pytest.mark.xdist_group("shop")

LATER = {
    "WS /notifications/live",
    "GET /organisations/{id}/members",
    "GET /organisations/{id}/api-keys",
}
"""What later work completes: it answers 501 with a problem until then."""

Answer = dict[str, Any]


def problem(answer: httpx.Response, status: int, code: str | None = None) -> Answer:
    """The body of a problem, checked for what every problem has."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: Answer = answer.json()
    assert body["code"]
    assert len(body["traceId"]) == 32
    assert body["status"] == status
    if code:
        assert body["code"] == code, body
    return body


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, f"{answer.request.url} {answer.status_code}: {answer.text[:800]}"
    return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def organiser(shop: Shop) -> Iterator[httpx.Client]:
    with closing(shop.client("organiser@example.org")) as client:
        yield client


@pytest.fixture(scope="session")
def administrator(shop: Shop) -> Iterator[httpx.Client]:
    with closing(shop.client("administrator@example.org")) as client:
        yield client


@pytest.fixture
def customer(shop: Shop) -> Iterator[tuple[httpx.Client, Answer]]:
    client, user = shop.new_customer("customer")
    with closing(client):
        yield client, user


@pytest.fixture(scope="session")
def anyone(shop: Shop) -> Iterator[httpx.Client]:
    with closing(shop.client()) as client:
        yield client


@pytest.fixture(scope="session")
def venue(organiser: httpx.Client) -> Answer:
    body = {
        "name": "Contract Hall", "description": "A hall for the contract", "location": "1 Contract Street, Leipzig",
        "totalSeats": 12,
    }  # fmt: skip
    created: Answer = ok(organiser.post("/venues", json=body), 201)
    return created


@pytest.fixture(scope="session")
def category(administrator: httpx.Client) -> Answer:
    created: Answer = ok(administrator.post("/categories", json={"name": f"Contract {secrets.token_hex(3)}"}), 201)
    return created


def seed_event(venue: Answer, category: Answer, **more: Any) -> Answer:
    """The seed's own body: local times without an offset."""
    return {
        "name": "Contract concert", "description": "Sold by contract", "startTime": "2031-05-01T19:30:00",
        "endTime": "2031-05-01T22:00:00", "availableSeats": 12, "venueId": venue["id"], "categoryId": category["id"],
        **more,
    }  # fmt: skip


def on_sale(
    organiser: httpx.Client, venue: Answer, category: Answer, *, price: Any = 49.5
) -> tuple[Answer, list[Answer]]:
    """An event published and on sale with twelve seats, made with the seed's list."""
    event = ok(organiser.post("/events", json=seed_event(venue, category)), 201)
    seats = [
        {
            "seatId": number,
            "section": "Stalls",
            "row": "A" if number <= 6 else "B",
            "number": str(number),
            "price": price,
        }
        for number in range(1, 13)
    ]
    tickets = ok(organiser.post(f"/tickets/event/{event['id']}/create", json=seats), 201)
    event = ok(organiser.post(f"/events/{event['id']}/publish"), 200)
    wait_until(lambda: on_sale_in_sales(organiser, tickets))
    return event, tickets


def on_sale_in_sales(organiser: httpx.Client, tickets: list[Answer]) -> bool:
    """Whether the published fact has reached sales: a refusal "not on sale" turns into one that asks for customers' roles or a hold."""
    user = ok(organiser.get("/users/me"))
    event_id = tickets[0]["ticketId"] >> 20
    answer = organiser.post(
        "/bookings/reserve", json={"userId": user["id"], "eventId": event_id, "ticketIds": [tickets[-1]["ticketId"]]}
    )
    if answer.status_code == httpx.codes.CREATED:
        organiser.delete(f"/bookings/{answer.json()['bookingId']}/hold")
        return True
    return False


def wait_until(true: Any, *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def pay(shop: Shop, client: httpx.Client, booking: Answer) -> str:
    """Start the payment, approve it as a buyer does on the provider's page, follow the redirects back."""
    body = {
        "bookingId": booking["bookingId"],
        "provider": "paypal",
        "returnUrl": f"{shop.url}/",
        "cancelUrl": f"{shop.url}/",
    }
    payment = ok(client.post("/payments/create", json=body), 201)
    assert set(payment) >= {"paymentId", "approvalUrl"}
    with httpx.Client(follow_redirects=False, timeout=30) as browser:
        page = browser.get(payment["approvalUrl"])
        assert page.status_code == httpx.codes.OK
        approved = browser.post(payment["approvalUrl"], data={"choice": "pay"})
        assert approved.status_code in {302, 303}, approved.text[:500]
        back = browser.get(approved.headers["location"])
        assert back.status_code in {302, 303}, back.text[:500]
    return str(payment["paymentId"])


class TestIdentity:
    def test_register_login_refresh_logout(self, anyone: httpx.Client) -> None:
        email = f"seed-{secrets.token_hex(4)}@example.org"
        body = {"name": "A customer", "email": email, "phone": "+4934112345678", "password": "long-enough-for-us"}
        user = ok(anyone.post("/auth/register", json=body), 201)
        assert user["email"] == email
        assert "password" not in str(user).lower()
        login = ok(anyone.post("/auth/login", json={"email": email, "password": body["password"]}))
        assert set(login) >= {"accessToken", "refreshToken", "expiresInSeconds"}
        assert login["expiresInSeconds"] <= 600
        again = ok(anyone.post("/auth/refresh", json={"refreshToken": login["refreshToken"]}))
        assert again["refreshToken"] != login["refreshToken"]
        headers = {"Authorization": f"Bearer {again['accessToken']}"}
        out = anyone.post("/auth/logout", json={"refreshToken": again["refreshToken"]}, headers=headers)
        assert out.status_code in {200, 204}
        problem(anyone.post("/auth/refresh", json={"refreshToken": again["refreshToken"]}), 401)
        problem(anyone.post("/auth/login", json={"email": email, "password": "not the password"}), 401)

    def test_verify_forgot_reset_answer(self, anyone: httpx.Client) -> None:
        assert anyone.post("/auth/forgot-password", json={"email": "nobody@example.org"}).status_code in {200, 202, 204}
        refused = anyone.post("/auth/reset-password", json={"token": "no-such-token", "password": "long-enough-for-us"})
        assert refused.status_code in {401, 404, 410, 422}
        problem(refused, refused.status_code)
        refused = anyone.post("/auth/verify-email", json={"token": "no-such-token"})
        problem(refused, refused.status_code)

    def test_keys_at_the_root(self, shop: Shop) -> None:
        keys = ok(httpx.get(f"{shop.url}/.well-known/jwks.json"))["keys"]
        assert all(key["kty"] == "OKP" and key["crv"] == "Ed25519" and "d" not in key for key in keys)
        assert ok(httpx.get(f"{shop.url}/.well-known/openid-configuration"))["jwks_uri"].endswith(
            "/.well-known/jwks.json"
        )

    def test_users_me(self, customer: tuple[httpx.Client, Answer]) -> None:
        client, user = customer
        assert ok(client.get("/users/me"))["id"] == user["id"]
        assert ok(client.patch("/users/me", json={"name": "Another name"}))["name"] == "Another name"
        assert user["email"] in client.get("/users/me/export").text
        wish = {
            "receiveEmail": True, "receiveSms": False, "receivePushNotifications": False, "preferredLanguage": "de",
        }  # fmt: skip
        assert ok(client.put("/users/me/preferences", json=wish)) == wish
        assert ok(client.get("/users/me/preferences")) == wish
        assert client.delete("/users/me").status_code in {200, 202, 204}

    def test_organisations(self, customer: tuple[httpx.Client, Answer]) -> None:
        client, _ = customer
        made = ok(client.post("/organisations", json={"name": f"Society {secrets.token_hex(3)}"}), 201)
        assert ok(client.get(f"/organisations/{made['id']}"))["name"] == made["name"]
        for path in ("members", "api-keys"):
            answer = client.get(f"/organisations/{made['id']}/{path}")
            assert answer.status_code in {200, 501}


class TestEventsVenuesCategories:
    def test_categories(self, anyone: httpx.Client, administrator: httpx.Client, organiser: httpx.Client) -> None:
        made = ok(administrator.post("/categories", json={"name": f"Opera {secrets.token_hex(3)}"}), 201)
        assert any(
            entry["id"] == made["id"] for entry in ok(anyone.get("/categories", params={"pageSize": 100}))["categories"]
        )
        assert ok(anyone.get(f"/categories/{made['id']}"))["name"] == made["name"]
        assert ok(administrator.put(f"/categories/{made['id']}", json={"name": f"{made['name']} b"}))["name"].endswith(
            " b"
        )
        problem(organiser.post("/categories", json={"name": "Not mine to make"}), 403)
        assert administrator.delete(f"/categories/{made['id']}").status_code in {200, 204}
        problem(anyone.get(f"/categories/{made['id']}"), 404)

    def test_venues(self, anyone: httpx.Client, organiser: httpx.Client, venue: Answer) -> None:
        assert ok(anyone.get(f"/venues/{venue['id']}"))["location"] == venue["location"]
        assert "venues" in ok(anyone.get("/venues"))
        body = {"name": "Contract Hall", "description": "Better", "location": venue["location"], "totalSeats": 12}
        assert ok(organiser.put(f"/venues/{venue['id']}", json=body))["description"] == "Better"
        other = ok(organiser.post("/venues", json={**body, "name": "Short-lived Hall"}), 201)
        assert organiser.delete(f"/venues/{other['id']}").status_code in {200, 204}
        problem(anyone.get(f"/venues/{other['id']}"), 404)

    def test_seat_maps(self, anyone: httpx.Client, organiser: httpx.Client, venue: Answer) -> None:
        hall = {
            "format": "hall/1", "name": "Contract Hall", "published_totals": {"Stalls": 12, "Total": 12},
            "sections": [{"name": "Stalls", "rows": [{"row": "A", "blocks": ["1-6"]}, {"row": "B", "blocks": ["1-6"]}]}],
        }  # fmt: skip
        made = ok(organiser.post(f"/venues/{venue['id']}/seat-maps", json=hall), 201)
        got = anyone.get(f"/seat-maps/{made['id']}")
        assert ok(got)["hall"]["sections"][0]["name"] == "Stalls"
        assert "immutable" in got.headers["cache-control"]
        refused = organiser.post(
            f"/venues/{venue['id']}/seat-maps", json={**hall, "published_totals": {"Stalls": 13, "Total": 13}}
        )
        assert "Stalls" in problem(refused, 422)["detail"]

    def test_events(self, anyone: httpx.Client, organiser: httpx.Client, venue: Answer, category: Answer) -> None:
        event = ok(organiser.post("/events", json=seed_event(venue, category)), 201)
        expected = {
            "id", "name", "description", "startTime", "endTime", "timeZone", "availableSeats", "venue", "category",
            "status", "onSale",
        }  # fmt: skip
        assert set(event) >= expected
        assert event["status"] == "draft"
        problem(anyone.get(f"/events/{event['id']}"), 404)
        changed = ok(organiser.put(f"/events/{event['id']}", json=seed_event(venue, category, name="Changed")))
        assert changed["name"] == "Changed"
        assert ok(organiser.post(f"/events/{event['id']}/publish"))["status"] == "published"
        got = anyone.get(f"/events/{event['id']}")
        assert ok(got)["onSale"] is True
        again = anyone.get(f"/events/{event['id']}", headers={"If-None-Match": got.headers["etag"]})
        assert again.status_code == httpx.codes.NOT_MODIFIED
        listed = ok(anyone.get("/events", params={"pageNo": 0, "pageSize": 5}))
        assert set(listed) >= {"events", "pageNumber", "pageSize", "totalElement", "totalPages", "isLast"}
        moved = organiser.post(
            f"/events/{event['id']}/reschedule",
            json={"startTime": "2031-06-01T19:30:00", "endTime": "2031-06-01T22:00:00"},
        )
        assert ok(moved)["startTime"].startswith("2031-06-01")
        assert ok(organiser.post(f"/events/{event['id']}/cancel"))["status"] == "cancelled"
        draft = ok(organiser.post("/events", json=seed_event(venue, category)), 201)
        assert organiser.delete(f"/events/{draft['id']}").status_code in {200, 204}
        problem(organiser.get(f"/events/{draft['id']}"), 404)


class TestSale:
    def test_from_the_seeds_list_to_a_cancelled_ticket(
        self,
        shop: Shop,
        organiser: httpx.Client,
        customer: tuple[httpx.Client, Answer],
        venue: Answer,
        category: Answer,
    ) -> None:
        client, user = customer
        event, tickets = on_sale(organiser, venue, category)
        ids = [ticket["ticketId"] for ticket in tickets]
        whole = ok(client.get(f"/tickets/event/{event['id']}"))
        assert [item["ticketId"] for item in whole] == ids
        assert whole[0]["price"] == "49.50"
        assert set(whole[0]) >= {"ticketId", "section", "row", "number", "price", "currency", "status"}
        both = ",".join(map(str, ids[:2]))
        assert len(ok(client.get("/tickets/available-seats", params={"ticketIds": both}))) == 2

        reserve = {"userId": user["id"], "eventId": event["id"], "ticketIds": ids[:2]}
        booking = ok(client.post("/bookings/reserve", json=reserve), 201)
        assert set(booking) >= {"bookingId", "reservedTickets", "expiresAt", "expiresInSeconds", "total"}
        assert booking["total"] == "99.00"
        assert len(ok(client.get("/tickets/reservation", params={"ticketIds": both}))) == 2
        assert ok(client.get("/tickets/available-seats", params={"ticketIds": both})) == []
        states = base64.b64decode(ok(client.get(f"/events/{event['id']}/availability"))["states"])
        assert states[0] & 0b1111 == 0b0101

        payment_id = pay(shop, client, booking)
        confirmed = ok(client.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment_id}))
        assert confirmed == ok(client.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment_id}))
        assert ok(client.get(f"/payments/{payment_id}"))["status"] == "CAPTURED"
        mine = ok(client.get(f"/bookings/{booking['bookingId']}"))
        assert mine["status"] == "CONFIRMED"
        issued = [UUID(ticket["issuedTicketId"]) for ticket in mine["tickets"]]
        assert len(ok(client.get(f"/tickets/user/{user['id']}"))) == 2
        qr = client.get(f"/tickets/{issued[0]}/qr.png")
        assert qr.content.startswith(b"\x89PNG")
        assert client.get(f"/tickets/{issued[0]}.pdf").content.startswith(b"%PDF")
        assert client.get(f"/bookings/{booking['bookingId']}/tickets.pdf").content.startswith(b"%PDF")
        assert any(b["bookingId"] == booking["bookingId"] for b in ok(client.get("/bookings"))["bookings"])

        one = mine["tickets"][0]
        cancelled = ok(
            client.post(f"/bookings/{booking['bookingId']}/cancel", json={"ticketIds": [one["issuedTicketId"]]})
        )
        assert {ticket["ticketStatus"] for ticket in cancelled["tickets"]} == {"VALID", "VOID"}
        ok(client.post(f"/bookings/{booking['bookingId']}/cancel", json={}))
        wait_until(lambda: ok(client.get(f"/payments/{payment_id}"))["refunded"] == "99.00")
        assert len(ok(client.get("/tickets/available-seats", params={"ticketIds": both}))) == 2
        wait_until(lambda: ok(client.get("/notifications"))["notifications"] != [])

    def test_gives_a_hold_back(
        self, organiser: httpx.Client, customer: tuple[httpx.Client, Answer], venue: Answer, category: Answer
    ) -> None:
        client, user = customer
        event, tickets = on_sale(organiser, venue, category)
        reserve = {"userId": user["id"], "eventId": event["id"], "ticketIds": [tickets[0]["ticketId"]]}
        booking = ok(client.post("/bookings/reserve", json=reserve), 201)
        assert client.delete(f"/bookings/{booking['bookingId']}/hold").status_code in {200, 204}
        ok(client.post("/bookings/reserve", json=reserve), 201)

    def test_confirms_a_free_booking_at_once(
        self, organiser: httpx.Client, customer: tuple[httpx.Client, Answer], venue: Answer, category: Answer
    ) -> None:
        client, user = customer
        event, tickets = on_sale(organiser, venue, category, price=0)
        reserve = {"userId": user["id"], "eventId": event["id"], "ticketIds": [tickets[0]["ticketId"]]}
        booking = ok(client.post("/bookings/reserve", json=reserve), 201)
        confirmed = ok(client.put(f"/bookings/confirm/{booking['bookingId']}", json={}))
        assert confirmed["status"] == "CONFIRMED"

    def test_blocks_and_unblocks(
        self, anyone: httpx.Client, organiser: httpx.Client, venue: Answer, category: Answer
    ) -> None:
        event, tickets = on_sale(organiser, venue, category)
        ids = [tickets[3]["ticketId"]]
        ok(organiser.put("/tickets/update-seats", json={"ticketIds": ids, "status": "BLOCKED"}))
        assert ok(anyone.get(f"/tickets/event/{event['id']}"))[3]["status"] == "BLOCKED"
        ok(organiser.put("/tickets/update-seats", json={"ticketIds": ids, "status": "AVAILABLE"}))
        assert ok(anyone.get(f"/tickets/event/{event['id']}"))[3]["status"] == "AVAILABLE"

    def test_refunds_by_the_organiser(
        self,
        shop: Shop,
        organiser: httpx.Client,
        customer: tuple[httpx.Client, Answer],
        venue: Answer,
        category: Answer,
    ) -> None:
        client, user = customer
        event, tickets = on_sale(organiser, venue, category)
        reserve = {"userId": user["id"], "eventId": event["id"], "ticketIds": [tickets[0]["ticketId"]]}
        booking = ok(client.post("/bookings/reserve", json=reserve), 201)
        payment_id = pay(shop, client, booking)
        problem(client.post(f"/payments/{payment_id}/refund", json={}), 403)
        answer = organiser.post(f"/payments/{payment_id}/refund", json={})
        assert answer.status_code in {200, 201, 202}, answer.text
        wait_until(lambda: ok(client.get(f"/payments/{payment_id}"))["refunded"] == "49.50")

    def test_sells_from_an_allocation_to_whoever_has_the_code_then_opens_it(
        self,
        shop: Shop,
        organiser: httpx.Client,
        customer: tuple[httpx.Client, Answer],
        venue: Answer,
        category: Answer,
    ) -> None:
        client, _ = customer
        event, tickets = on_sale(organiser, venue, category)
        path, keyed = f"/events/{event['id']}/allocations", {"Idempotency-Key": secrets.token_hex(8)}
        aside = {"kind": "sponsor", "name": "Friends", "section": "Stalls", "rows": ["A"]}
        allocation = ok(organiser.post(path, json=aside, headers=keyed), 201)
        row = [ticket["ticketId"] for ticket in tickets if ticket["row"] == "A"]
        assert (allocation["seats"], allocation["state"]) == (len(row), "closed")
        problem(client.get(path), 403)
        code = ok(organiser.put(f"{path}/{allocation['id']}/access-code"))["accessCode"]
        wait_until(lambda: ok(client.get(f"/events/{event['id']}/availability"))["blocked"] == len(row))

        reserve = {"eventId": event["id"], "ticketIds": row[:2]}
        problem(client.post("/bookings/reserve", json=reserve), 409, "sales.seats_taken")
        wrong = {**reserve, "accessCode": "0000-0000-0000-0000"}
        problem(client.post("/bookings/reserve", json=wrong), 404, "sales.access_code_unknown")
        opened = ok(client.post(f"/events/{event['id']}/access-code", json={"accessCode": code.lower()}))
        assert opened["ticketIds"] == row
        booking = ok(client.post("/bookings/reserve", json={**reserve, "accessCode": code}), 201)
        payment_id = pay(shop, client, booking)
        confirmed = ok(client.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment_id}))
        assert confirmed["status"] == "CONFIRMED"
        assert ok(organiser.get(path))["allocations"][0]["sold"] == 2

        opened = ok(organiser.post(f"{path}/{allocation['id']}/open", headers={"Idempotency-Key": "open"}))
        assert (opened["state"], opened["free"]) == ("open", len(row) - 2)
        ok(client.post("/bookings/reserve", json={"eventId": event["id"], "ticketIds": row[2:3]}), 201)
        assert organiser.delete(f"{path}/{allocation['id']}").status_code == httpx.codes.NO_CONTENT
        assert ok(organiser.get(path))["allocations"] == []

    def test_the_provider_sends_people_back_to_us(self, anyone: httpx.Client) -> None:
        for path in ("success", "cancel", "error"):
            answer = anyone.get(f"/payments/{path}", params={"token": "no-such-order"})
            assert answer.status_code in {303, 404}, f"{path}: {answer.status_code}"

    def test_an_unsigned_webhook_is_refused(self, anyone: httpx.Client) -> None:
        answer = anyone.post(
            "/payments/webhooks/paypal", json={"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED"}
        )
        assert answer.status_code in {400, 401, 403, 422}
        problem(anyone.post("/payments/webhooks/nobody", json={}), 404)


class TestSearch:
    def test_finds_filters_and_suggests(self, anyone: httpx.Client) -> None:
        page = ok(anyone.get("/search", params={"q": "mahler", "pageNo": 0, "pageSize": 3}))
        assert set(page) >= {"events", "pageNumber", "pageSize", "totalElement", "totalPages", "isLast"}
        everything = ok(anyone.get("/search/getAll"))
        assert everything["totalElement"] > 0
        first = everything["events"][0]
        by_name = ok(
            anyone.get("/search", params={"eventName": first["name"], "sortBy": "startTime", "sortDir": "asc"})
        )
        assert first["id"] in {hit["id"] for hit in by_name["events"]}
        filters = {
            "location": first["venue"]["city"] or "Hong Kong", "dateFrom": "2020-01-01", "dateTo": "2040-01-01",
            "venueName": first["venue"]["name"], "description": "", "keywords": "", "category": "",
        }  # fmt: skip
        assert (
            ok(anyone.get("/search", params={key: value for key, value in filters.items() if value}))["totalElement"]
            > 0
        )
        assert isinstance(ok(anyone.get("/search/suggest", params={"q": "ma"})), dict | list)

    def test_finds_what_is_near(self, anyone: httpx.Client) -> None:
        harbour = {"near": "22.29,114.17", "radiusKm": 5, "sortBy": "distance"}
        hits = ok(anyone.get("/search", params=harbour))["events"]
        assert hits
        distances = [hit["distanceKm"] for hit in hits]
        assert distances == sorted(distances)
        assert distances[-1] <= 5
        assert ok(anyone.get("/search", params={**harbour, "near": "-22.29,-65.83"}))["totalElement"] == 0
        problem(anyone.get("/search", params={"radiusKm": 5}), 422)


class TestNotifications:
    def test_send_and_list(self, administrator: httpx.Client, customer: tuple[httpx.Client, Answer]) -> None:
        client, user = customer
        body = {"userId": user["id"], "channel": "email", "subject": "Doors", "message": "Doors open at seven."}
        problem(client.post("/notifications/send", json=body), 403)
        # the service hears of a new user a moment after the registration
        wait_until(lambda: administrator.post("/notifications/send", json=body).status_code in {200, 201, 202})
        wait_until(lambda: "Doors" in client.get("/notifications").text)


class TestBadInput:
    """Each gets the right status and a problem with a code; nothing is half done."""

    @pytest.fixture
    def sale(self, organiser: httpx.Client, venue: Answer, category: Answer) -> tuple[Answer, list[Answer]]:
        return on_sale(organiser, venue, category)

    def test_ids(self, anyone: httpx.Client, customer: tuple[httpx.Client, Answer]) -> None:
        client, _ = customer
        problem(anyone.get("/events/999999999"), 404)
        problem(anyone.get("/events/not-a-number"), 404)
        problem(client.get(f"/bookings/{uuid4()}"), 404)
        problem(client.get("/bookings/not-a-uuid"), 404)
        problem(client.get(f"/payments/{uuid4()}"), 404)
        problem(client.get(f"/tickets/{uuid4()}/qr.png"), 404)
        problem(anyone.get(f"/bookings/{uuid4()}"), 401)

    def test_negative_prices(self, organiser: httpx.Client, venue: Answer, category: Answer) -> None:
        event = ok(organiser.post("/events", json=seed_event(venue, category)), 201)
        seats = [{"seatId": 1, "section": "S", "row": "A", "number": "1", "price": -1}]
        problem(organiser.post(f"/tickets/event/{event['id']}/create", json=seats), 422)
        answer = organiser.get(f"/tickets/event/{event['id']}")
        assert answer.status_code == httpx.codes.NOT_FOUND or answer.json() == []

    def test_seats_of_a_request(
        self, sale: tuple[Answer, list[Answer]], customer: tuple[httpx.Client, Answer], organiser: httpx.Client,
        venue: Answer, category: Answer,
    ) -> None:  # fmt: skip
        client, user = customer
        event, tickets = sale
        one = tickets[0]["ticketId"]
        reserve = {"userId": user["id"], "eventId": event["id"]}
        problem(client.post("/bookings/reserve", json={**reserve, "ticketIds": [one, one]}), 422)
        problem(client.post("/bookings/reserve", json={**reserve, "ticketIds": []}), 422)
        other_event, other_tickets = on_sale(organiser, venue, category)
        assert other_event["id"] != event["id"]
        mixed = [one, other_tickets[0]["ticketId"]]
        problem(client.post("/bookings/reserve", json={**reserve, "ticketIds": mixed}), 422)
        problem(client.post("/bookings/reserve", json={**reserve, "ticketIds": [one], "userId": str(uuid4())}), 403)
        assert ok(client.get(f"/tickets/event/{event['id']}"))[0]["status"] == "AVAILABLE"

    def test_an_event_that_is_not_on_sale(
        self, organiser: httpx.Client, customer: tuple[httpx.Client, Answer], venue: Answer, category: Answer
    ) -> None:
        client, user = customer
        event = ok(organiser.post("/events", json=seed_event(venue, category)), 201)
        seats = [{"seatId": 1, "section": "S", "row": "A", "number": "1", "price": 10}]
        made = ok(organiser.post(f"/tickets/event/{event['id']}/create", json=seats), 201)
        reserve = {"userId": user["id"], "eventId": event["id"], "ticketIds": [made[0]["ticketId"]]}
        answer = client.post("/bookings/reserve", json=reserve)
        assert answer.status_code in {404, 409}
        problem(answer, answer.status_code)

    def test_somebody_elses_booking_and_payment(
        self, shop: Shop, sale: tuple[Answer, list[Answer]], customer: tuple[httpx.Client, Answer]
    ) -> None:
        client, user = customer
        event, tickets = sale
        first = ok(
            client.post(
                "/bookings/reserve",
                json={"userId": user["id"], "eventId": event["id"], "ticketIds": [tickets[4]["ticketId"]]},
            ),
            201,
        )
        payment_id = pay(shop, client, first)
        second = ok(
            client.post(
                "/bookings/reserve",
                json={"userId": user["id"], "eventId": event["id"], "ticketIds": [tickets[5]["ticketId"]]},
            ),
            201,
        )
        answer = client.put(f"/bookings/confirm/{second['bookingId']}", json={"paymentId": payment_id})
        assert answer.status_code in {404, 409, 422}
        problem(answer, answer.status_code)
        assert ok(client.get(f"/bookings/{second['bookingId']}"))["status"] == "HELD"
        stranger, _ = shop.new_customer("stranger")
        with closing(stranger):
            for path in (f"/bookings/{first['bookingId']}", f"/payments/{payment_id}", f"/tickets/user/{user['id']}"):
                answer = stranger.get(path)
                assert answer.status_code in {403, 404}
                problem(answer, answer.status_code)

    def test_sizes(self, anyone: httpx.Client) -> None:
        problem(anyone.post("/auth/login", content=b"x" * 10_000_000), 413)
        problem(anyone.get("/events", params={"pageSize": 10**9}), 422)
        problem(anyone.get("/search", params={"q": "a", "pageSize": 10**9}), 422)
        problem(anyone.post("/auth/login", content=b"{not json"), 422)
        problem(anyone.get("/no-such-path"), 404)
        answer = anyone.request("DELETE", "/search")
        problem(answer, 405)


class TestOperations:
    def test_openapi_swagger_health_metrics(self, shop: Shop) -> None:
        document = ok(httpx.get(f"{shop.url}/openapi.json"))
        assert document["openapi"].startswith("3.1")
        assert "/api/v1/bookings/reserve" in document["paths"]
        page = httpx.get(f"{shop.url}/docs", follow_redirects=True)
        assert page.status_code == httpx.codes.OK
        assert "swagger" in page.text.lower()
        assert ok(httpx.get(f"{shop.url}/health/live"))["status"] == "live"
        assert ok(httpx.get(f"{shop.url}/health/ready"))["status"] == "ready"
        assert "boxoffice_http_request_seconds" in httpx.get(f"{shop.url}/metrics").text
