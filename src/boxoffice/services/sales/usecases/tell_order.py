"""Tell what happened to an order: one message, in the transaction that makes it true (invariants I8, I9)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from boxoffice.contracts.messages.sales import (
    ORDER_TOPIC,
    EventSummary,
    OrderFact,
    OrderTicket,
    OrderType,
    RefundTerms,
)
from boxoffice.kernel.ids import SeatId, TicketId
from boxoffice.kernel.money import Money
from boxoffice.runtime import outbox
from boxoffice.runtime.barcodes import Barcode, KeyRing
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.store import seats, terms
from boxoffice.services.sales.store.terms import EventTerms

BARCODE_AFTER_END = timedelta(days=1)
"""A concert that runs late, or starts a little later than announced, still admits."""


def barcode_of(ticket: Ticket, event: EventTerms, signer: KeyRing) -> str:
    """Sign a ticket's barcode; the same ticket always gets the same one."""
    return signer.sign(
        Barcode(
            ticket_id=ticket.ticket_id, event_id=ticket.event_id, seat_id=ticket.seat_id,
            not_before_at=ticket.issued_at, valid_until=max(event.ends_at, ticket.issued_at) + BARCODE_AFTER_END,
        )
    )  # fmt: skip


async def tell(
    tx: Connection,
    order: Order,
    type_: OrderType,
    *,
    state: OrderState,
    version: int,
    tickets: Sequence[Ticket] = (),
    barcodes: Mapping[TicketId, str] | None = None,
    given: Sequence[Ticket] = (),
    refund: Money | None = None,
    reason: str | None = None,
) -> None:
    """Write the message of an order's change: about these tickets, or about all its seats when it has none yet.

    ``given`` are the tickets that an exchange voided. ``version`` is the order's after the change; ``(order, version,
    type)`` is told once.
    """
    event = await terms.of_event(tx, order.event_id)
    assert event is not None, "an order exists only for an event whose terms are known"
    places = (
        [_ticket(ticket, barcodes or {}) for ticket in tickets]
        if tickets
        else [_seat(order, record) for record in await seats.by_ids(tx, order.seat_ids)]
    )
    await outbox.append(
        tx, topic=ORDER_TOPIC, key=str(order.order_id), type_=type_, version=version,
        body=_fact(
            order, event, state, places, given=tuple(_ticket(ticket, {}) for ticket in given),
            refund=None if refund is None else refund.decimal(), reason=reason,
        ),
    )  # fmt: skip


def confirmed_fact(
    order: Order, event: EventTerms, tickets: Sequence[Ticket], barcodes: Mapping[TicketId, str]
) -> OrderFact:
    """Write the body of an order's confirmation, for whoever puts it into the outbox in a way of its own."""
    return _fact(order, event, OrderState.CONFIRMED, [_ticket(ticket, barcodes) for ticket in tickets])


def _fact(
    order: Order, event: EventTerms, state: OrderState, places: Sequence[OrderTicket], *,
    given: tuple[OrderTicket, ...] = (), refund: str | None = None, reason: str | None = None,
) -> OrderFact:  # fmt: skip
    return OrderFact(
        order_id=order.order_id, user_id=order.user_id, state=state.value, event=summary(event),
        tickets=tuple(places), given=given, total=order.total.decimal(), currency=order.total.currency,
        refund=refund, reason=reason,
        refund_terms=RefundTerms(cancel_until=order.cancel_until, refund_percent=order.refund_percent),
    )  # fmt: skip


def summary(event: EventTerms) -> EventSummary:
    """Say an event as an order's reader needs it."""
    return EventSummary(
        event_id=event.event_id, name=event.name, starts_at=event.starts_at, ends_at=event.ends_at,
        time_zone=event.time_zone, venue_name=event.venue_name, venue_location=event.venue_location,
    )  # fmt: skip


def _ticket(ticket: Ticket, barcodes: Mapping[TicketId, str]) -> OrderTicket:
    return OrderTicket(
        seat_id=ticket.seat_id, section=ticket.section, row=ticket.row, number=ticket.number,
        price=ticket.price.decimal(), price_level=ticket.price_level, ticket_id=ticket.ticket_id,
        barcode=barcodes.get(ticket.ticket_id), notice=ticket.notice, ticket_type=ticket.ticket_type,
    )  # fmt: skip


def _seat(order: Order, record: Any) -> OrderTicket:
    seat = SeatId(record["seat_id"])
    place = order.seat_ids.index(seat)
    return OrderTicket(
        seat_id=seat, section=record["section"], row=record["row_label"], number=record["number"],
        price=order.prices[place].decimal(), price_level=record["price_level"], ticket_type=order.types[place],
    )  # fmt: skip
