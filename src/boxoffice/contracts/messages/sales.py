"""What sales tells: orders as they change, and how well an event sells."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

ORDER_TOPIC = "sales.order.v1"
EVENT_TOPIC = "sales.event.v1"
SEED_RESERVATION_TOPIC = "reservation-notification-topic"
SEED_TICKETS_TOPIC = "tickets-notification-topic"
SEED_TOPICS: Mapping[str, str] = {
    "sales.order.held": SEED_RESERVATION_TOPIC,
    "sales.order.released": SEED_RESERVATION_TOPIC,
    "sales.order.confirmed": SEED_TICKETS_TOPIC,
    "sales.order.exchanged": SEED_TICKETS_TOPIC,
    "sales.order.cancelled": SEED_TICKETS_TOPIC,
}
"""Where an order's messages are told too, by type, so that the seed's own consumers hear of holds and tickets."""

OrderType = Literal[
    "sales.order.held",
    "sales.order.released",
    "sales.order.confirmed",
    "sales.order.exchanged",
    "sales.order.cancelled",
    "sales.order.refunded",
    "sales.order.types_chosen",
]


class EventSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The event as an order's reader needs it."""

    event_id: int
    name: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    venue_name: str
    venue_location: str


class OrderTicket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One place of an order. ``ticket_id`` and ``barcode`` are there once the ticket is issued.

    ``notice`` is what the buyer was told of the place, such as a limited view. ``ticket_type`` is what it is sold as
    (adult, child, …), where its price level has types and one was chosen or issued.
    """

    seat_id: int
    section: str
    row: str
    number: str
    price: str
    price_level: str | None = None
    ticket_id: UUID | None = None
    barcode: str | None = None
    notice: str | None = None
    ticket_type: str | None = None


class RefundTerms(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was promised when the order was paid: cancel before ``cancel_until``, get ``refund_percent`` of 100 back."""

    cancel_until: datetime
    refund_percent: int


class OrderFact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``sales.order.v1``; the envelope's ``key`` is the order id.

    ``tickets`` are the places this fact is about: held, confirmed, released, taken in an exchange, or (when cancelled)
    given back; ``given`` are the tickets that an exchange voided.
    ``refund`` is the money on its way back, a decimal string in ``currency``.
    """

    order_id: UUID
    user_id: UUID
    state: Literal["held", "paying", "confirmed", "released", "cancelled"]
    event: EventSummary
    tickets: tuple[OrderTicket, ...]
    total: str
    currency: str
    given: tuple[OrderTicket, ...] = ()
    refund: str | None = None
    reason: str | None = None
    refund_terms: RefundTerms | None = None


SaleState = Literal["not_on_sale", "on_sale", "few_left", "sold_out"]


class SaleFact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``sales.event.v1``: how an event sells, told when the class or the lowest price changes."""

    event_id: int
    state: SaleState
    capacity: int
    free: int
    lowest_price: str | None = None
    currency: str | None = None
