"""One buyer's purchase is one trace in Zipkin, across processes and the bus, although nobody but us knows of it.

The buyer's programs send no ``traceparent``: hold, payment and the provider's redirect are calls of their own, and the
order ties them together.
"""

import secrets
from collections import Counter
from typing import Any

import httpx
import pytest
from tests.journeys.test_full import free_seat
from tests.support.buying import Answer, mails, ok, pay, reserve, visitor, wait_until
from tests.support.full import FullShop

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(600)]

SERVICES = {"gateway", "bookings", "payments", "bus", "notification"}
DAY_MS = 24 * 3_600 * 1_000

Spans = list[dict[str, Any]]


def zipkin(full: FullShop, path: str, **query: str | int) -> Any:
    return ok(httpx.get(f"{full.told['zipkin_url']}/api/v2{path}", params=query, timeout=30, trust_env=False))


def bought(full: FullShop) -> tuple[Answer, str]:
    """Buy one seat and wait for its mail; returns the booking, and the trace of the call that held the seat."""
    with visitor(full.where()) as customer:
        email, password = f"buyer-{secrets.token_hex(3)}@example.org", secrets.token_urlsafe(16)
        user = ok(customer.post("/auth/register", json={"name": "A buyer", "email": email, "password": password}), 201)
        login = ok(customer.post("/auth/login", json={"email": email, "password": password}))
        customer.headers["authorization"] = f"Bearer {login['accessToken']}"
        wait_until(
            "search has heard of the demo", lambda: ok(customer.get("/search", params={"q": "symphony"}))["events"],
            seconds=60,
        )  # fmt: skip
        event = ok(customer.get("/search", params={"q": "symphony"}))["events"][0]
        seen: list[str] = []
        customer.event_hooks["response"] = [lambda answer: seen.append(answer.headers["x-request-id"])]
        booking = reserve(customer, user, event, [free_seat(customer, event)])
        trace = seen[-1]
        customer.event_hooks["response"] = []
        payment = pay(full.where(), customer, booking)
        assert ok(customer.get(f"/payments/{payment}"))["status"] == "CAPTURED"
    wait_until("the mail with the ticket arrives", lambda: mails(full.where(), email), seconds=60)
    return booking, trace


def trace_of(full: FullShop, trace: str) -> Spans:
    """Read a trace once the mail's own span is in it: spans leave within a second, whatever else goes on."""
    found: list[Spans] = [[]]

    def whole() -> bool:
        answer = httpx.get(f"{full.told['zipkin_url']}/api/v2/trace/{trace}", timeout=30, trust_env=False)
        found[0] = answer.json() if answer.is_success else []
        names = {span["name"] for span in found[0]}
        return {
            "mail tickets",
            "hand mail in",
            "take sales.order.confirmed",
            "settle payment",
        } <= names and not orphans(found[0])

    try:
        wait_until("the trace is whole", whole, seconds=30)
    except AssertionError:
        raise AssertionError(f"it is not whole: {outline(found[0])}") from None
    return found[0]


def orphans(spans: Spans) -> Spans:
    """Those whose parent is not there."""
    known = {span["id"] for span in spans}
    return [span for span in spans if span.get("parentId") is not None and span["parentId"] not in known]


def service(span: dict[str, Any]) -> str:
    return str(span["localEndpoint"]["serviceName"])


def outline(spans: Spans) -> list[tuple[str, str, str | None]]:
    names = {span["id"]: span["name"] for span in spans}
    return [(service(span), span["name"], names.get(span.get("parentId", ""))) for span in spans]


class TestPurchase:
    def test_is_one_trace_from_the_hold_to_the_mail(self, full: FullShop) -> None:
        _, trace = bought(full)
        spans = trace_of(full, trace)
        assert {service(span) for span in spans} >= SERVICES
        assert len({span["traceId"] for span in spans}) == 1
        [root] = [span for span in spans if "parentId" not in span]
        assert (service(root), root["kind"]) == ("gateway", "SERVER")
        assert root["name"] == "post /api/v1/bookings"
        by_id = {span["id"]: span for span in spans}
        self.check_who_called_whom(spans, by_id)
        self.check_the_bus(spans, by_id)
        # Redirect and webhook settle at the same time: one of them may find the other at it, and leave it to that one.
        failed = [span["name"] for span in spans if "error" in span.get("tags", {})]
        settling = [span["name"] for span in spans if span["name"] == "settle payment"]
        assert set(failed) <= {"settle payment"}
        assert len(failed) < len(settling)

    def check_who_called_whom(self, spans: Spans, by_id: dict[str, dict[str, Any]]) -> None:
        """Each part is a part of what caused it."""
        parents = {
            (service(span), span["name"]): service(by_id[span["parentId"]]) for span in spans if "parentId" in span
        }  # fmt: skip
        assert parents["bookings", "post /api/v1/bookings/reserve"] == "gateway"
        assert parents["payments", "start payment"] == "bookings"
        assert parents["payments", "settle payment"] == "bookings"
        assert parents["notification", "take sales.order.confirmed"] == "bus"
        assert parents["notification", "mail tickets"] == "notification"
        asked = [span for span in spans if span.get("remoteEndpoint", {}).get("serviceName") == "paypal"]
        assert {service(span) for span in asked} == {"payments"}
        assert Counter(span["kind"] for span in asked) == {"CLIENT": len(asked)}

    def check_the_bus(self, spans: Spans, by_id: dict[str, dict[str, Any]]) -> None:
        """The bus's part lies between the fact and the one who takes it, and takes some time."""
        taken = [span for span in spans if span.get("kind") == "CONSUMER"]
        assert taken
        for span in taken:
            leg = by_id[span["parentId"]]
            assert service(leg) == "bus"
            assert leg["tags"]["messaging.consumer.group.name"] == span["tags"]["messaging.consumer.group.name"]
            assert leg["timestamp"] >= by_id[leg["parentId"]]["timestamp"]
            assert span["timestamp"] >= leg["timestamp"] + leg["duration"] - 1_000

    def test_is_found_by_its_services(self, full: FullShop) -> None:
        """As somebody looks for it on Zipkin's page."""
        _, trace = bought(full)
        trace_of(full, trace)
        assert set(zipkin(full, "/services")) >= SERVICES
        found = zipkin(full, "/traces", serviceName="notification", spanName="mail tickets", lookback=DAY_MS, limit=50)
        assert trace in {spans[0]["traceId"] for spans in found}

    def test_a_callers_own_trace_is_gone_on_with(self, full: FullShop) -> None:
        mine, span = secrets.token_hex(16), secrets.token_hex(8)
        with visitor(full.where()) as anyone:
            ok(anyone.get("/events", headers={"traceparent": f"00-{mine}-{span}-01"}))
            ok(anyone.get("/events", headers={"traceparent": f"00-{mine[::-1]}-{span}-00"}))

        def told() -> set[str]:
            """Name the processes that have told of it; each does so in its own time."""
            kept = httpx.get(f"{full.told['zipkin_url']}/api/v2/trace/{mine}", trust_env=False)
            return {service(one) for one in kept.json()} if kept.is_success else set()

        wait_until("both have told of the kept one", lambda: told() >= {"gateway", "catalog"}, seconds=30)
        assert told() == {"gateway", "catalog"}
        dropped = httpx.get(f"{full.told['zipkin_url']}/api/v2/trace/{mine[::-1]}", trust_env=False)
        assert dropped.status_code == httpx.codes.NOT_FOUND
