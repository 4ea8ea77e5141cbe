"""kill -9 of every process at a random moment of a sale, again and again (invariants I2, I3, I4, I11).

After each restart every booking, ticket and cancellation that was acknowledged is there. At the end the provider's own
ledger, which is a program of its own, agrees to the cent: captured = value of live tickets + refunds, order by order.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.shop import Shop, running_shop

pytestmark = [pytest.mark.xdist_group("crash"), pytest.mark.timeout(1500)]

ROUNDS = 20
BUYERS = 4
SALE_S = (0.2, 1.5)
"""A sale takes about 0.3 s from reserve to confirm, and four buyers are at it; the kill comes somewhere within."""
SETTLED_S = 90.0


@dataclass
class Acknowledged:
    """What a buyer was told had happened."""

    reserved: dict[str, "Buyer"] = field(default_factory=dict)
    confirmed: dict[str, set[str]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    cancelling: set[str] = field(default_factory=set)


@dataclass
class Buyer:
    """Buys as fast as it is answered, until the shop goes away."""

    email: str
    user_id: str
    password: str
    client: httpx.Client
    seed: int
    doing: str = "nothing"

    def login(self) -> None:
        answer = self.client.post("/auth/login", json={"email": self.email, "password": self.password})
        answer.raise_for_status()
        self.client.headers["authorization"] = f"Bearer {answer.json()['accessToken']}"

    def shop_until_it_dies(self, event_id: int, places: list[int], told: Acknowledged, stop: threading.Event) -> None:
        rng = random.Random(self.seed)
        while not stop.is_set():
            try:
                self.buy_once(event_id, rng.sample(places, rng.choice((1, 2))), told, rng)
            except (httpx.HTTPError, KeyError, ValueError):
                if stop.wait(0.05):
                    return

    def buy_once(self, event_id: int, seats: list[int], told: Acknowledged, rng: random.Random) -> None:
        body = {"userId": self.user_id, "eventId": event_id, "ticketIds": seats}
        self.doing = "reserve"
        answer = self.client.post("/bookings/reserve", json=body)
        if answer.status_code != httpx.codes.CREATED:
            return
        booking = answer.json()["bookingId"]
        told.reserved[booking] = self
        self.doing = "pay"
        paying = self.client.post(
            "/payments/create",
            json={
                "bookingId": booking, "provider": "paypal", "returnUrl": str(self.client.base_url.copy_with(path="/")),
                "cancelUrl": str(self.client.base_url.copy_with(path="/")),
            },
        )  # fmt: skip
        if paying.status_code != httpx.codes.CREATED:
            return
        payment = paying.json()
        self.doing = "approve"
        approved = httpx.post(payment["approvalUrl"], data={"choice": "pay"}, follow_redirects=False, timeout=10)
        if rng.random() < 0.5:
            self.doing = "redirect"
            httpx.get(approved.headers["location"], follow_redirects=False, timeout=10)
        self.doing = "confirm"
        confirmed = self.client.put(f"/bookings/confirm/{booking}", json={"paymentId": payment["paymentId"]})
        if confirmed.status_code == httpx.codes.OK and confirmed.json()["status"] == "CONFIRMED":
            told.confirmed[booking] = {ticket["issuedTicketId"] for ticket in confirmed.json()["tickets"]}
            if rng.random() < 0.4:
                self.doing = "cancel"
                told.cancelling.add(booking)
                if self.client.post(f"/bookings/{booking}/cancel", json={}).status_code == httpx.codes.OK:
                    told.cancelled.add(booking)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("crash") / "data"
    with running_shop(folder, concerts=2, environment={"BOXOFFICE_AUTH_RATE_LIMIT_PER_SECOND": "0"}) as up:
        yield up


def an_event(shop: Shop) -> tuple[int, list[int]]:
    """A concert of the demo and the places of it that are on sale."""
    with closing(shop.client()) as client:
        deadline = time.monotonic() + 30
        while True:
            for event in client.get("/events", params={"pageSize": 100}).json()["events"]:
                if event["onSale"] and event["seatMapId"]:
                    items = client.get(f"/tickets/event/{event['id']}").json()
                    free = [item["ticketId"] for item in items if item["status"] == "AVAILABLE"]
                    if len(free) > 400:
                        return event["id"], free
            assert time.monotonic() < deadline, "no concert is on sale"
            time.sleep(0.5)


def some_buyers(shop: Shop, seed: int) -> list[Buyer]:
    buyers = []
    for number in range(BUYERS):
        client, user = shop.new_customer("buyer")
        client.timeout = httpx.Timeout(10)
        buyers.append(Buyer(user["email"], user["id"], "buyer-long-enough-1", client, seed * 100 + number))
    return buyers


def check_acknowledged(told: Acknowledged) -> None:
    for booking, buyer in told.reserved.items():
        answer = buyer.client.get(f"/bookings/{booking}")
        assert answer.status_code == httpx.codes.OK, f"booking {booking} is gone: {answer.text}"
        found = answer.json()
        if booking in told.confirmed:
            tickets = {ticket["issuedTicketId"] for ticket in found["tickets"]}
            assert told.confirmed[booking] <= tickets, f"tickets of {booking} are gone"
            if booking not in told.cancelling:
                assert found["status"] == "CONFIRMED"
                assert {ticket["ticketStatus"] for ticket in found["tickets"]} == {"VALID"}
        if booking in told.cancelled:
            assert {ticket["ticketStatus"] for ticket in found["tickets"]} == {"VOID"}


def money_by_order(told: Acknowledged) -> dict[str, Decimal]:
    """The value of live tickets of each order, as the shop tells it."""
    value = {}
    for booking, buyer in told.reserved.items():
        tickets = buyer.client.get(f"/bookings/{booking}").json()["tickets"]
        value[booking] = sum(
            (Decimal(t["price"]) for t in tickets if t["ticketStatus"] in {"VALID", "USED"}), Decimal(0)
        )
    return value


def provider_by_order(provider: str) -> dict[str, Decimal]:
    """Captured minus refunded of each order, as the provider's own ledger tells it."""
    books: dict[str, Any] = httpx.get(f"{provider}/simulator/books", timeout=10).json()
    kept: dict[str, Decimal] = {}
    for capture in books["captures"]:
        kept[capture["custom_id"]] = kept.get(capture["custom_id"], Decimal(0)) + Decimal(capture["total_minor"]) / 100
    for refund in books["refunds"]:
        order = refund["capture_custom_id"]
        kept[order] = kept.get(order, Decimal(0)) - Decimal(refund["total_minor"]) / 100
    return kept


