"""One sale through nine processes, each ``boxoffice serve`` alone: what runs in one process runs over a network too."""

import base64
import re
import secrets
from collections.abc import Iterator

import httpx
import pytest
from tests.support.buying import Answer, mails, ok, pay, reserve, visitor, wait_until
from tests.support.engines import Engines
from tests.support.processes import Deployment, running_deployment

from boxoffice.apps import PROCESSES
from boxoffice.cli.exits import Exit

pytestmark = pytest.mark.xdist_group("kafka")

PASSWORD = "long-enough-for-many-processes-1"
ADMINISTRATOR = "administrator@example.org"
SEATS = [
    {"seatId": number, "section": "Stalls", "row": "A", "number": str(number), "price": 49.5} for number in range(1, 7)
]


@pytest.fixture(params=["streams", "kafka"])
def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, engines: Engines
) -> Iterator[Deployment]:
    bus = {"bus_url": request.getfixturevalue("kafka_server").url} if request.param == "kafka" else {}
    with running_deployment(tmp_path_factory.mktemp("many"), engines, bus) as deployment:
        yield deployment


def log_in(client: httpx.Client, email: str) -> None:
    login = ok(client.post("/auth/login", json={"email": email, "password": PASSWORD}))
    client.headers["authorization"] = f"Bearer {login['accessToken']}"


def register(client: httpx.Client, name: str) -> Answer:
    body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD}
    user: Answer = ok(client.post("/auth/register", json=body), 201)
    log_in(client, user["email"])
    return user


def put_on_sale(shop: Deployment, organiser: httpx.Client) -> tuple[Answer, list[Answer]]:
    """A published event with six seats, made with the seed's list; its venue and category are new too."""
    shop.make_administrator(ADMINISTRATOR, PASSWORD)
    with visitor(shop) as administrator:
        log_in(administrator, ADMINISTRATOR)
        category = ok(administrator.post("/categories", json={"name": "Concert"}), 201)
    ok(organiser.post("/organisations", json={"name": "A society"}), 201)
    log_in(organiser, "organiser@example.org")  # the new role is in the next token
    hall = {"name": "A hall", "description": "Small", "location": "1 Some Street, Leipzig", "totalSeats": len(SEATS)}
    venue = ok(organiser.post("/venues", json=hall), 201)
    concert = {
        "name": "Zarathustra", "description": "Over a network", "startTime": "2031-05-01T19:30:00",
        "endTime": "2031-05-01T22:00:00", "availableSeats": len(SEATS), "venueId": venue["id"],
        "categoryId": category["id"],
    }  # fmt: skip
    event = ok(organiser.post("/events", json=concert), 201)
    tickets = ok(organiser.post(f"/tickets/event/{event['id']}/create", json=SEATS), 201)
    return ok(organiser.post(f"/events/{event['id']}/publish")), tickets


def check_each_process(shop: Deployment) -> None:
    """Every process tells of itself, under its own name."""
    for name in PROCESSES:
        ready = ok(httpx.get(f"{shop.url(name)}/health/ready", timeout=10, trust_env=False))
        assert (ready["status"], ready["service"]) == ("ready", name)
        assert ok(httpx.get(f"{shop.url(name)}/health/live", trust_env=False))["service"] == name
        metrics = httpx.get(f"{shop.url(name)}/metrics", trust_env=False)
        assert "boxoffice_http_request_seconds" in metrics.text


def check_documents(customer: httpx.Client, booking: Answer) -> None:
    """Signed by one process, drawn by another: they share the key."""
    ticket_id = booking["tickets"][0]["issuedTicketId"]
    assert customer.get(f"/tickets/{ticket_id}/qr.png").content.startswith(b"\x89PNG")
    assert customer.get(f"/tickets/{ticket_id}.pdf").content.startswith(b"%PDF")
    assert customer.get(f"/bookings/{booking['bookingId']}/tickets.pdf").content.startswith(b"%PDF")


class TestManyProcesses:
    def test_sell_together_and_stop_alone(self, shop: Deployment) -> None:
        check_each_process(shop)
        with visitor(shop) as organiser, visitor(shop) as customer:
            register(organiser, "organiser")
            user = register(customer, f"buyer-{secrets.token_hex(3)}")
            event, tickets = put_on_sale(shop, organiser)
            self.sell_and_give_back(shop, customer, user, event, [ticket["ticketId"] for ticket in tickets[:2]])
        self.check_pages(shop, event, user["email"])
        assert shop.audit() == ""
        assert shop.stop() == dict.fromkeys(shop.programs, Exit.OK)

    def sell_and_give_back(
        self, shop: Deployment, customer: httpx.Client, user: Answer, event: Answer, ids: list[int]
    ) -> None:
        def found() -> bool:
            hits = ok(customer.get("/search", params={"q": event["name"]}))["events"]
            return event["id"] in {hit["id"] for hit in hits}

        wait_until("search finds the event", found)
        booking = reserve(customer, user, event, ids)
        assert booking["total"] == "99.00"
        states = base64.b64decode(ok(customer.get(f"/events/{event['id']}/availability"))["states"])
        assert states[0] & 0b1111 == 0b0101

        payment_id = pay(shop, customer, booking)
        path = f"/bookings/{booking['bookingId']}"
        ok(customer.put(f"/bookings/confirm/{booking['bookingId']}", json={"paymentId": payment_id}))
        sold = ok(customer.get(path))
        assert sold["status"] == "CONFIRMED"
        assert ok(customer.get(f"/payments/{payment_id}"))["status"] == "CAPTURED"
        check_documents(customer, sold)
        wait_until(
            "the mail with the tickets arrives",
            lambda: any("Zarathustra" in mail["subject"] for mail in mails(shop, user["email"])),
        )

        before = len(mails(shop, user["email"]))
        ok(customer.post(f"{path}/cancel", json={}))
        assert ok(customer.get(path))["status"] == "CANCELLED"
        wait_until("refunded", lambda: ok(customer.get(f"/payments/{payment_id}"))["refunded"] == "99.00")
        wait_until("the mail about it arrives", lambda: len(mails(shop, user["email"])) > before)
        free = ok(customer.get("/tickets/available-seats", params={"ticketIds": ",".join(map(str, ids))}))
        assert len(free) == len(ids)

    def check_pages(self, shop: Deployment, event: Answer, email: str) -> None:
        """The storefront's pages through the gateway, which it asks itself; a login by its form lasts."""
        with httpx.Client(base_url=shop.url("gateway"), timeout=30, trust_env=False, follow_redirects=True) as browser:
            home = browser.get("/")
            assert home.is_success, home.text[:500]
            assert event["name"] in home.text
            assert browser.get(f"/events/{event['id']}").is_success
            token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
            assert token
            form = {"csrf": token[1], "email": email, "password": PASSWORD, "next": "/bookings"}
            bookings = browser.post("/login", data=form)
            assert bookings.is_success, bookings.text[:500]
            assert event["name"] in bookings.text
            document = ok(browser.get("/openapi.json"))
            assert "/api/v1/bookings/reserve" in document["paths"]
