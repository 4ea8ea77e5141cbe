"""What the simulated PayPal does with money: orders, approvals, captures, refunds. Pure decisions over the ledger.

One capture per order (unless told to forget it), refunds never above the capture: kept here whatever is asked for.
"""

import json
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.money import BadMoneyError, Money
from boxoffice.simulators.paypal.ledger import Ledger, Record, new_id, now

MERCHANT_ID = "BOXOFFICESIM1"
DECLINED = "INSTRUMENT_DECLINED"


class RefusedError(Exception):
    """PayPal's kind of no: a status, a name, and one issue."""

    def __init__(self, status: int, name: str, issue: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.name = name
        self.issue = issue
        self.description = description


def unprocessable(issue: str, description: str) -> RefusedError:
    """Refuse what is well written and cannot be done."""
    return RefusedError(422, "UNPROCESSABLE_ENTITY", issue, description)


def not_found(what: str) -> RefusedError:
    """Refuse an id that nobody knows."""
    return RefusedError(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", f"Specified {what} does not exist.")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a webhook will tell."""

    event_type: str
    resource_type: str
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bank:
    """The simulated PayPal, at one base URL."""

    ledger: Ledger
    base_url: str

    def create(self, client_id: str, request: dict[str, Any]) -> Record:
        """Create an order that waits for the payer."""
        total, unit = _read_order(request)
        order_id = new_id()
        self.ledger.do(
            "INSERT INTO orders (order_id, client_id, status, request, total_minor, currency, custom_id, invoice_id,"
            " created_at) VALUES (?, ?, 'PAYER_ACTION_REQUIRED', ?, ?, ?, ?, ?, ?)",
            order_id, client_id, json.dumps(request), total.minor, total.currency, unit.get("custom_id"),
            unit.get("invoice_id"), now(),
        )  # fmt: skip
        return self.order(order_id)

    def order(self, order_id: str, client_id: str | None = None) -> Record:
        """Read an order's record.

        :raises RefusedError: when there is none, or it is another merchant's.
        """
        found = self.ledger.one("SELECT * FROM orders WHERE order_id = ?", order_id)
        if found is None or (client_id is not None and found["client_id"] != client_id):
            raise not_found("resource ID")
        return found

    def approve(self, order_id: str, *, decline: str | None) -> Fact | None:
        """Let the payer say yes; ``decline`` is the issue that the capture will meet."""
        order = self.order(order_id)
        if order["status"] in {"COMPLETED", "APPROVED"}:
            return None
        self.ledger.do(
            "UPDATE orders SET status = 'APPROVED', decline = ?, payer_id = ?, approved_at = ? WHERE order_id = ?",
            decline, new_id()[:13], now(), order_id,
        )  # fmt: skip
        return Fact("CHECKOUT.ORDER.APPROVED", "checkout-order", self.order_view(order_id))

    def capture(self, order_id: str, client_id: str, *, pending: bool, again: bool = False) -> tuple[Record, Fact]:
        """Take the money of an approved order, once; ``again``: as often as it is asked for.

        :raises RefusedError: ORDER_NOT_APPROVED, ORDER_ALREADY_CAPTURED, or the issue of a declined instrument.
        """
        order = self.order(order_id, client_id)
        if order["status"] == "COMPLETED" and not again:
            raise unprocessable("ORDER_ALREADY_CAPTURED", "Order already captured.")
        if order["status"] not in {"APPROVED", "COMPLETED"}:
            raise unprocessable("ORDER_NOT_APPROVED", "Payer has not yet approved the Order for payment.")
        if order["decline"]:
            self.ledger.do(
                "UPDATE orders SET status = 'PAYER_ACTION_REQUIRED', decline = NULL WHERE order_id = ?", order_id
            )
            raise unprocessable(order["decline"], "The instrument presented was declined by the processor or bank.")
        capture_id = new_id()
        self.ledger.do(
            "INSERT INTO captures (capture_id, order_id, status, total_minor, currency, custom_id, invoice_id,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            capture_id, order_id, "PENDING" if pending else "COMPLETED", order["total_minor"], order["currency"],
            order["custom_id"], order["invoice_id"], now(),
        )  # fmt: skip
        self.ledger.do("UPDATE orders SET status = 'COMPLETED' WHERE order_id = ?", order_id)
        kind = "PAYMENT.CAPTURE.PENDING" if pending else "PAYMENT.CAPTURE.COMPLETED"
        return self.order_view(order_id), Fact(kind, "capture", self.capture_view(capture_id))

    def settle_pending(self, capture_id: str, *, completed: bool) -> Fact:
        """Let a pending capture come to its end."""
        status = "COMPLETED" if completed else "DECLINED"
        self.ledger.do("UPDATE captures SET status = ? WHERE capture_id = ? AND status = 'PENDING'", status, capture_id)
        return Fact(f"PAYMENT.CAPTURE.{status}", "capture", self.capture_view(capture_id))

    def refund(self, capture_id: str, client_id: str, request: dict[str, Any]) -> tuple[Record, Fact]:
        """Give back all of a capture, or a part of it.

        :raises RefusedError: CAPTURE_FULLY_REFUNDED, REFUND_AMOUNT_EXCEEDED, PENDING_CAPTURE and the like.
        """
        capture = self._capture(capture_id, client_id)
        left = capture["total_minor"] - self.ledger.refunded_minor(capture_id)
        if capture["status"] == "PENDING":
            raise unprocessable("PENDING_CAPTURE", "Cannot initiate a refund as the capture is pending.")
        if left == 0:
            raise unprocessable("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded.")
        value = _read_money(request["amount"]) if request.get("amount") else Money(left, capture["currency"])
        if value.currency != capture["currency"]:
            raise unprocessable("REFUND_CAPTURE_CURRENCY_MISMATCH", "Refund must be in the capture's currency.")
        if not 0 < value.minor <= left:
            raise unprocessable("REFUND_AMOUNT_EXCEEDED", "The refund is more than what is left of the capture.")
        refund_id = new_id()
        self.ledger.do(
            "INSERT INTO refunds (refund_id, capture_id, status, total_minor, currency, custom_id, invoice_id, note,"
            " created_at) VALUES (?, ?, 'COMPLETED', ?, ?, ?, ?, ?, ?)",
            refund_id, capture_id, value.minor, value.currency, request.get("custom_id"), request.get("invoice_id"),
            request.get("note_to_payer"), now(),
        )  # fmt: skip
        status = "REFUNDED" if value.minor == left else "PARTIALLY_REFUNDED"
        self.ledger.do("UPDATE captures SET status = ? WHERE capture_id = ?", status, capture_id)
        view = self.refund_view(refund_id)
        return view, Fact("PAYMENT.CAPTURE.REFUNDED", "refund", view)

    def _capture(self, capture_id: str, client_id: str | None = None) -> Record:
        found = self.ledger.one(
            "SELECT c.*, o.client_id FROM captures c JOIN orders o USING (order_id) WHERE capture_id = ?", capture_id
        )
        if found is None or (client_id is not None and found["client_id"] != client_id):
            raise not_found("resource ID")
        return found

    def order_view(self, order_id: str, client_id: str | None = None) -> Record:
        """Write an order as PayPal shows it."""
        order = self.order(order_id, client_id)
        request: dict[str, Any] = json.loads(order["request"])
        unit = {**request["purchase_units"][0], "payee": {"merchant_id": MERCHANT_ID}}
        captures = self.ledger.all("SELECT capture_id FROM captures WHERE order_id = ?", order_id)
        if captures:
            refunds = self.ledger.all(
                "SELECT refund_id FROM refunds JOIN captures USING (capture_id) WHERE order_id = ?", order_id
            )
            unit["payments"] = {
                "captures": [self.capture_view(record["capture_id"]) for record in captures],
                "refunds": [self.refund_view(record["refund_id"]) for record in refunds],
            }
        view: Record = {
            "id": order_id,
            "intent": "CAPTURE",
            "status": order["status"],
            "payment_source": {"paypal": {}},
            "purchase_units": [unit],
            "create_time": order["created_at"],
            "links": self._order_links(order),
        }
        if order["payer_id"]:
            view["payer"] = {"payer_id": order["payer_id"]}
        return view

    def _order_links(self, order: Record) -> list[dict[str, str]]:
        self_url = f"{self.base_url}/v2/checkout/orders/{order['order_id']}"
        links = [{"href": self_url, "rel": "self", "method": "GET"}]
        if order["status"] == "PAYER_ACTION_REQUIRED":
            page = f"{self.base_url}/checkoutnow?token={order['order_id']}"
            links += [{"href": page, "rel": rel, "method": "GET"} for rel in ("payer-action", "approve")]
        if order["status"] == "APPROVED":
            links.append({"href": f"{self_url}/capture", "rel": "capture", "method": "POST"})
        return links

    def capture_view(self, capture_id: str, client_id: str | None = None) -> Record:
        """Write a capture as PayPal shows it."""
        capture = self._capture(capture_id, client_id)
        self_url = f"{self.base_url}/v2/payments/captures/{capture_id}"
        return {
            "id": capture_id,
            "status": capture["status"],
            "amount": _money(capture),
            "final_capture": True,
            "custom_id": capture["custom_id"],
            "invoice_id": capture["invoice_id"],
            "create_time": capture["created_at"],
            "supplementary_data": {"related_ids": {"order_id": capture["order_id"]}},
            "payee": {"merchant_id": MERCHANT_ID},
            "links": [
                {"href": self_url, "rel": "self", "method": "GET"},
                {"href": f"{self_url}/refund", "rel": "refund", "method": "POST"},
            ],
        }

    def refund_view(self, refund_id: str, client_id: str | None = None) -> Record:
        """Write a refund as PayPal shows it."""
        refund = self.ledger.one(
            "SELECT r.*, o.client_id FROM refunds r JOIN captures USING (capture_id) JOIN orders o USING (order_id)"
            " WHERE refund_id = ?", refund_id,
        )  # fmt: skip
        if refund is None or (client_id is not None and refund["client_id"] != client_id):
            raise not_found("resource ID")
        return {
            "id": refund_id,
            "status": refund["status"],
            "amount": _money(refund),
            "custom_id": refund["custom_id"],
            "invoice_id": refund["invoice_id"],
            "note_to_payer": refund["note"],
            "create_time": refund["created_at"],
            "links": [
                {"href": f"{self.base_url}/v2/payments/refunds/{refund_id}", "rel": "self", "method": "GET"},
                {"href": f"{self.base_url}/v2/payments/captures/{refund['capture_id']}", "rel": "up", "method": "GET"},
            ],
        }

    def transactions(self, client_id: str, begin: str, end: str) -> list[Record]:
        """List what moved between two instants, as transaction search shows it (T0006 captures, T1107 refunds)."""
        captures = self.ledger.all(
            "SELECT c.*, c.capture_id AS id, c.order_id AS reference, 'ODR' AS kind, 'T0006' AS code, 1 AS sign"
            " FROM captures c JOIN orders o USING (order_id) WHERE o.client_id = ? AND c.created_at BETWEEN ? AND ?",
            client_id, begin, end,
        )  # fmt: skip
        refunds = self.ledger.all(
            "SELECT r.*, r.refund_id AS id, r.capture_id AS reference, 'TXN' AS kind, 'T1107' AS code, -1 AS sign"
            " FROM refunds r JOIN captures c USING (capture_id) JOIN orders o USING (order_id)"
            " WHERE o.client_id = ? AND r.created_at BETWEEN ? AND ?",
            client_id, begin, end,
        )  # fmt: skip
        found = sorted(captures + refunds, key=lambda record: (record["created_at"], record["id"]))
        return [{"transaction_info": _transaction(record)} for record in found]


def _transaction(record: Record) -> Record:
    value = Money(record["total_minor"] * record["sign"], record["currency"])
    return {
        "transaction_id": record["id"],
        "paypal_reference_id": record["reference"],
        "paypal_reference_id_type": record["kind"],
        "transaction_event_code": record["code"],
        "transaction_initiation_date": record["created_at"],
        "transaction_updated_date": record["created_at"],
        "transaction_amount": {"currency_code": value.currency, "value": value.decimal()},
        "transaction_status": {"PENDING": "P", "DECLINED": "D", "REFUNDED": "V"}.get(record["status"], "S")
        if record["sign"] > 0
        else "S",
        "invoice_id": record["invoice_id"],
        "custom_field": record["custom_id"],
    }


def _money(record: Record) -> dict[str, str]:
    value = Money(record["total_minor"], record["currency"])
    return {"currency_code": value.currency, "value": value.decimal()}


def _read_money(written: Any) -> Money:
    try:
        return Money.parse(str(written["value"]), str(written["currency_code"]))
    except (BadMoneyError, KeyError, TypeError) as error:
        raise RefusedError(400, "INVALID_REQUEST", "INVALID_PARAMETER_VALUE", "The amount cannot be read.") from error


def _read_order(request: dict[str, Any]) -> tuple[Money, dict[str, Any]]:
    units = request.get("purchase_units")
    if request.get("intent") != "CAPTURE" or not isinstance(units, list) or len(units) != 1:
        raise RefusedError(400, "INVALID_REQUEST", "MISSING_REQUIRED_PARAMETER", "One purchase unit, intent CAPTURE.")
    total = _read_money(units[0].get("amount"))
    if total.minor <= 0:
        raise unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE", "Must be greater than zero.")
    items = units[0].get("items") or []
    if items:
        parts = sum(_read_money(item["unit_amount"]).minor * int(item["quantity"]) for item in items)
        if parts != total.minor:
            raise unprocessable("ITEM_TOTAL_MISMATCH", "Should equal sum of (unit_amount * quantity) of all items.")
    for name, limit in (("custom_id", 255), ("invoice_id", 127)):
        if len(str(units[0].get(name) or "")) > limit:
            raise RefusedError(400, "INVALID_REQUEST", "INVALID_STRING_MAX_LENGTH", f"{name} is too long.")
    return total, units[0]
