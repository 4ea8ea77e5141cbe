"""Confirm an order because its buyer asks: a free one at once, a paid one as far as its payment allows."""

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.runtime import tracing
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refusals import (
    HoldExpiredError,
    OrderNotFoundError,
    PaymentNeededError,
    WrongPaymentError,
)
from boxoffice.services.sales.store import orders, payments
from boxoffice.services.sales.usecases.confirm_order import ENDED_WELL, confirm_free
from boxoffice.services.sales.usecases.continue_purchase import continuing_purchase
from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.read_orders import ShownOrder
from boxoffice.services.sales.usecases.settle_payment import Settling, settle


async def confirm_for_buyer(
    till: Settling,
    *,
    order_id: OrderId,
    user_id: UserId,
    payment_id: PaymentId | None,
    desk: ConfirmDesk | None = None,
) -> ShownOrder | None:
    """Confirm a customer's own order; a repeat changes nothing.

    ``desk`` confirms the usual order together with others; whatever it leaves goes the whole way. Returns the order as
    it is then when that is known without asking.

    :raises OrderNotFoundError: when it is not theirs.
    :raises WrongPaymentError: when the payment is not one of this order.
    :raises PaymentNeededError: when no payment of it was captured yet.
    :raises HoldExpiredError: when the seats were given back.
    """
    if not tracing.on():
        return await _confirm(till, order_id, user_id, payment_id, desk)
    async with continuing_purchase(till.database, order_id, "confirm booking"):
        return await _confirm(till, order_id, user_id, payment_id, desk)


async def _confirm(
    till: Settling, order_id: OrderId, user_id: UserId, payment_id: PaymentId | None, desk: ConfirmDesk | None
) -> ShownOrder | None:
    if desk is not None and payment_id is not None:
        confirmed = await desk.confirm(order_id, user_id, payment_id)
        if confirmed is not None:
            return confirmed
    order = await _own(till, order_id, user_id)
    if payment_id is not None:
        payment = await payments.by_id(till.database, payment_id)
        if payment is None or payment.order_id != order_id:
            raise WrongPaymentError("Send the payment that was made for this booking.", bookingId=str(order_id))
    if order.is_free:
        async with till.database.transaction() as tx:
            await confirm_free(tx, order_id=order_id, user_id=user_id, signer=till.signer)
        return None
    if payment_id is not None and order.state not in ENDED_WELL:
        await settle(till, payment_id)
        order = await _own(till, order_id, user_id)
    if order.state in ENDED_WELL:
        return None
    status = order.shown_state()
    if order.state is OrderState.RELEASED or (order.state is OrderState.HELD and order.expired):
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order_id), bookingStatus=status)
    raise PaymentNeededError("The payment has not come yet.", bookingId=str(order_id), bookingStatus=status)


async def _own(till: Settling, order_id: OrderId, user_id: UserId) -> Order:
    order = await orders.seen_by(till.database, order_id, user_id, [])
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    return order
