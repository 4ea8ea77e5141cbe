"""How PayPal's answers are read: what is no clear yes or no is no answer."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from boxoffice.kernel.ids import OrderId, PaymentId, RefundId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import (
    Captured,
    Declined,
    Pending,
    ProviderOrderState,
    ProviderRefusedError,
    ProviderSilentError,
    Refunded,
    RefundRefused,
    Unknown,
)
from boxoffice.services.sales.providers import Item, NewPayment
from boxoffice.services.sales.providers.paypal import NEVER_CAPTURED, Credentials, PayPal, open_paypal
from boxoffice.services.sales.providers.paypal_bodies import order_request, read_movement, read_order
from boxoffice.services.sales.providers.paypal_webhooks import WebhookCheck

PAYMENT = NewPayment(
    payment_id=PaymentId(UUID(int=1)), order_id=OrderId(UUID(int=2)), total=Money(9_900, "USD"), description="A concert",
    items=[Item(name="Stalls, row 1, seat 1", price=Money(9_900, "USD"))],
)  # fmt: skip
MONEY = {"currency_code": "USD", "value": "99.00"}
Answer = Callable[[httpx.Request], httpx.Response]


def order(status: str = "COMPLETED", captures: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    unit: dict[str, Any] = {"amount": MONEY, "custom_id": "o", "invoice_id": "p", "payee": {"merchant_id": "US"}}
    if captures is not None:
        unit["payments"] = {"captures": captures}
    return {"id": "REF", "status": status, "purchase_units": [unit], "links": [], "new_field_of_tomorrow": 1}


def captured(status: str = "COMPLETED") -> dict[str, Any]:
    return {"id": "CAP", "status": status, "amount": MONEY}


def no(issue: str, status: int = 422) -> httpx.Response:
    return httpx.Response(status, json={"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue}]})


def client(*answers: httpx.Response | Exception, seen: list[httpx.Request] | None = None) -> PayPal:
    """A client whose calls after the token get these answers in turn, the last one for ever."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/oauth2/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        if seen is not None:
            seen.append(request)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="https://api-m.paypal.com")
    check = WebhookCheck(http, api_url="https://api-m.paypal.com", webhook_id="W", ca_file="")
    return PayPal(
        http, Credentials(client_id="c", client_secret="s"), public_url="https://shop.example.org", webhooks=check
    )


class TestCapture:
    async def outcome(self, *answers: httpx.Response | Exception) -> object:
        return await client(*answers).capture("REF", payment_id=PaymentId(UUID(int=1)))

    async def test_a_final_capture_is_captured(self) -> None:
        for status in ("COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"):
            outcome = await self.outcome(httpx.Response(201, json=order(captures=[captured(status)])))
            assert outcome == Captured(capture_ref="CAP", value=Money(9_900, "USD"))

    async def test_an_order_captured_before_is_captured(self) -> None:
        outcome = await self.outcome(
            no("ORDER_ALREADY_CAPTURED"), httpx.Response(200, json=order(captures=[captured()]))
        )
        assert isinstance(outcome, Captured)

    @pytest.mark.parametrize("issue", sorted(NEVER_CAPTURED))
    async def test_a_clear_no_is_declined(self, issue: str) -> None:
        assert await self.outcome(no(issue)) == Declined(reason=issue)

    async def test_an_order_is_gone_only_when_two_answers_say_so(self) -> None:
        gone, there = no("INVALID_RESOURCE_ID", 404), httpx.Response(200, json=order("APPROVED"))
        assert await self.outcome(gone) == Declined(reason="ORDER_GONE")
        assert isinstance(await self.outcome(gone, there), Unknown)

    async def test_a_declined_capture_is_declined(self) -> None:
        assert isinstance(
            await self.outcome(httpx.Response(201, json=order(captures=[captured("DECLINED")]))), Declined
        )

    async def test_a_capture_that_is_thought_over_is_pending(self) -> None:
        assert isinstance(await self.outcome(httpx.Response(201, json=order(captures=[captured("PENDING")]))), Pending)

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(500), httpx.Response(503, text="<html>"), httpx.Response(429), httpx.Response(200, text="oops"),
            httpx.Response(200, json=[]), httpx.Response(200, json={}), httpx.Response(200, json=order("APPROVED")),
            httpx.Response(302, headers={"location": "https://evil.net"}), no("SOMETHING_NEW"),
            no("PREVIOUS_REQUEST_IN_PROGRESS", 409), no("DUPLICATE_REQUEST_ID"), httpx.Response(403, json={}),
            httpx.Response(400, json={"details": "odd"}), httpx.ReadTimeout("late"), httpx.ConnectError("away"),
            httpx.RemoteProtocolError("cut"),
            httpx.Response(201, json=order(captures=[{"id": "C", "status": "COMPLETED", "amount": {"value": "1"}}])),
            httpx.Response(201, json=order(captures=[captured("COMPLETED") | {"amount": {**MONEY, "value": "1e9999"}}])),
        ],
        ids=str,
    )  # fmt: skip
    async def test_everything_else_is_unknown(self, answer: httpx.Response | Exception) -> None:
        assert isinstance(await self.outcome(answer), Unknown)

    async def test_carries_the_payments_own_key(self) -> None:
        seen: list[httpx.Request] = []
        paypal = client(httpx.Response(503), seen=seen)
        for _ in range(2):
            await paypal.capture("REF", payment_id=PaymentId(UUID(int=1)))
        assert {request.headers["paypal-request-id"] for request in seen} == {f"{UUID(int=1)}:c"}


