"""What is said to PayPal and how its answers are read. Pure: no network, no clock."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from boxoffice.kernel.money import BadMoneyError, Money
from boxoffice.services.sales.domain.bought import LONGEST_LINE, Bought, read_reference
from boxoffice.services.sales.domain.payment import (
    ProviderCapture,
    ProviderOrder,
    ProviderOrderState,
    ProviderRefund,
    ProviderSilentError,
)
from boxoffice.services.sales.providers import Movement, NewPayment

MAX_TEXT = LONGEST_LINE
"""PayPal's own bound for names and descriptions."""
BRAND = "Boxoffice"
RETURN_PATH = "/api/v1/payments/success"
CANCEL_PATH = "/api/v1/payments/cancel"
CAPTURE_CODE = "T00"
REFUND_CODE = "T11"
"""Groups of transaction event codes: payments received, reversals and refunds."""
STATES = {
    "CREATED": ProviderOrderState.WAITING,
    "SAVED": ProviderOrderState.WAITING,
    "PAYER_ACTION_REQUIRED": ProviderOrderState.WAITING,
    "APPROVED": ProviderOrderState.APPROVED,
    "COMPLETED": ProviderOrderState.COMPLETED,
    "VOIDED": ProviderOrderState.ENDED,
}
FINAL_CAPTURES = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
DECLINED_CAPTURES = frozenset({"DECLINED", "FAILED"})


class _Money(msgspec.Struct):
    currency_code: str
    value: str


class _Payee(msgspec.Struct):
    merchant_id: str | None = None


class _Capture(msgspec.Struct):
    id: str
    status: str
    amount: _Money


class _Refund(msgspec.Struct):
    id: str
    amount: _Money
    custom_id: str | None = None


class _Payments(msgspec.Struct):
    captures: list[_Capture] = []
    refunds: list[_Refund] = []


class _Item(msgspec.Struct):
    name: str
    unit_amount: _Money
    quantity: str = "1"


class _Unit(msgspec.Struct):
    amount: _Money
    reference_id: str | None = None
    items: list[_Item] = []
    custom_id: str | None = None
    invoice_id: str | None = None
    payee: _Payee | None = None
    payments: _Payments | None = None


class _Order(msgspec.Struct):
    id: str
    status: str
    purchase_units: list[_Unit]


class _Transaction(msgspec.Struct):
    transaction_id: str
    transaction_event_code: str
    transaction_initiation_date: datetime
    transaction_amount: _Money
    transaction_status: str = "S"
    paypal_reference_id: str = ""
    invoice_id: str | None = None
    custom_field: str | None = None


def order_request(payment: NewPayment, *, public_url: str) -> dict[str, Any]:
    """Write the order; the same payment always gives the same body, as PayPal-Request-Id asks for."""
    return {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                **({"reference_id": payment.reference} if payment.reference else {}),
                "custom_id": str(payment.order_id),
                "invoice_id": str(payment.payment_id),
                "description": payment.description[:MAX_TEXT],
                "amount": {**_money(payment.total), "breakdown": {"item_total": _money(payment.total)}},
                "items": [
                    {
                        "name": item.name[:MAX_TEXT],
                        "quantity": "1",
                        "category": "DIGITAL_GOODS",
                        "unit_amount": _money(item.price),
                    }
                    for item in payment.items
                ],
            }
        ],
        "payment_source": {
            "paypal": {
                "experience_context": {
                    "brand_name": BRAND,
                    "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
                    "shipping_preference": "NO_SHIPPING",
                    "user_action": "PAY_NOW",
                    "return_url": public_url + RETURN_PATH,
                    "cancel_url": public_url + CANCEL_PATH,
                }
            }
        },
    }


def read_order(answer: Mapping[str, Any]) -> ProviderOrder:
    """Read an order.

    :raises ProviderSilentError: when it is not of PayPal's shape: an answer that says nothing.
    """
    try:
        order = msgspec.convert(answer, _Order)
        unit = order.purchase_units[0]
        return ProviderOrder(
            provider_ref=order.id,
            state=STATES.get(order.status, ProviderOrderState.WAITING),
            total=_read_money(unit.amount),
            order_reference=unit.custom_id,
            payment_reference=unit.invoice_id,
            payee=unit.payee.merchant_id if unit.payee else None,
            bought=_bought(unit),
            capture=_latest_capture(unit.payments),
            refunds=tuple(
                ProviderRefund(refund_ref=refund.id, reference=refund.custom_id, value=_read_money(refund.amount))
                for refund in (unit.payments.refunds if unit.payments else [])
            ),
        )
    except (msgspec.ValidationError, BadMoneyError, IndexError) as error:
        raise ProviderSilentError("PayPal's answer cannot be read.", retryAfterSeconds=5) from error


def _bought(unit: _Unit) -> Bought | None:
    known = read_reference(unit.reference_id)
    if known is None:
        return None
    event_id, user_id, places = known
    lines = tuple((item.name, _read_money(item.unit_amount)) for item in unit.items if item.quantity == "1")
    return Bought(event_id=event_id, user_id=user_id, places=places, lines=lines)


def _latest_capture(payments: _Payments | None) -> ProviderCapture | None:
    """Give the capture that counts: one that took the money, else one that may yet, else one that did not."""
    if payments is None or not payments.captures:
        return None
    capture = min(payments.captures, key=lambda entry: (entry.status not in FINAL_CAPTURES, entry.status != "PENDING"))
    return ProviderCapture(
        capture_ref=capture.id,
        value=_read_money(capture.amount),
        is_final=capture.status in FINAL_CAPTURES,
        is_declined=capture.status in DECLINED_CAPTURES,
    )


def read_movement(entry: Mapping[str, Any]) -> Movement | None:
    """Read one line of transaction search; none for lines that are neither captures nor refunds of ours.

    :raises ProviderSilentError: when it is not of PayPal's shape.
    """
    try:
        line = msgspec.convert(entry.get("transaction_info"), _Transaction)
        if not line.transaction_event_code.startswith((CAPTURE_CODE, REFUND_CODE)) or line.transaction_status == "D":
            return None
        return Movement(
            provider_ref=line.transaction_id,
            of_ref=line.paypal_reference_id,
            value=_read_money(line.transaction_amount),
            moved_at=line.transaction_initiation_date,
            reference=line.custom_field,
            payment_reference=line.invoice_id,
            is_final=line.transaction_status != "P",
        )
    except (msgspec.ValidationError, BadMoneyError) as error:
        raise ProviderSilentError("PayPal's list cannot be read.", retryAfterSeconds=5) from error


def _money(value: Money) -> dict[str, str]:
    return {"currency_code": value.currency, "value": value.decimal()}


def _read_money(written: _Money) -> Money:
    return Money.parse(written.value, written.currency_code)
