"""PayPal: Orders v2, Payments v2 and Transaction Search v1 over httpx (docs/decisions: why not the SDK).

Every POST carries ``PayPal-Request-Id``: the payment id for create, ``<payment id>:c`` for capture (kept by PayPal for
6 hours; afterwards ORDER_ALREADY_CAPTURED says the same), the refund id for refunds (kept for 45 days).
Sources: https://developer.paypal.com/docs/api/orders/v2/, /payments/v2/, /transaction-search/v1/.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from boxoffice.kernel.ids import PaymentId, RefundId
from boxoffice.kernel.money import Money
from boxoffice.runtime.telemetry import log
from boxoffice.runtime.tracing import doing
from boxoffice.services.sales.domain.payment import (
    CaptureOutcome,
    Declined,
    ProviderOrder,
    ProviderOrderState,
    ProviderRefusedError,
    ProviderSilentError,
    Refunded,
    RefundOutcome,
    RefundRefused,
    Unknown,
    captured_or_not,
)
from boxoffice.services.sales.providers import Begun, Movement, NewPayment, ProviderEvent
from boxoffice.services.sales.providers.paypal_bodies import order_request, read_movement, read_order
from boxoffice.services.sales.providers.paypal_webhooks import WebhookCheck

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 5.0
"""Longer than a healthy provider ever takes; a buyer waits in front of the page meanwhile."""
CONNECTIONS = 20
"""A slow provider may tie up this many calls and no more."""
PAYPAL = re.compile(r"https://(?:[a-z0-9-]+\.)+paypal\.com(?:[/?][!-\[\]-~]*)?")
"""Addresses of PayPal's pages, its API and its sandbox, as every browser reads them: without a backslash."""
TOKEN_SLACK_S = 60.0
"""A token that lapses within this time is renewed first."""
PAGE_SIZE = 100
MAX_PAGES = 100
RETRY_AFTER_S = 5
NEVER_CAPTURED = frozenset(
    {
        "INSTRUMENT_DECLINED", "ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED", "PAYER_CANNOT_PAY", "ORDER_EXPIRED",
        "TRANSACTION_REFUSED", "TRANSACTION_BLOCKED_BY_PAYEE", "PAYER_ACCOUNT_RESTRICTED",
        "PAYER_ACCOUNT_LOCKED_OR_CLOSED", "COMPLIANCE_VIOLATION", "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED",
    }
)  # fmt: skip
"""Issues of a capture after which PayPal holds no money and takes none without a new approval."""

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Of the merchant's REST application; ``merchant_id`` empty: the payee is not compared."""

    client_id: str
    client_secret: str
    merchant_id: str = ""


class _IssueError(Exception):
    """A 4xx answer: PayPal understood and says no."""

    def __init__(self, status: int, issue: str) -> None:
        super().__init__(f"{status} {issue}")
        self.status = status
        self.issue = issue


