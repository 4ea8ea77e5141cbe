"""The calls of PayPal's REST API that a shop needs, with PayPal's bodies and errors."""

import asyncio
import base64
import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from litestar import Request, Response, Router, get, post

from boxoffice.simulators.paypal.bank import DECLINED, Bank, Fact, RefusedError, unprocessable
from boxoffice.simulators.paypal.faults import Call, Faults
from boxoffice.simulators.paypal.ledger import Record
from boxoffice.simulators.paypal.server import cut
from boxoffice.simulators.paypal.webhooks import Webhooks

TOKEN_LIFE_S = 32_400
"""PayPal's own: nine hours."""
PAGE_SIZE = 100
RequestOfPayPal = Request[Any, Any, Any]
Act = Callable[[], tuple[int, Record, Fact | None]]


@dataclass(slots=True)
class PayPal:
    """Everything that the calls share."""

    bank: Bank
    webhooks: Webhooks
    faults: Faults
    clients: dict[str, str]
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def client_of(self, request: RequestOfPayPal) -> str:
        """Tell the merchant's client by its token.

        :raises RefusedError: when the token is unknown or lapsed.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        client_id, expires = self.tokens.get(token, ("", 0.0))
        if scheme.lower() != "bearer" or expires < time.time():
            raise RefusedError(401, "AUTHENTICATION_FAILURE", "INVALID_TOKEN", "Authentication failed.")
        return client_id

    async def answer(
        self, request: RequestOfPayPal, call: Call, act: Act, *, key_scope: str | None = None
    ) -> Response[Any]:
        """Do one call, with the faults that it meets and PayPal-Request-Id as PayPal keeps it."""
        if refusal := self.faults.meets(call, "refuse", "throttle"):
            status = 429 if refusal.kind == "throttle" else refusal.status
            name = "RATE_LIMIT_REACHED" if refusal.kind == "throttle" else "INTERNAL_SERVICE_ERROR"
            return error_response(RefusedError(status, name, name, "The simulator was told to refuse."))
        try:
            status, body = self._decide(request, act, await request.body(), key_scope)
            answer: Response[Any] = Response(body, status_code=status)
        except RefusedError as error:
            answer = error_response(error)
        if stumble := self.faults.meets(call, "stumble"):
            name = "INTERNAL_SERVICE_ERROR"
            answer = error_response(RefusedError(stumble.status, name, name, "It was done all the same."))
        if late := self.faults.meets(call, "slow"):
            await asyncio.sleep(late.seconds)
        if self.faults.meets(call, "lose"):
            cut(request.scope)
        return answer

    def _decide(self, request: RequestOfPayPal, act: Act, raw: bytes, key_scope: str | None) -> tuple[int, Record]:
        key = request.headers.get("paypal-request-id")
        ledger = self.bank.ledger
        fingerprint = hashlib.sha256(raw).hexdigest()
        if key_scope and key and (earlier := ledger.remembered(key_scope, key)):
            if earlier["fingerprint"] != fingerprint:
                raise unprocessable("DUPLICATE_REQUEST_ID", "The PayPal-Request-Id was used with another body.")
            body: Record = json.loads(earlier["body"])
            if earlier["status"] >= 400:  # noqa: PLR2004 - an error that was decided, told again
                raise RefusedError(earlier["status"], body["name"], body["issue"], body["description"])
            return 200, body
        refused: RefusedError | None = None
        status, body = 0, {}
        with ledger.change():
            try:
                status, body, fact = act()
                if fact:
                    self.webhooks.tell(fact)
            except RefusedError as error:
                refused = error
                status, body = error.status, {"name": error.name, "issue": error.issue, "description": str(error)}
            if key_scope and key and (refused is None or refused.issue == DECLINED):
                ledger.remember(key_scope, key, fingerprint, status, body)
        if refused:
            raise refused
        return status, body


def error_response(error: RefusedError) -> Response[Any]:
    """Write an error as PayPal does (https://developer.paypal.com/api/rest/responses/)."""
    return Response(
        {
            "name": error.name,
            "message": error.description,
            "debug_id": secrets.token_hex(7),
            "details": [{"issue": error.issue, "description": error.description}],
            "links": [],
        },
        status_code=error.status,
    )


def routes(paypal: PayPal) -> list[Any]:
    """Build the API's routes."""
    return [
        Router(path="/v1", route_handlers=[_token(paypal), _transactions(paypal), _certificate(paypal)]),
        Router(path="/v2/checkout", route_handlers=_order_routes(paypal)),
        Router(path="/v2/payments", route_handlers=_payment_routes(paypal)),
    ]


def _token(paypal: PayPal) -> Any:
    @post("/oauth2/token", status_code=200)
    async def token(request: RequestOfPayPal) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            client_id, secret = _basic(request.headers.get("authorization", ""))
            expected = paypal.clients.get(client_id)
            if expected is None or not secrets.compare_digest(expected, secret):
                raise RefusedError(401, "invalid_client", "invalid_client", "Client Authentication failed")
            made = secrets.token_urlsafe(48)
            paypal.tokens[made] = (client_id, time.time() + TOKEN_LIFE_S)
            return 200, {"access_token": made, "token_type": "Bearer", "expires_in": TOKEN_LIFE_S, "scope": ""}, None

        return await paypal.answer(request, "token", act)

    return token


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (client_id, secret) if scheme.lower() == "basic" else ("", "")


def _order_routes(paypal: PayPal) -> list[Any]:
    @post("/orders", status_code=201)
    async def create(request: RequestOfPayPal) -> Response[Any]:
        raw = await request.body()

        def act() -> tuple[int, Record, Fact | None]:
            client_id = paypal.client_of(request)
            if not request.headers.get("paypal-request-id"):
                raise RefusedError(
                    400, "INVALID_REQUEST", "PAYPAL_REQUEST_ID_REQUIRED", "A PayPal-Request-Id is required."
                )
            order = paypal.bank.create(client_id, _object(raw))
            return 201, paypal.bank.order_view(order["order_id"]), None

        return await paypal.answer(request, "create_order", act, key_scope="create")

    @get("/orders/{order_id:str}")
    async def show(request: RequestOfPayPal, order_id: str) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            return 200, paypal.bank.order_view(order_id, paypal.client_of(request)), None

        return await paypal.answer(request, "get_order", act)

    @post("/orders/{order_id:str}/capture", status_code=201)
    async def capture(request: RequestOfPayPal, order_id: str) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            client_id = paypal.client_of(request)
            order = paypal.bank.order(order_id, client_id)
            if order["status"] == "APPROVED" and paypal.faults.meets("capture", "decline"):
                paypal.bank.ledger.do("UPDATE orders SET decline = ? WHERE order_id = ?", DECLINED, order_id)
            pending = order["status"] == "APPROVED" and paypal.faults.meets("capture", "pending") is not None
            again = order["status"] == "COMPLETED" and paypal.faults.meets("capture", "recapture") is not None
            return 201, *paypal.bank.capture(order_id, client_id, pending=pending, again=again)

        return await paypal.answer(request, "capture", act, key_scope=f"capture:{order_id}")

    return [create, show, capture]


def _payment_routes(paypal: PayPal) -> list[Any]:
    @get("/captures/{capture_id:str}")
    async def show_capture(request: RequestOfPayPal, capture_id: str) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            return 200, paypal.bank.capture_view(capture_id, paypal.client_of(request)), None

        return await paypal.answer(request, "get_capture", act)

    @post("/captures/{capture_id:str}/refund", status_code=201)
    async def refund(request: RequestOfPayPal, capture_id: str) -> Response[Any]:
        raw = await request.body()

        def act() -> tuple[int, Record, Fact | None]:
            return 201, *paypal.bank.refund(capture_id, paypal.client_of(request), _object(raw or b"{}"))

        return await paypal.answer(request, "refund", act, key_scope=f"refund:{capture_id}")

    @get("/refunds/{refund_id:str}")
    async def show_refund(request: RequestOfPayPal, refund_id: str) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            return 200, paypal.bank.refund_view(refund_id, paypal.client_of(request)), None

        return await paypal.answer(request, "get_refund", act)

    return [show_capture, refund, show_refund]


def _transactions(paypal: PayPal) -> Any:
    @get("/reporting/transactions")
    async def transactions(
        request: RequestOfPayPal, start_date: str, end_date: str, page_size: int = PAGE_SIZE, page: int = 1
    ) -> Response[Any]:
        def act() -> tuple[int, Record, Fact | None]:
            found = paypal.bank.transactions(paypal.client_of(request), start_date, end_date)
            size = min(max(1, page_size), 500)
            shown = found[(page - 1) * size : page * size]
            pages = max(1, -(-len(found) // size))
            answer = {"transaction_details": shown, "page": page, "total_items": len(found), "total_pages": pages}
            return 200, answer, None

        return await paypal.answer(request, "transactions", act)

    return transactions


def _certificate(paypal: PayPal) -> Any:
    @get("/notifications/certs/{name:str}", media_type="application/x-pem-file")
    async def certificate(name: str) -> bytes:  # noqa: ARG001 - there is one, whatever it is called
        return paypal.webhooks.signer.chain_pem

    return certificate


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise RefusedError(400, "INVALID_REQUEST", "MALFORMED_REQUEST_JSON", "The body is no JSON.") from error
    if not isinstance(found, dict):
        raise RefusedError(400, "INVALID_REQUEST", "MALFORMED_REQUEST_JSON", "The body is no object.")
    return found
