"""Choose the ticket types of a held order, before it is paid: prices, total and message change in one transaction.

The order is locked first, as by whoever begins to pay it, so a payment asks for the total before or after, never for
one that is gone (I13). Repeating a choice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.refusals import HoldExpiredError, OrderNotFoundError
from boxoffice.services.sales.domain.ticket_types import OrderedPlace, check_choosable, choose_types
from boxoffice.services.sales.store import orders, seats, ticket_types
from boxoffice.services.sales.usecases.tell_order import tell


async def choose_ticket_types(
    tx: Connection, *, order_id: OrderId, user_id: UserId, wished: Mapping[SeatId, str]
) -> None:
    """Choose types for places of a customer's own held order; places that are not named stay as they are.

    :raises OrderNotFoundError: when the order is not theirs.
    :raises WrongOrderStateError: when it is not held any more.
    :raises HoldExpiredError: when its time is up.
    :raises TicketNotFoundError: when a place is not one of the order.
    :raises TicketTypeNotOfferedError: when a place's price level is not sold as that type.
    """
    order = await orders.lock_own(tx, order_id, user_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    check_choosable(order)
    levels = {record["seat_id"]: record["price_level"] for record in await seats.by_ids(tx, order.seat_ids)}
    places = [
        OrderedPlace(seat_id=seat, price_level=levels[seat], price=price, ticket_type=chosen)
        for seat, price, chosen in zip(order.seat_ids, order.prices, order.types, strict=True)
    ]
    offered = await ticket_types.of_event(tx, order.event_id)
    priced = choose_types(places, offered, wished)
    if priced == choose_types(places, offered, {}):
        return
    version = await ticket_types.choose(tx, order, priced)
    if version is None:  # the hold ran out between the two
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order_id))
    changed = replace(order, ticket_types=priced.types, prices=priced.prices, total=priced.total, version=version)
    await tell(tx, changed, "sales.order.types_chosen", state=OrderState.HELD, version=version)