class PayPal:
    """One merchant's account at PayPal, or at the simulator."""

    name = "paypal"

    def __init__(
        self, client: httpx.AsyncClient, credentials: Credentials, *, public_url: str, webhooks: WebhookCheck
    ) -> None:
        self.payee = credentials.merchant_id
        self._client = client
        self._credentials = credentials
        self._public_url = public_url.rstrip("/")
        self._webhooks = webhooks
        self._token = ""
        self._token_until = 0.0
        self._token_lock = asyncio.Lock()

    async def create(self, payment: NewPayment) -> Begun:
        """Create an order under the payment id.

        :raises ProviderSilentError: when it may or may not have been created.
        :raises ProviderRefusedError: when PayPal says no.
        """
        try:
            answer = await self._call(
                "POST", "/v2/checkout/orders", key=str(payment.payment_id),
                body=order_request(payment, public_url=self._public_url),
            )  # fmt: skip
        except _IssueError as no:
            raise ProviderRefusedError("PayPal does not take this payment.", issue=no.issue) from no
        links = {link.get("rel"): link.get("href") for link in answer.get("links", [])}
        approval_url = links.get("payer-action") or links.get("approve")
        if not isinstance(answer.get("id"), str) or not isinstance(approval_url, str):
            raise _silent("PayPal's answer names no page to approve at.")
        # A simulator's pages are where the shop's operator put them.
        if PAYPAL.match(str(self._client.base_url)) and not PAYPAL.fullmatch(approval_url):
            raise _silent("PayPal's answer names a page that is not PayPal's.")
        return Begun(provider_ref=answer["id"], approval_url=approval_url)

    async def get(self, provider_ref: str) -> ProviderOrder:
        """Ask how an order stands; one that PayPal does not know any more has ended.

        :raises ProviderSilentError: when there is no answer.
        """
        try:
            return read_order(await self._call("GET", f"/v2/checkout/orders/{provider_ref}"))
        except _IssueError as no:
            if no.status != httpx.codes.NOT_FOUND:
                raise _silent(f"PayPal refuses to tell: {no}") from no
            return ProviderOrder(
                provider_ref=provider_ref, state=ProviderOrderState.ENDED, total=Money(0, "USD"),
                order_reference=None, payment_reference=None,
            )  # fmt: skip

    async def capture(self, provider_ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        """Capture an order, once."""
        try:
            order = read_order(
                await self._call("POST", f"/v2/checkout/orders/{provider_ref}/capture", key=f"{payment_id}:c", body={})
            )
        except ProviderSilentError as silence:
            return Unknown(reason=silence.detail)
        except _IssueError as no:
            return await self._not_captured(provider_ref, no)
        return captured_or_not(order)

    async def _not_captured(self, provider_ref: str, no: _IssueError) -> CaptureOutcome:
        if no.issue in NEVER_CAPTURED:
            return Declined(reason=no.issue)
        if no.issue != "ORDER_ALREADY_CAPTURED" and no.status != httpx.codes.NOT_FOUND:
            return Unknown(reason=str(no))
        try:
            order = await self.get(provider_ref)
        except ProviderSilentError as silence:
            return Unknown(reason=silence.detail)
        return Declined(reason="ORDER_GONE") if order.state is ProviderOrderState.ENDED else captured_or_not(order)

    async def void(self, provider_ref: str) -> None:
        """Do nothing: an order that was not captured moves no money, only we can capture it, and PayPal drops it.

        Orders v2 has no call for it. What keeps it from being captured is our own state (reliability 4.5, D).
        """

    async def refund(self, capture_ref: str, *, refund_id: RefundId, value: Money) -> RefundOutcome:
        """Refund a part of a capture under the refund id."""
        try:
            answer = await self._call(
                "POST", f"/v2/payments/captures/{capture_ref}/refund", key=str(refund_id),
                body={
                    "amount": {"currency_code": value.currency, "value": value.decimal()},
                    "custom_id": str(refund_id),
                    "invoice_id": str(refund_id),
                },
            )  # fmt: skip
        except ProviderSilentError as silence:
            return Unknown(reason=silence.detail)
        except _IssueError as no:
            busy = no.status in {httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.UNAUTHORIZED}
            return Unknown(reason=str(no)) if busy else RefundRefused(reason=no.issue)
        if answer.get("status") in {"FAILED", "CANCELLED"}:
            return RefundRefused(reason=str(answer["status"]))
        return Refunded(refund_ref=str(answer.get("id", "")))

    async def webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check and read a webhook.

        :raises ForgedWebhookError: when it cannot be trusted.
        :raises ProviderSilentError: when the certificate cannot be had now.
        """
        return await self._webhooks.read(headers, body)

    async def movements(self, begin: datetime, end: datetime) -> list[Movement]:
        """List captures and refunds, at most 31 days; PayPal shows them up to three hours late.

        :raises ProviderSilentError: when there is no answer.
        """
        found: list[Movement] = []
        for page in range(1, MAX_PAGES + 1):
            try:
                answer = await self._call(
                    "GET", "/v1/reporting/transactions",
                    query={
                        "start_date": begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "end_date": end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "fields": "transaction_info", "page_size": str(PAGE_SIZE), "page": str(page),
                    },
                )  # fmt: skip
            except _IssueError as no:
                raise _silent(f"PayPal lists no transactions: {no}") from no
            read = [read_movement(entry) for entry in answer.get("transaction_details", [])]
            found.extend(movement for movement in read if movement is not None)
            if page >= int(answer.get("total_pages", 1)):
                return found
        raise _silent("PayPal lists more transactions than can be read at once; ask for a shorter time.")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        for attempt in (1, 2):
            headers = {"Authorization": f"Bearer {await self._access_token()}", "Prefer": "return=representation"}
            if key is not None:
                headers["PayPal-Request-Id"] = key
            answer = await self._send(method, path, headers=headers, json=body, params=query)
            if answer.status_code == httpx.codes.UNAUTHORIZED and attempt == 1:
                self._token_until = 0.0  # revoked, or the simulator began anew
                continue
            return _read(answer)
        raise AssertionError  # pragma: no cover - the second attempt returns or raises

    async def _access_token(self) -> str:
        async with self._token_lock:
            if time.monotonic() >= self._token_until:
                answer = await self._send(
                    "POST", "/v1/oauth2/token", data={"grant_type": "client_credentials"},
                    auth=httpx.BasicAuth(self._credentials.client_id, self._credentials.client_secret),
                )  # fmt: skip
                if not answer.is_success:
                    raise _silent(f"PayPal gives no access token: {answer.status_code}")
                granted = answer.json()
                self._token = str(granted["access_token"])
                self._token_until = time.monotonic() + max(0.0, float(granted["expires_in"]) - TOKEN_SLACK_S)
            return self._token

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            with doing(_name(method, path), kind="client", peer=self.name):
                return await self._client.request(method, path, **arguments)
        except (httpx.TransportError, OSError) as error:
            raise _silent(f"PayPal cannot be reached: {type(error).__name__}") from error


def _name(method: str, path: str) -> str:
    """Name a call without the ids in its path."""
    return f"{method} " + "/".join(
        "{}" if any(map(str.isdigit, part)) and part[0] != "v" else part for part in path.split("/")
    )


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise _silent(f"PayPal answered {answer.status_code}.")
    try:
        read: Any = answer.json()
    except ValueError as error:
        raise _silent("PayPal's answer is no JSON.") from error
    if not isinstance(read, dict):
        raise _silent("PayPal's answer is no object.")
    if answer.is_success:
        return read
    details = read.get("details") or [{}]
    issue = details[0].get("issue") if isinstance(details, list) and isinstance(details[0], dict) else None
    _log.info("paypal.says_no", status=answer.status_code, issue=issue, debug_id=read.get("debug_id"))
    raise _IssueError(answer.status_code, str(issue or read.get("name") or "UNKNOWN"))


def _silent(detail: str) -> ProviderSilentError:
    return ProviderSilentError(detail, retryAfterSeconds=RETRY_AFTER_S)


@asynccontextmanager
async def open_paypal(
    *,
    api_url: str,
    credentials: Credentials,
    public_url: str,
    webhook_id: str,
    webhook_ca_file: str,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> AsyncIterator[PayPal]:
    """Keep a client of PayPal open. It talks to ``api_url`` and nobody else, and follows no redirect."""
    timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=api_url, timeout=timeout, limits=limits, follow_redirects=False) as client:
        webhooks = WebhookCheck(client, api_url=api_url, webhook_id=webhook_id, ca_file=webhook_ca_file)
        yield PayPal(client, credentials, public_url=public_url, webhooks=webhooks)