def provider_of(shop: Shop) -> str:
    """Where the simulator listens now."""
    found: str = (shop.folder / "paypal.url").read_text().strip()
    assert urlsplit(found).hostname == "127.0.0.1"
    return found


class TestCrash:
    def test_loses_nothing_that_was_acknowledged(self, shop: Shop) -> None:
        with ExitStack() as clients:
            self.sell_and_kill(shop, clients)

    def sell_and_kill(self, shop: Shop, clients: ExitStack) -> None:
        seed = random.SystemRandom().randrange(10**6)
        print(f"seed {seed}")
        rng = random.Random(seed)
        event_id, places = an_event(shop)
        told = Acknowledged()
        killed_during: list[str] = []
        for number in range(ROUNDS):
            buyers = some_buyers(shop, seed + number)
            for buyer in buyers:
                clients.callback(buyer.client.close)
            stop = threading.Event()
            threads = [
                threading.Thread(target=buyer.shop_until_it_dies, args=(event_id, places, told, stop))
                for buyer in buyers
            ]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(*SALE_S))
            killed_during += [buyer.doing for buyer in buyers]
            killed = shop.kill()
            stop.set()
            for thread in threads:
                thread.join()
            assert killed >= 4, "the shop, PostgreSQL, Valkey and the simulator were killed"
            shop.start()
            for buyer in {id(buyer): buyer for buyer in told.reserved.values()}.values():
                buyer.login()
            check_acknowledged(told)
        print(
            f"{len(told.reserved)} reserved, {len(told.confirmed)} confirmed, {len(told.cancelled)} cancelled, ", end=""
        )
        print(f"killed during {dict(Counter(killed_during))}")
        assert len(told.confirmed) >= ROUNDS, "a run in which little was sold proves little"
        assert len(told.cancelled) >= ROUNDS // 4
        assert len(set(killed_during)) >= 4, "the kills all came at the same step of a sale"
        deadline = time.monotonic() + SETTLED_S
        while True:
            shop_says = money_by_order(told)
            provider_says = provider_by_order(provider_of(shop))
            differences = {
                order: (shop_says.get(order), provider_says.get(order))
                for order in shop_says.keys() | provider_says.keys()
                if shop_says.get(order, Decimal(0)) != provider_says.get(order, Decimal(0))
            }
            if not differences:
                break
            assert time.monotonic() < deadline, f"shop and provider differ (order: shop, provider): {differences}"
            time.sleep(1)
        assert sum(provider_says.values()) > 0
        assert shop.audit() == (0, "")
