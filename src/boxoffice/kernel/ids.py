"""The ids of the domain. Integers name what is public anyway, UUIDs what belongs to somebody."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
OrganisationId = NewType("OrganisationId", UUID)
OrderId = NewType("OrderId", UUID)
PaymentId = NewType("PaymentId", UUID)
TicketId = NewType("TicketId", UUID)
RefundId = NewType("RefundId", UUID)

EventId = NewType("EventId", int)
VenueId = NewType("VenueId", int)
CategoryId = NewType("CategoryId", int)
SeatMapId = NewType("SeatMapId", int)
SeatId = NewType("SeatId", int)
"""An event seat: the place number within its event, led by the event's id (see :func:`seat_id`)."""

SEAT_BITS = 20
"""An event has at most 2**20 places; 2**33 events still fit a JavaScript number (2**53)."""

MAX_PLACES = 1 << SEAT_BITS


def seat_id(event_id: EventId, place: int) -> SeatId:
    """Name one place (0-based, < 2**20) of one event, so that an event seat's id tells its event.

    :raises ValueError: when the place does not fit.
    """
    if not 0 <= place < MAX_PLACES:
        raise ValueError(f"place {place} is outside 0..{MAX_PLACES - 1}")
    return SeatId((event_id << SEAT_BITS) | place)


def event_of(seat: SeatId) -> EventId:
    """Tell the event of an event seat."""
    return EventId(seat >> SEAT_BITS)


def place_of(seat: SeatId) -> int:
    """Tell the 0-based place of an event seat within its event."""
    return seat & (MAX_PLACES - 1)
