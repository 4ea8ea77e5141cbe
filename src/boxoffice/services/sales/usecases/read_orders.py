"""Read orders for their owner, or for the organisers of their event; for anybody else there is no such order (I14)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.ids import EventId, OrderId, OrganisationId, PaymentId, SeatId, TicketId, UserId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refusals import EventNotFoundError, NotYourEventError, OrderNotFoundError
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.domain.ticket_types import TypesByLevel, standard_type
from boxoffice.services.sales.store import attendees, captures, orders, seats, terms, ticket_types, tickets
from boxoffice.services.sales.store.attendees import Attendee
from boxoffice.services.sales.store.terms import EventTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOrder:
    """An order with all that its reader needs: event, seats, tickets issued, last payment (id, state).

    ``seats`` are records of its places with the order's own price and type of each; ``offered`` are the types to choose
    from while it is held.
    """

    order: Order
    event: EventTerms
    seats: list[dict[str, Any]]
    tickets: dict[SeatId, Ticket]
    payment: tuple[PaymentId, str] | None
    attendees: dict[TicketId, Attendee]
    offered: TypesByLevel


async def show_order(
    database: Database, order_id: OrderId, user_id: UserId, organisations: Sequence[OrganisationId]
) -> ShownOrder:
    """Show one order.

    :raises OrderNotFoundError: when there is none, or the caller may not see it.
    """
    order = await orders.seen_by(database, order_id, user_id, organisations)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    return (await _complete(database, [order]))[0]


async def orders_of_user(
    database: Database, user_id: UserId, *, offset: int, limit: int
) -> tuple[list[ShownOrder], int]:
    """Show a page of a customer's orders, newest first, and how many there are."""
    page, total = await orders.of_user(database, user_id, offset=offset, limit=limit)
    return await _complete(database, page), total


async def orders_of_event(
    database: Database, event_id: EventId, organisations: Sequence[OrganisationId], *, offset: int, limit: int
) -> tuple[list[ShownOrder], int]:
    """Show a page of an event's orders to its organisers, newest first, and how many there are.

    :raises EventNotFoundError: when there is no such event.
    :raises NotYourEventError: when it belongs to another organisation.
    """
    event = await terms.of_event(database, event_id)
    if event is None or not (event.is_public or event.organisation_id in organisations):
        raise EventNotFoundError("There is no such event.", eventId=event_id)
    if event.organisation_id not in organisations:
        raise NotYourEventError("Only its organisers see the bookings of an event.", eventId=event_id)
    page, total = await orders.of_event(database, event_id, organisations, offset=offset, limit=limit)
    return await _complete(database, page), total


async def _complete(database: Database, page: Sequence[Order]) -> list[ShownOrder]:
    """Add what belongs to the orders: six queries for the whole page, not six each."""
    if not page:
        return []
    order_ids = [order.order_id for order in page]
    events = await terms.of_events(database, [order.event_id for order in page])
    wanted = sorted({seat for order in page for seat in order.seat_ids})
    labels = {record["seat_id"]: record for record in await seats.by_ids(database, wanted)}
    payments = await captures.latest_of(database, order_ids)
    named = await attendees.of_orders(database, order_ids)
    types = await ticket_types.of_events(database, [order.event_id for order in page])
    issued: dict[OrderId, dict[SeatId, Ticket]] = defaultdict(dict)
    for ticket in await tickets.of_orders(database, order_ids):
        earlier = issued[ticket.order_id].get(ticket.seat_id)
        if earlier is None or earlier.state is TicketState.VOID:
            issued[ticket.order_id][ticket.seat_id] = ticket
    return [
        ShownOrder(
            order=order, event=events[order.event_id], seats=_places(order, labels, types.get(order.event_id, {})),
            tickets=issued[order.order_id], payment=payments.get(order.order_id), attendees=named,
            offered=types.get(order.event_id, {}) if order.state is OrderState.HELD and not order.expired else {},
        )
        for order in page
    ]  # fmt: skip


def _places(order: Order, labels: Mapping[SeatId, Any], types: TypesByLevel) -> list[dict[str, Any]]:
    """Give an order's places with its own prices and types; where none was chosen, the level's standard one."""
    return [
        {
            **labels[seat], "price_minor": price.minor, "currency": price.currency,
            "ticket_type": chosen or standard_type(types, labels[seat]["price_level"]),
        }
        for seat, price, chosen in zip(order.seat_ids, order.prices, order.types, strict=True)
    ]  # fmt: skip
