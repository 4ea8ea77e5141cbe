"""Extend a hold: once, by five minutes from the end of the clock that began with the customer's first seat.

One clock serves all open holds of a customer for an event, so the extension lengthens all of them; holding a second
seat late buys no second extension. What is held longer is charged to the hold budget.
"""

from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import EXTENSION, OrderState
from boxoffice.services.sales.domain.refusals import (
    AlreadyExtendedError,
    HoldBudgetSpentError,
    HoldExpiredError,
    OrderNotFoundError,
    WrongOrderStateError,
)
from boxoffice.services.sales.store import extensions, orders


async def extend_hold(tx: Connection, *, order_id: OrderId, user_id: UserId) -> None:
    """Extend a customer's own hold, and with it their other open holds of the event; only while it lasts.

    :raises OrderNotFoundError: when the order is not theirs.
    :raises WrongOrderStateError: when it is not held.
    :raises HoldExpiredError: when its time is up.
    :raises AlreadyExtendedError: when the clock was extended before.
    :raises HoldBudgetSpentError: when the customer has held seats of the event for too long without buying.
    """
    order = await orders.seen_by(tx, order_id, user_id, [])
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    if order.state is not OrderState.HELD:
        raise WrongOrderStateError("Only a hold can be extended.", bookingStatus=order.shown_state())
    clock = await extensions.clock(tx, order.event_id, user_id)
    if clock is None or clock[1]:
        raise AlreadyExtendedError("Seats are kept longer once. Pay, or give them back.")
    until = clock[0] + EXTENSION
    mine = await extensions.lock_open(tx, order.event_id, user_id, until=until)
    if order_id not in {OrderId(found["order_id"]) for found in mine}:
        if order.expired:
            raise HoldExpiredError("Choose your seats again.", bookingId=str(order_id))
        raise AlreadyExtendedError("These seats are kept for longer than that already.")
    charged = 0
    for found in mine:
        seats = [SeatId(seat) for seat in found["seat_ids"]]
        seconds = await extensions.lengthen(tx, order.event_id, OrderId(found["order_id"]), seats, until)
        if seconds is None:
            raise HoldExpiredError("Choose your seats again.", bookingId=str(order_id))
        charged += seconds
    moved = await extensions.move_clock(
        tx, order.event_id, user_id, before=clock[0], extension=EXTENSION, seat_seconds=charged
    )
    if not moved:
        if (await extensions.clock(tx, order.event_id, user_id) or clock)[1]:
            raise AlreadyExtendedError("Seats are kept longer once. Pay, or give them back.")
        raise HoldBudgetSpentError("You held seats of this event for long without buying. Buy what you hold.")
