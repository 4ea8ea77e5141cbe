"""Buying over the API of a shop of many processes: the same calls whoever started them."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx

Answer = dict[str, Any]


class Addresses(Protocol):
    """A shop that tells where its processes and simulators are."""

    def url(self, name: str, /) -> str:
        """Where one of them is reached."""


def visitor(shop: Addresses) -> httpx.Client:
    return httpx.Client(base_url=f"{shop.url('gateway')}/api/v1", timeout=30, trust_env=False)


def reserve(customer: httpx.Client, user: Answer, event: Answer, ticket_ids: list[int]) -> Answer:
    """Hold seats as soon as sales has heard that the event is published."""
    body = {"userId": user["id"], "eventId": event["id"], "ticketIds": ticket_ids}
    answers: list[httpx.Response] = []

    def reserved() -> bool:
        answers.append(customer.post("/bookings/reserve", json=body))
        return answers[-1].status_code not in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}

    wait_until("the event is on sale", reserved)
    booking: Answer = ok(answers[-1], 201)
    return booking


def pay(shop: Addresses, customer: httpx.Client, booking: Answer) -> str:
    """Approve on the provider's page, as a buyer does, and follow its redirect to the gateway."""
    back = f"{shop.url('gateway')}/"
    body = {"bookingId": booking["bookingId"], "provider": "paypal", "returnUrl": back, "cancelUrl": back}
    payment = ok(customer.post("/payments/create", json=body), 201)
    assert payment["approvalUrl"].startswith(shop.url("paypal"))
    with httpx.Client(timeout=30, trust_env=False) as browser:
        assert browser.get(payment["approvalUrl"]).is_success
        approved = browser.post(payment["approvalUrl"], data={"choice": "pay"})
        assert approved.is_redirect, approved.text[:500]
        settled = browser.get(approved.headers["location"])
        assert settled.is_redirect, settled.text[:500]
    return str(payment["paymentId"])


def mails(shop: Addresses, to: str) -> list[Answer]:
    answer = httpx.get(f"{shop.url('mailbox')}/mailbox/api/messages", params={"to": to}, trust_env=False)
    found: list[Answer] = ok(answer)["mails"]
    return found


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, f"{answer.request.url} {answer.status_code}: {answer.text[:800]}"
    return answer.json() if answer.content else None


def wait_until(what: str, true: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"did not happen in time: {what}"
        time.sleep(0.1)
