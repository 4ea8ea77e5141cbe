"""What the API shows of seats, tickets and bookings."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.kernel.money import Money
from boxoffice.runtime import web
from boxoffice.runtime.paging import Page, paging
from boxoffice.services.sales.domain.best_available import Arrangement
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.seat import SeatState, shown
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.domain.ticket_types import TicketType
from boxoffice.services.sales.store.terms import EventTerms
from boxoffice.services.sales.usecases.read_orders import ShownOrder


class SeatView(web.View, frozen=True):
    """An event seat: a ticket before it is sold. ``notice``: what a buyer should know, such as a limited view."""

    ticket_id: int
    section: str
    row: str
    number: str
    price: str
    currency: str
    price_level: str | None
    status: str
    mark: str | None
    notice: str | None = None


class HoldView(web.View, frozen=True):
    """A hold as it was placed; the seconds count from the answer."""

    booking_id: UUID
    reserved_tickets: list[SeatView]
    expires_at: datetime
    expires_in_seconds: int
    total: str
    currency: str
    arrangement: Arrangement | msgspec.UnsetType = msgspec.UNSET
    """How the seats lie, when we chose them (``quantity``)."""


class IssuedTicketView(web.View, frozen=True):
    """A ticket that was bought."""

    ticket_id: int
    issued_ticket_id: UUID
    event_id: int
    booking_id: UUID
    section: str
    row: str
    number: str
    price: str
    currency: str
    price_level: str | None
    status: str
    ticket_status: str
    notice: str | None
    issued_at: datetime
    ticket_type: str | None = None


class BookingEventView(web.View, frozen=True):
    """The event of a booking."""

    id: int
    name: str
    start_time: datetime
    end_time: datetime
    time_zone: str
    venue_name: str
    venue_location: str


class TicketTypeView(web.View, frozen=True):
    """One way of selling a place: adult, child, … as the organiser names it."""

    name: str
    price: str
    currency: str


class LevelTypesView(web.View, frozen=True):
    """The ticket types of a price level, the standard one first."""

    price_level: str
    ticket_types: list[TicketTypeView]


class BookingTicketView(web.View, frozen=True):
    """One place of a booking; ``issuedTicketId`` and ``ticketStatus`` once there is a ticket; who comes, once named.

    ``ticketType`` is what it is sold as; ``ticketTypes`` are those to choose from while the booking is held.
    """

    ticket_id: int
    section: str
    row: str
    number: str
    price: str
    currency: str
    price_level: str | None
    issued_ticket_id: UUID | None
    ticket_status: str | None
    notice: str | None
    attendee_name: str | None
    attendee_email: str | None
    ticket_type: str | None = None
    ticket_types: list[TicketTypeView] = msgspec.field(default_factory=list)


class BookingPaymentView(web.View, frozen=True):
    """The last payment of a booking."""

    payment_id: UUID
    status: str


class RefundPolicyView(web.View, frozen=True):
    """The refund policy as it was shown before paying."""

    cancel_until: datetime
    refund_percent: int


class BookingView(web.View, frozen=True):
    """A booking as its owner, or an organiser of its event, sees it."""

    booking_id: UUID
    user_id: UUID
    event: BookingEventView
    status: str
    tickets: list[BookingTicketView]
    total: str
    currency: str
    expires_at: datetime | None
    expires_in_seconds: int
    extendable: bool
    payment: BookingPaymentView | None
    refund_policy: RefundPolicyView
    cancellable: bool
    created_at: datetime


class BookingPageView(Page, frozen=True):
    """A page of bookings, newest first; pages count from 0."""

    bookings: list[BookingView]


def seat_view(record: Any) -> SeatView:
    """Show an event seat's record."""
    return SeatView(
        ticket_id=record["seat_id"], section=record["section"], row=record["row_label"], number=record["number"],
        price=Money(record["price_minor"], record["currency"]).decimal(), currency=record["currency"],
        price_level=record["price_level"], mark=record["mark"], notice=record["notice"],
        status=shown(SeatState(record["state"]), closed=record["closed"]).value,
    )  # fmt: skip