class TestCreate:
    async def test_says_where_to_approve(self) -> None:
        answer = order("PAYER_ACTION_REQUIRED") | {
            "links": [{"rel": "payer-action", "href": "https://www.paypal.com/x"}]
        }
        begun = await client(httpx.Response(201, json=answer)).create(PAYMENT)
        assert (begun.provider_ref, begun.approval_url) == ("REF", "https://www.paypal.com/x")

    @pytest.mark.parametrize(
        "address",
        [
            "http://www.paypal.com/x", "https://paypal.com.evil.example/x", "https://evilpaypal.com/x", "//www.paypal.com/x",
            "https://www.paypal.com@evil.example/x", "https://evil.example/www.paypal.com", "javascript:alert(1)", "https://[",
            "https://evil.example\\.paypal.com/x", "https://evil.example\\@www.paypal.com/x", "https://www.paypal.com/x\n",
        ],
    )  # fmt: skip
    async def test_sends_nobody_to_another_host(self, address: str) -> None:
        answer = order("PAYER_ACTION_REQUIRED") | {"links": [{"rel": "payer-action", "href": address}]}
        with pytest.raises(ProviderSilentError, match=r"not PayPal's"):
            await client(httpx.Response(201, json=answer)).create(PAYMENT)

    async def test_the_same_payment_is_asked_for_in_the_same_bytes(self) -> None:
        seen: list[httpx.Request] = []
        paypal = client(httpx.Response(503), seen=seen)
        for _ in range(2):
            with pytest.raises(ProviderSilentError):
                await paypal.create(PAYMENT)
        assert seen[0].content == seen[1].content
        assert {request.headers["paypal-request-id"] for request in seen} == {str(UUID(int=1))}

    async def test_an_answer_without_page_is_no_answer(self) -> None:
        with pytest.raises(ProviderSilentError):
            await client(httpx.Response(201, json=order())).create(PAYMENT)

    async def test_a_no_is_a_refusal(self) -> None:
        with pytest.raises(ProviderRefusedError):
            await client(no("CURRENCY_NOT_SUPPORTED")).create(PAYMENT)

    def test_names_booking_and_payment_and_nobody(self) -> None:
        text = json.dumps(order_request(PAYMENT, public_url="https://shop.example.org"))
        assert str(UUID(int=2)) in text
        assert "IMMEDIATE_PAYMENT_REQUIRED" in text
        assert "payer" not in text


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("of_the_token", [False, True])
    async def test_are_not_followed(self, monkeypatch: pytest.MonkeyPatch, status: int, *, of_the_token: bool) -> None:
        asked: list[str] = []

        async def answer(_transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            if request.url.path == "/v1/oauth2/token" and not of_the_token:
                return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
            return httpx.Response(status, headers={"location": "http://169.254.169.254/"})

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
        async with open_paypal(
            api_url="https://api-m.paypal.com", credentials=Credentials(client_id="c", client_secret="s"),
            public_url="https://shop.example.org", webhook_id="W", webhook_ca_file="",
        ) as opened:  # fmt: skip
            with pytest.raises(ProviderSilentError):
                await opened.get("REF")
        assert set(asked) == {"api-m.paypal.com"}


class TestToken:
    async def test_a_revoked_token_is_renewed_once(self) -> None:
        paypal = client(httpx.Response(401, json={}), httpx.Response(200, json=order("APPROVED")))
        assert (await paypal.get("REF")).state is ProviderOrderState.APPROVED
        with pytest.raises(ProviderSilentError):
            await client(httpx.Response(401, json={})).get("REF")


class TestGet:
    async def test_a_forgotten_order_has_ended(self) -> None:
        assert (await client(no("INVALID_RESOURCE_ID", 404)).get("REF")).state is ProviderOrderState.ENDED

    def test_the_capture_that_took_the_money_counts(self) -> None:
        read = read_order(order(captures=[captured("DECLINED") | {"id": "A"}, captured() | {"id": "B"}]))
        assert read.capture is not None
        assert (read.capture.capture_ref, read.capture.is_final) == ("B", True)

    def test_a_state_of_tomorrow_is_waiting(self) -> None:
        assert read_order(order("QUEUED")).state is ProviderOrderState.WAITING


class TestRefund:
    async def outcome(self, answer: httpx.Response | Exception) -> object:
        return await client(answer).refund("CAP", refund_id=RefundId(UUID(int=5)), value=Money(9_900, "USD"))

    async def test_reads_the_answer(self) -> None:
        assert await self.outcome(httpx.Response(201, json={"id": "R", "status": "COMPLETED"})) == Refunded(
            refund_ref="R"
        )
        assert isinstance(await self.outcome(httpx.Response(201, json={"id": "R", "status": "FAILED"})), RefundRefused)
        assert await self.outcome(no("CAPTURE_FULLY_REFUNDED")) == RefundRefused(reason="CAPTURE_FULLY_REFUNDED")

    @pytest.mark.parametrize(
        "answer", [httpx.Response(500), no("X", 409), no("X", 429), no("X", 401), httpx.ReadTimeout("late")], ids=str
    )
    async def test_what_is_not_clear_is_asked_again(self, answer: httpx.Response | Exception) -> None:
        assert isinstance(await self.outcome(answer), Unknown)


class TestMovements:
    def line(self, **changes: Any) -> dict[str, Any]:
        usual = {
            "transaction_id": "T", "transaction_event_code": "T0006", "transaction_initiation_date": "2026-01-01T10:00:00Z",
            "transaction_amount": MONEY, "paypal_reference_id": "REF", "invoice_id": "p", "custom_field": "o",
        }  # fmt: skip
        return {"transaction_info": usual | changes}

    def test_reads_captures_and_refunds(self) -> None:
        found = read_movement(self.line())
        assert found is not None
        assert (found.value, found.is_final, found.payment_reference) == (Money(9_900, "USD"), True, "p")
        back = read_movement(self.line(transaction_event_code="T1107", transaction_amount={**MONEY, "value": "-99.00"}))
        assert back is not None
        assert back.value.minor == -9_900

    def test_leaves_out_what_is_neither(self) -> None:
        assert read_movement(self.line(transaction_event_code="T0400")) is None
        assert read_movement(self.line(transaction_status="D")) is None

    def test_what_cannot_be_read_is_no_list(self) -> None:
        with pytest.raises(ProviderSilentError):
            read_movement({"transaction_info": {}})
