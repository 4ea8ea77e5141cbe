"""Webhooks, genuine and forged: nothing changes except by what the provider's API says (I5, I13)."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.integration.payments.conftest import Api
from tests.support.audit import assert_clean
from tests.support.payments import OTHER_MERCHANT, Till

from boxoffice.services.sales.domain.payment import ForgedWebhookError, Payment
from boxoffice.services.sales.providers.paypal_webhooks import WebhookCheck, certificate_origins, signer_name
from boxoffice.services.sales.usecases.take_webhook import take_webhook
from boxoffice.simulators.paypal import certificates, launch

PATH = "/payments/webhooks/paypal"


def event_of(payment: Payment, kind: str = "CHECKOUT.ORDER.APPROVED", **resource: Any) -> str:
    about = {"id": payment.provider_ref} if kind.startswith("CHECKOUT") else {
        "id": "SOMECAPTURE", "supplementary_data": {"related_ids": {"order_id": payment.provider_ref}},
    }  # fmt: skip
    return json.dumps({"id": f"WH-{uuid4()}", "event_type": kind, "resource": about | resource})


def signed(till: Till, body: str, **changes: str) -> dict[str, str]:
    headers: dict[str, str] = till.paypal.post("webhooks/sign", body=body, **changes)
    return headers


async def send(api: Api, body: str | bytes, headers: Mapping[str, str]) -> httpx.Response:
    return await api.client.post(PATH, content=body, headers=dict(headers))


async def snapshot(till: Till) -> list[Any]:
    """Everything that a forged webhook must leave alone."""
    return [
        [tuple(row) for row in await till.database.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608 - names
        for table in ("orders", "payments", "tickets", "event_seats", "refunds", "provider_events", "outbox")
    ]


class TestGenuine:
    async def test_settles_what_was_approved(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        body = event_of(payment)
        answer = await send(api, body, signed(till, body))
        assert answer.status_code == 200, answer.text
        assert await till.order_state(payment.order_id) == "confirmed"
        await till.check(payment.order_id)

    async def test_is_acted_on_once_however_often_it_comes(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        body = event_of(payment)
        headers = signed(till, body)
        for _ in range(10):
            answers = await asyncio.gather(*(send(api, body, headers) for _ in range(10)))
            assert {answer.status_code for answer in answers} <= {200, 503}
        assert len(till.paypal.books(payment.order_id)["captures"]) == 1
        assert await till.database.fetchval("SELECT count(*) FROM provider_events") == 1
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_order_does_not_matter(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        for kind in ("PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.COMPLETED", "CHECKOUT.ORDER.APPROVED"):
            body = event_of(payment, kind)
            assert (await send(api, body, signed(till, body))).status_code == 200
        await till.check(payment.order_id)

    async def test_of_a_refund_finds_its_payment_by_the_capture(self, till: Till) -> None:
        payment = await till.bought()
        capture = till.paypal.books(payment.order_id)["captures"][0]["capture_id"]
        up = {"rel": "up", "method": "GET", "href": f"https://example.org/v2/payments/captures/{capture}"}
        body = json.dumps(
            {"id": "WH-R", "event_type": "PAYMENT.CAPTURE.REFUNDED", "resource": {"id": "SOMEREFUND", "links": [up]}}
        )
        headers = signed(till, body)
        assert await take_webhook(till.settling, "paypal", headers, body.encode()) == payment.payment_id

    async def test_before_the_approval_confirms_nothing(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        body = event_of(payment, "PAYMENT.CAPTURE.COMPLETED", status="COMPLETED", amount={"value": "100.00"})
        assert (await send(api, body, signed(till, body))).status_code == 200
        assert await till.order_state(payment.order_id) == "paying"

    async def test_of_an_unknown_order_is_taken_and_changes_nothing(self, api: Api, till: Till) -> None:
        await till.begin()
        before = await snapshot(till)
        body = json.dumps({"id": "WH-X", "event_type": "CHECKOUT.ORDER.APPROVED", "resource": {"id": "NOTOURS"}})
        assert (await send(api, body, signed(till, body))).status_code == 200
        after = await snapshot(till)
        assert before[:5] == after[:5]

    async def test_is_repeated_by_the_provider_when_it_could_not_be_acted_on(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        body = event_of(payment)
        headers = signed(till, body)
        till.paypal.fault("refuse", "get_order")
        assert (await send(api, body, headers)).status_code == 503
        till.paypal.behave()
        assert (await send(api, body, headers)).status_code == 200
        assert await till.order_state(payment.order_id) == "confirmed"


def shifted(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


SIGNATURE = "PAYPAL-TRANSMISSION-SIG"
Forge = Callable[[Till, str], tuple[str, dict[str, str]]]
FORGED: dict[str, Forge] = {
    "unsigned": lambda _, body: (body, {"Content-Type": "application/json"}),
    "cut": lambda till, body: (body, without(signed(till, body), SIGNATURE)),
    "signed for another body": lambda till, body: (
        body,
        signed(till, body) | {SIGNATURE: signed(till, body + " ")[SIGNATURE]},
    ),
    "not base64": lambda till, body: (body, signed(till, body) | {SIGNATURE: "%%%"}),
    "old": lambda till, body: (body, signed(till, body, sent_at=shifted(-310))),
    "from the future": lambda till, body: (body, signed(till, body, sent_at=shifted(310))),
    "without time": lambda till, body: (body, signed(till, body, sent_at="yesterday")),
    "without zone": lambda till, body: (body, signed(till, body, sent_at=shifted(0).removesuffix("+00:00"))),
    "for another listener": lambda till, body: (body, signed(till, body, webhook_id="SOMEBODYELSES")),
    "another event": lambda till, body: (body.replace("APPROVED", "COMPLETED"), signed(till, body)),
    "another amount": lambda till, body: (body.replace("100.00", "900.00"), signed(till, body)),
    "another algorithm": lambda till, body: (body, signed(till, body) | {"PAYPAL-AUTH-ALGO": "none"}),
    "empty": lambda till, body: ("", signed(till, body)),
    "no event": lambda till, _: ("[]", signed(till, "[]")),
}


class TestForged:
    @pytest.mark.parametrize("how", FORGED)
    async def test_is_refused_and_changes_nothing(self, api: Api, till: Till, how: str) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        before = await snapshot(till)
        genuine = event_of(payment, amount={"currency_code": "USD", "value": "100.00"})
        body, headers = FORGED[how](till, genuine)
        answer = await send(api, body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "sales.webhook_refused")
        assert await snapshot(till) == before
        assert (await send(api, genuine, signed(till, genuine))).status_code == 200
        assert await snapshot(till) != before

    async def test_times_within_five_minutes_are_taken(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        for seconds in (-290, 290):
            body = event_of(payment)
            sent_at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
            assert (await send(api, body, signed(till, body, sent_at=sent_at))).status_code == 200

    async def test_a_signature_below_another_authority_is_refused(
        self, till: Till, simulator: launch.Simulator, tmp_path: Path
    ) -> None:
        """Same host, same names, but the CA is not the one that we were told to trust."""
        payment = await till.begin()
        body = event_of(payment)
        certificates.signer(tmp_path)
        async with httpx.AsyncClient(base_url=simulator.url) as client:
            check = WebhookCheck(
                client,
                api_url=simulator.url,
                webhook_id=simulator.webhook_id,
                ca_file=str(tmp_path / certificates.CA_FILE),
            )
            with pytest.raises(ForgedWebhookError, match="not one that we trust"):
                await check.read(signed(till, body), body.encode())

    async def test_another_merchants_order_is_not_ours(self, api: Api, till: Till) -> None:
        """A genuine order of another merchant, approved; even a payment that pointed at it would buy nothing."""
        payment = await till.begin()
        client_id, _, secret = OTHER_MERCHANT.partition(":")
        http = till.paypal.client
        token = http.post(
            "/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret)
        ).json()
        order = http.post(
            "/v2/checkout/orders",
            headers={"Authorization": f"Bearer {token['access_token']}", "PayPal-Request-Id": str(uuid4())},
            json={
                "intent": "CAPTURE",
                "purchase_units": [
                    {
                        "custom_id": str(payment.order_id), "invoice_id": str(payment.payment_id),
                        "amount": {"currency_code": "USD", "value": "100.00"},
                    }
                ],
            },
        ).json()  # fmt: skip
        till.paypal.approve(order["id"])
        body = json.dumps({"id": "WH-O", "event_type": "CHECKOUT.ORDER.APPROVED", "resource": {"id": order["id"]}})
        assert (await send(api, body, signed(till, body))).status_code == 200
        await till.database.fetch("UPDATE payments SET provider_ref = $1", order["id"])
        body = body.replace("WH-O", "WH-P")
        assert (await send(api, body, signed(till, body))).status_code == 200
        assert await till.order_state(payment.order_id) == "paying"

    async def test_a_changed_total_at_the_provider_is_not_captured(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        for column, value in (("total_minor", 9_000), ("currency", "EUR")):
            await till.database.fetch(f"UPDATE payments SET {column} = $1", value)  # noqa: S608 - a name
            body = event_of(payment)
            assert (await send(api, body, signed(till, body))).status_code == 200
            assert (await till.read(payment.payment_id)).state == "created"
            await till.database.fetch("UPDATE payments SET total_minor = 10000, currency = 'USD'")
        assert till.paypal.books(payment.order_id)["captures"] == []

    async def test_a_body_of_a_megabyte_is_refused_unread(self, api: Api) -> None:
        answer = await api.client.post(PATH, content=b"x" * 1_000_000, headers={"Content-Type": "application/json"})
        assert answer.status_code in {401, 413}

    async def test_an_unknown_provider_is_not_found(self, api: Api) -> None:
        answer = await api.client.post("/payments/webhooks/nobody", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "sales.webhook_unknown")


CERTIFICATE = "/v1/notifications/certs/CERT-1"
FOREIGN = [
    "http://127.0.0.1:1" + CERTIFICATE, "http://2130706433" + CERTIFICATE, "http://0x7f.1" + CERTIFICATE,
    "http://0177.0.0.1" + CERTIFICATE, "http://[::1]" + CERTIFICATE, "http://[::ffff:127.0.0.1]" + CERTIFICATE,
    "http://169.254.169.254" + CERTIFICATE, "http://localhost." + CERTIFICATE, "http://0.0.0.0" + CERTIFICATE,
    "https://api.paypal.com.evil.net" + CERTIFICATE, "https://evil.net/api.paypal.com" + CERTIFICATE,
    "https://api.paypal.com@evil.net" + CERTIFICATE, "https://evil.net#api.paypal.com" + CERTIFICATE,
    "https://evil.net?x=https://api.paypal.com" + CERTIFICATE, "http://api.paypal.com" + CERTIFICATE,
    "https://api.paypal.com:8443" + CERTIFICATE, "https://paypal.com" + CERTIFICATE, "https://www.paypal.com" + CERTIFICATE,
    "https://api.sandbox.paypal.com" + CERTIFICATE, "https://api.paypal.com/redirect?to=evil",
    "https://api.paypal.com" + CERTIFICATE + "?next=evil", "https://api.paypal.com/v1/notifications/certs/../../evil",
    "https://api.paypal.com\\.evil.net" + CERTIFICATE, "https://api.paypal.com%2eevil.net" + CERTIFICATE,
    "ftp://api.paypal.com" + CERTIFICATE, "file:///etc/passwd", "gopher://api.paypal.com" + CERTIFICATE,
    "javascript:alert(1)", "", "//api.paypal.com" + CERTIFICATE,
]  # fmt: skip


class TestCertificateAddress:
    @pytest.mark.parametrize("url", FOREIGN)
    async def test_a_foreign_host_is_never_asked(self, url: str) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url))
            return httpx.Response(200)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            check = WebhookCheck(client, api_url="https://api-m.paypal.com", webhook_id="W", ca_file="")
            headers = {
                "paypal-auth-algo": "SHA256withRSA", "paypal-transmission-id": "1", "paypal-transmission-sig": "AAAA",
                "paypal-transmission-time": datetime.now(UTC).isoformat(), "paypal-cert-url": url,
            }  # fmt: skip
            with pytest.raises(ForgedWebhookError):
                await check.read(headers, b"{}")
        assert asked == []

    @pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(status, headers={"location": "http://169.254.169.254/"})

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            check = WebhookCheck(client, api_url="https://api-m.paypal.com", webhook_id="W", ca_file="")
            headers = {
                "paypal-auth-algo": "SHA256withRSA", "paypal-transmission-id": "1", "paypal-transmission-sig": "AAAA",
                "paypal-transmission-time": datetime.now(UTC).isoformat(),
                "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
            }  # fmt: skip
            with pytest.raises(ForgedWebhookError):
                await check.read(headers, b"{}")
        assert asked == ["api.paypal.com"]

    def test_paypals_own_hosts_are_known(self) -> None:
        assert certificate_origins("https://api-m.sandbox.paypal.com") == {
            "https://api-m.sandbox.paypal.com", "https://api.sandbox.paypal.com",
        }  # fmt: skip
        assert signer_name("https://api-m.paypal.com") == "messageverificationcerts.paypal.com"
        assert signer_name("https://api-m.sandbox.paypal.com") == "messageverificationcerts.sandbox.paypal.com"
