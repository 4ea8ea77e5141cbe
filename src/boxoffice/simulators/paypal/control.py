"""The control API of the simulator, for tests and demonstrations: faults, approvals without a page, its own books."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, delete, get, post

from boxoffice.simulators.paypal.api import PayPal, error_response
from boxoffice.simulators.paypal.bank import DECLINED, RefusedError
from boxoffice.simulators.paypal.faults import Fault


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the payer answers: yes, with a card that will be declined or not."""

    decline: bool = False


class ToSign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body to sign as a webhook, at another time or for another listener if told so."""

    body: str
    sent_at: str | None = None
    webhook_id: str | None = None


def routes(paypal: PayPal) -> list[Any]:
    """Build the control routes."""
    return [Router(path="/simulator", route_handlers=[*_fault_routes(paypal), *_payer_routes(paypal), *_books(paypal)])]


def _fault_routes(paypal: PayPal) -> list[Any]:
    @get("/faults", sync_to_thread=False)
    def faults() -> list[Fault]:
        return [fault for fault, _ in paypal.faults.active]

    @post("/faults", sync_to_thread=False)
    def add(data: Fault) -> Fault:
        paypal.faults.add(data)
        return data

    @delete("/faults", sync_to_thread=False)
    def clear() -> None:
        paypal.faults.clear()

    @get("/faults/met", sync_to_thread=False)
    def met() -> dict[str, int]:
        return dict(paypal.faults.met)

    @post("/forget-keys", sync_to_thread=False)
    def forget_keys() -> dict[str, int]:
        with paypal.bank.ledger.change():
            return {"forgotten": paypal.bank.ledger.forget_keys()}

    @post("/forget-tokens", sync_to_thread=False)
    def forget_tokens() -> None:
        paypal.tokens.clear()

    return [faults, met, add, clear, forget_keys, forget_tokens]


def _payer_routes(paypal: PayPal) -> list[Any]:
    @post("/orders/{order_id:str}/approve", status_code=200, sync_to_thread=False)
    def approve(order_id: str, data: Approval) -> Response[Any]:
        try:
            with paypal.bank.ledger.change():
                fact = paypal.bank.approve(order_id, decline=DECLINED if data.decline else None)
                if fact:
                    paypal.webhooks.tell(fact)
        except RefusedError as error:
            return error_response(error)
        return Response(paypal.bank.order_view(order_id))

    @post("/captures/{capture_id:str}/settle", status_code=200, sync_to_thread=False)
    def settle(capture_id: str, *, completed: bool = True) -> dict[str, Any]:
        with paypal.bank.ledger.change():
            paypal.webhooks.tell(paypal.bank.settle_pending(capture_id, completed=completed))
        return paypal.bank.capture_view(capture_id)

    return [approve, settle]


def _books(paypal: PayPal) -> list[Any]:
    @get("/books", sync_to_thread=False)
    def books(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return paypal.bank.ledger.books(request.query_params.get("custom_id"))

    @get("/webhooks", sync_to_thread=False)
    def webhooks() -> list[dict[str, Any]]:
        return paypal.bank.ledger.all("SELECT * FROM webhooks ORDER BY rowid")

    @post("/webhooks/sign", status_code=200, sync_to_thread=False)
    def sign(data: ToSign) -> dict[str, str]:
        return paypal.webhooks.headers(data.body.encode(), sent_at=data.sent_at, webhook_id=data.webhook_id)

    return [books, webhooks, sign]