def seats_json(records: Iterable[Any]) -> bytes:
    """Write event seats as the JSON list that the API answers."""
    return msgspec.json.encode([seat_view(record) for record in records])


def issued_ticket_view(ticket: Ticket) -> IssuedTicketView:
    """Show an issued ticket."""
    return IssuedTicketView(
        ticket_id=ticket.seat_id, issued_ticket_id=ticket.ticket_id, event_id=ticket.event_id,
        booking_id=ticket.order_id, section=ticket.section, row=ticket.row, number=ticket.number,
        price=ticket.price.decimal(), currency=ticket.price.currency, price_level=ticket.price_level,
        status="BOOKED", ticket_status=ticket.state.value.upper(), notice=ticket.notice, issued_at=ticket.issued_at,
        ticket_type=ticket.ticket_type,
    )  # fmt: skip


def booking_view(shown: ShownOrder) -> BookingView:
    """Show an order."""
    order = shown.order
    open_hold = order.state is OrderState.HELD and not order.expired
    valid = any(ticket.state is TicketState.VALID for ticket in shown.tickets.values())
    return BookingView(
        booking_id=order.order_id, user_id=order.user_id, event=_event_view(shown.event), status=order.shown_state(),
        tickets=[_ticket_view(shown, record) for record in shown.seats],
        total=order.total.decimal(), currency=order.total.currency,
        expires_at=order.hold_expires_at if open_hold else order.pay_deadline if _is_paying(shown) else None,
        expires_in_seconds=order.seconds_left if open_hold else 0,
        extendable=order.extendable,
        payment=None if shown.payment is None else BookingPaymentView(
            payment_id=shown.payment[0], status=shown.payment[1].upper()
        ),
        refund_policy=RefundPolicyView(cancel_until=order.cancel_until, refund_percent=order.refund_percent),
        cancellable=order.state is OrderState.CONFIRMED and valid and not order.too_late,
        created_at=order.created_at,
    )  # fmt: skip


def page_view(shown: list[ShownOrder], *, page_no: int, page_size: int, total: int) -> BookingPageView:
    """Show a page of orders."""
    return BookingPageView(bookings=[booking_view(one) for one in shown], **paging(total, page_no, page_size))


def _is_paying(shown: ShownOrder) -> bool:
    return shown.order.state is OrderState.PAYING


def _event_view(event: EventTerms) -> BookingEventView:
    return BookingEventView(
        id=event.event_id, name=event.name, start_time=event.starts_at, end_time=event.ends_at,
        time_zone=event.time_zone, venue_name=event.venue_name, venue_location=event.venue_location,
    )  # fmt: skip


def types_view(types: Iterable[TicketType]) -> list[TicketTypeView]:
    """Show the ticket types of a price level."""
    return [
        TicketTypeView(name=one.name, price=one.price.decimal(), currency=one.price.currency) for one in types
    ]  # fmt: skip


def _ticket_view(shown: ShownOrder, record: Mapping[str, Any]) -> BookingTicketView:
    ticket = shown.tickets.get(record["seat_id"])
    named = None if ticket is None else shown.attendees.get(ticket.ticket_id)
    return BookingTicketView(
        ticket_id=record["seat_id"], section=record["section"], row=record["row_label"], number=record["number"],
        price=Money(record["price_minor"], record["currency"]).decimal(), currency=record["currency"],
        price_level=record["price_level"], issued_ticket_id=None if ticket is None else ticket.ticket_id,
        ticket_status=None if ticket is None else ticket.state.value.upper(),
        notice=record["notice"],
        attendee_name=None if named is None else named.name, attendee_email=None if named is None else named.email,
        ticket_type=record["ticket_type"], ticket_types=types_view(shown.offered.get(record["price_level"] or "", ())),
    )  # fmt: skip
