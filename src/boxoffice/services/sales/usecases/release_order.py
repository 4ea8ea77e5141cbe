"""Release an order whose payment took no money: its seats are free again, or held a little longer for another try.

F and F2 of the protocol (reliability section 4.5). Invariant I3: released only after the payment can never be captured,
which the compare-and-set on the payment decides.
"""

from datetime import UTC, datetime
from typing import Literal

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import Order, OrderState, held_again_until
from boxoffice.services.sales.domain.refusals import (
    OrderNotFoundError,
    SaleDisagreesError,
    WrongOrderStateError,
    WrongPaymentError,
)
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.store import areas, captures, limits, orders, seats
from boxoffice.services.sales.usecases.tell_order import tell

Because = Literal["payment_expired", "payment_declined", "payment_abandoned", "given_back"]


async def release_voided(
    tx: Connection, *, order_id: OrderId, payment_id: PaymentId, because: Because = "payment_expired"
) -> OrderState:
    """F: after the provider can no longer capture an ``abandoning`` payment, void it and free the seats.

    A repeat changes nothing. Returns the order's state.

    :raises WrongPaymentError: when the payment is not one of this order.
    :raises WrongOrderStateError: when the payment was not being abandoned.
    """
    order = await _paying(tx, order_id, payment_id, before="abandoning", after="voided", failure=because)
    if order.state is not OrderState.PAYING:
        return order.state
    return await _free(tx, order, SeatState.PAYING, because)


async def end_declined(
    tx: Connection, *, order_id: OrderId, payment_id: PaymentId, failure: str, before: str = "capturing"
) -> OrderState:
    """F2: after the provider declined, hold the seats a little longer for another card, or free them at last.

    ``before`` is the payment's state that is ended: ``capturing`` (declined), ``created`` (the provider refused to make
    it) or ``abandoning`` (the buyer turned back, and the provider can no longer capture). Returns the order's state.

    :raises WrongPaymentError: when the payment is not one of this order.
    :raises WrongOrderStateError: when the payment was in another state.
    """
    after = "voided" if before == "abandoning" else "failed"
    order = await _paying(tx, order_id, payment_id, before=before, after=after, failure=failure)
    if order.state is not OrderState.PAYING:
        return order.state
    now: datetime = await tx.fetchval("SELECT clock_timestamp()")
    until = held_again_until(
        attempt=await captures.attempt_of(tx, payment_id), turned_back=before == "abandoning",
        hold_expires_at=order.hold_expires_at, now=now,
    )  # fmt: skip
    if until is None:
        return await _free(tx, order, SeatState.PAYING, "payment_declined")
    expires_at = until.astimezone(UTC)
    held = await seats.hold_again(
        tx, event_id=order.event_id, seat_ids=order.seat_ids, order_id=order_id, expires_at=expires_at
    )
    if held < len(order.seat_ids):
        held += await areas.count_among(tx, order.seat_ids)
    if held != len(order.seat_ids) or await orders.hold_again(tx, order_id, expires_at) is None:
        raise SaleDisagreesError("The booking's seats are not its own any more.")
    await limits.charge_longer(tx, order_id, before=order.hold_expires_at)
    return OrderState.HELD


async def give_back_hold(tx: Connection, *, order_id: OrderId, user_id: UserId) -> OrderState:
    """Give a customer's own held seats back now; a repeat, or one whose time is up, changes nothing more.

    :raises OrderNotFoundError: when it is not theirs.
    :raises WrongOrderStateError: when it is being paid or was confirmed.
    """
    order = await orders.lock_own(tx, order_id, user_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    if order.state is OrderState.RELEASED:
        return order.state
    if order.state is not OrderState.HELD:
        raise WrongOrderStateError("Only a hold can be given back.", bookingStatus=order.shown_state())
    return await _free(tx, order, SeatState.HELD, "given_back")


async def _paying(
    tx: Connection, order_id: OrderId, payment_id: PaymentId, *, before: str, after: str, failure: str
) -> Order:
    """Lock the order, end its payment; an order that ended before comes back as it is."""
    order = await orders.lock(tx, order_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    state = await captures.state_of(tx, payment_id, order_id)
    if state is None:
        raise WrongPaymentError("The payment is for another booking.", bookingId=str(order_id))
    if state == after and order.state is not OrderState.PAYING:
        return order
    ended = await captures.end_attempt(tx, payment_id, order_id, before=before, after=after, failure=failure)
    if ended is None or order.state is not OrderState.PAYING:
        raise WrongOrderStateError(
            "The payment does not allow this.", bookingStatus=order.shown_state(), paymentState=state
        )
    return order


async def _free(tx: Connection, order: Order, state: SeatState, because: Because) -> OrderState:
    freed = await seats.free(tx, event_id=order.event_id, seat_ids=order.seat_ids, order_id=order.order_id, state=state)
    places = 0 if freed == len(order.seat_ids) else await areas.count_among(tx, order.seat_ids)
    freed += places
    # A hold that ran out may have lost seats to others already; seats being paid for cannot be lost (I3).
    if state is SeatState.PAYING and freed != len(order.seat_ids):
        raise SaleDisagreesError("The booking's seats are not its own any more.")
    version = await orders.move(tx, order.order_id, order.state, OrderState.RELEASED, because=because)
    if version is None:
        raise SaleDisagreesError("The booking changed while it was released.")
    await tell(tx, order, "sales.order.released", state=OrderState.RELEASED, version=version, reason=because)
    await limits.close_hold(tx, order.order_id)
    if places:
        await areas.give_back(tx, order.seat_ids)
    return OrderState.RELEASED
