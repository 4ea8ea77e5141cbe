"""Confirm an order: money noted, seats sold, tickets issued, ledger and message written, all in one transaction.

C2 of the protocol (reliability section 4.5). Invariants I1 (the seats are this order's, counted), I2 (ledger), I5 (a
ticket exists only for captured money or a free order).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refusals import (
    HoldExpiredError,
    OrderNotFoundError,
    PaymentNeededError,
    SaleDisagreesError,
    WrongOrderStateError,
    WrongPaymentError,
)
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.store import areas, captures, ledger, limits, orders, seats, terms, tickets
from boxoffice.services.sales.usecases.tell_order import barcode_of, tell

ENDED_WELL = frozenset({OrderState.CONFIRMED, OrderState.CANCELLED})
"""A cancelled order was confirmed once: confirming it again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A confirmed order and its tickets; ``repeated`` when it had been confirmed before."""

    order: Order
    tickets: list[Ticket]
    repeated: bool


async def confirm(
    tx: Connection, *, order_id: OrderId, payment_id: PaymentId, capture_ref: str | None, signer: KeyRing
) -> Confirmation:
    """Confirm a paying order after the provider said that it captured this payment; a repeat changes nothing.

    :raises OrderNotFoundError: when there is no such order.
    :raises WrongPaymentError: when the payment is not one of this order.
    :raises WrongOrderStateError: when the payment was not claimed (``capturing``) or the order is not ``paying``.
    :raises SaleDisagreesError: when the seats or the total are not what the order says; nothing is changed then.
    """
    order = await orders.lock(tx, order_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    state = await captures.state_of(tx, payment_id, order_id)
    if state is None:
        raise WrongPaymentError("The payment is for another booking.", bookingId=str(order_id))
    if state == "captured" and order.state in ENDED_WELL:
        return Confirmation(order=order, tickets=await tickets.of_order(tx, order_id), repeated=True)
    captured = await captures.capture(tx, payment_id, order_id, capture_ref)
    if captured is None or order.state is not OrderState.PAYING:
        raise WrongOrderStateError(
            "The payment was not claimed for this booking.", bookingStatus=order.shown_state(), paymentState=state
        )
    if captured != order.total:
        raise SaleDisagreesError("The payment's total is not the booking's.")
    confirmation = await _sell(tx, order, SeatState.PAYING, signer)
    await ledger.post(
        tx, posting_id=payment_id, order_id=order_id, currency=captured.currency,
        entries={"provider": captured.minor, "revenue": -captured.minor},
    )  # fmt: skip
    return confirmation


async def confirm_free(tx: Connection, *, order_id: OrderId, user_id: UserId, signer: KeyRing) -> Confirmation:
    """Confirm a customer's own order that costs nothing, while its hold lasts; a repeat changes nothing.

    :raises OrderNotFoundError: when it is not theirs.
    :raises PaymentNeededError: when there is something to pay.
    :raises HoldExpiredError: when the hold ran out.
    :raises WrongOrderStateError: when it was released.
    """
    order = await orders.lock_own(tx, order_id, user_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    if not order.is_free:
        raise PaymentNeededError("Pay for this booking first.", bookingId=str(order_id))
    if order.state in ENDED_WELL:
        return Confirmation(order=order, tickets=await tickets.of_order(tx, order_id), repeated=True)
    if order.state is OrderState.HELD and order.expired:
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order_id))
    if order.state is not OrderState.HELD:
        raise WrongOrderStateError("The seats were given back.", bookingStatus=order.shown_state())
    return await _sell(tx, order, SeatState.HELD, signer)


async def _sell(tx: Connection, order: Order, state: SeatState, signer: KeyRing) -> Confirmation:
    sold = await seats.sell(tx, event_id=order.event_id, seat_ids=order.seat_ids, order_id=order.order_id, state=state)
    if len(sold) < len(order.seat_ids):
        # Places of general admission are the order's as long as it is: its lock and state are all there is to check.
        sold = [*sold, *await areas.priced(tx, order.event_id, order.seat_ids)]
    if len(sold) != len(order.seat_ids):
        # A free order's hold can run out between the lock and here; a paying order's seats cannot be lost (I3).
        if state is SeatState.HELD:
            raise HoldExpiredError("Choose your seats again.", bookingId=str(order.order_id))
        raise SaleDisagreesError("The booking's seats are not its own any more.")
    if _worth(order, sold) != order.total:
        raise SaleDisagreesError("The seats' prices are not the booking's total.")
    await tickets.issue(tx, order, key_id=signer.signing_key_id.hex())
    version = await orders.move(tx, order.order_id, order.state, OrderState.CONFIRMED)
    event = await terms.of_event(tx, order.event_id)
    issued = await tickets.of_order(tx, order.order_id)
    if version is None or event is None or len(issued) != len(order.seat_ids):
        raise SaleDisagreesError("The booking changed while it was confirmed.")
    await tell(
        tx, order, "sales.order.confirmed", state=OrderState.CONFIRMED, version=version, tickets=issued,
        barcodes={ticket.ticket_id: barcode_of(ticket, event, signer) for ticket in issued},
    )  # fmt: skip
    await limits.close_bought(tx, order.order_id)
    confirmed = await orders.lock(tx, order.order_id)
    assert confirmed is not None
    return Confirmation(order=confirmed, tickets=issued, repeated=False)


def _worth(order: Order, sold: Sequence[Any]) -> Money:
    """Add up what the seats sold come to: by their own prices, or by those of the types that the buyer chose."""
    if order.ticket_types is None:
        return Money(sum(seat["price_minor"] for seat in sold), order.total.currency)
    own = dict(zip(order.seat_ids, order.prices, strict=True))
    return Money(sum(own[seat["seat_id"]].minor for seat in sold), order.total.currency)
