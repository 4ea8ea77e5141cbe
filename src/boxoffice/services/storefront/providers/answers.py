"""What the storefront reads of the API's answers: the fields it shows, so that new ones break nothing."""

import base64
from datetime import datetime
from uuid import UUID

import msgspec

from boxoffice.contracts.http.catalog import EventAnswer, SeatMapAnswer

__all__ = [
    "Availability", "Booking", "BookingEvent", "BookingPage", "BookingTicket", "EventAnswer", "EventPage", "Hold",
    "LevelTypes", "Payment", "SearchPage", "SeatMapAnswer", "StartedPayment", "Suggestions", "Ticket", "TicketType",
    "Tokens", "User",
]  # fmt: skip


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One answer; names are camelCase on the wire."""


class Page(Answer, frozen=True, kw_only=True):
    """Which page of how many; pages count from 0."""

    page_number: int = 0
    total_element: int = 0
    total_pages: int = 0
    is_last: bool = True


class Tokens(Answer, frozen=True, kw_only=True):
    """A login."""

    access_token: str
    refresh_token: str
    expires_in_seconds: int


class User(Answer, frozen=True, kw_only=True):
    """One's own account."""

    id: UUID
    name: str
    email: str
    roles: tuple[str, ...] = ()
    email_verified: bool = False


class FoundVenue(Answer, frozen=True, kw_only=True):
    """Where a hit takes place."""

    name: str
    location: str = ""
    city: str | None = None
    region: str | None = None
    country: str | None = None


class FoundCategory(Answer, frozen=True, kw_only=True):
    """The category of a hit."""

    name: str


class Found(Answer, frozen=True, kw_only=True):
    """One hit of a search."""

    id: int
    name: str
    description: str = ""
    start_time: datetime
    time_zone: str = "UTC"
    venue: FoundVenue
    category: FoundCategory | None = None
    composers: tuple[str, ...] = ()
    sale_state: str = "not_on_sale"
    on_sale_at: datetime | None = None
    lowest_price: str | None = None
    currency: str | None = None


class FacetCount(Answer, frozen=True, kw_only=True):
    """How many hits have a value."""

    value: str
    count: int


class SearchPage(Page, frozen=True, kw_only=True):
    """One page of hits."""

    events: tuple[Found, ...]
    matching: str = ""
    facets: dict[str, tuple[FacetCount, ...]] | None = None
    degraded: bool = False


class Suggestion(Answer, frozen=True, kw_only=True):
    """A name that may be meant."""

    text: str
    kind: str
    count: int = 0


class Suggestions(Answer, frozen=True, kw_only=True):
    """Names that may be meant."""

    suggestions: tuple[Suggestion, ...] = ()


class EventPage(Page, frozen=True, kw_only=True):
    """A page of the catalog's events."""

    events: tuple[EventAnswer, ...]


class Ticket(Answer, frozen=True, kw_only=True):
    """An event seat: a ticket before it is sold."""

    ticket_id: int
    section: str | None = None
    row: str | None = None
    number: str | None = None
    price: str
    currency: str
    price_level: str | None = None
    status: str = "BLOCKED"
    mark: str | None = None
    notice: str | None = None


class AreaCount(Answer, frozen=True, kw_only=True):
    """How many places of an area of general admission are free."""

    name: str
    free: int


class Availability(Answer, frozen=True, kw_only=True):
    """The state of a house; ``states`` is base64 of two bits a seat, ``areas`` are those of general admission."""

    places: int = 0
    states: str = ""
    free: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0
    areas: tuple[AreaCount, ...] = ()

    @property
    def bits(self) -> bytes:
        """The states as bytes."""
        return base64.b64decode(self.states)


class Hold(Answer, frozen=True, kw_only=True):
    """A hold as it was placed."""

    booking_id: UUID


class BookingEvent(Answer, frozen=True, kw_only=True):
    """The event of a booking."""

    id: int
    name: str
    start_time: datetime
    end_time: datetime
    time_zone: str
    venue_name: str
    venue_location: str = ""


class TicketType(Answer, frozen=True, kw_only=True):
    """One way of selling a place: adult, child, and so on."""

    name: str
    price: str
    currency: str


class LevelTypes(Answer, frozen=True, kw_only=True):
    """The ticket types of a price level, the standard one first."""

    price_level: str
    ticket_types: tuple[TicketType, ...] = ()


class BookingTicket(Answer, frozen=True, kw_only=True):
    """One place of a booking."""

    ticket_id: int
    section: str | None = None
    row: str | None = None
    number: str | None = None
    price: str
    currency: str
    price_level: str | None = None
    issued_ticket_id: UUID | None = None
    ticket_status: str | None = None
    notice: str | None = None
    attendee_name: str | None = None
    attendee_email: str | None = None
    ticket_type: str | None = None
    ticket_types: tuple[TicketType, ...] = ()


class BookingPayment(Answer, frozen=True, kw_only=True):
    """The last payment of a booking."""

    payment_id: UUID
    status: str


class BookingPolicy(Answer, frozen=True, kw_only=True):
    """Until when a booking can be cancelled, and the share that comes back (percent)."""

    cancel_until: datetime
    refund_percent: int


class Booking(Answer, frozen=True, kw_only=True):
    """A booking as its owner, or an organiser of its event, sees it."""

    booking_id: UUID
    event: BookingEvent
    status: str
    tickets: tuple[BookingTicket, ...] = ()
    total: str
    currency: str
    expires_at: datetime | None = None
    expires_in_seconds: int = 0
    extendable: bool = False
    payment: BookingPayment | None = None
    refund_policy: BookingPolicy
    cancellable: bool = False
    created_at: datetime

    @property
    def has_types(self) -> bool:
        """Whether there is a ticket type to choose."""
        return any(len(ticket.ticket_types) > 1 for ticket in self.tickets)


class BookingPage(Page, frozen=True, kw_only=True):
    """A page of bookings, newest first."""

    bookings: tuple[Booking, ...]


class StartedPayment(Answer, frozen=True, kw_only=True):
    """A payment that waits for the buyer at ``approvalUrl``."""

    payment_id: UUID
    approval_url: str | None = None
    status: str = ""


class Payment(Answer, frozen=True, kw_only=True):
    """A payment."""

    payment_id: UUID
    booking_id: UUID
    status: str
    total: str
    currency: str
    refunded: str = "0"
    failure: str | None = None


class AllocationRow(Answer, frozen=True, kw_only=True):
    """How many seats of a row an allocation has."""

    section: str
    row: str
    seats: int


class Allocation(Answer, frozen=True, kw_only=True):
    """Seats that are set aside, as an organiser of the event sees them."""

    id: int
    kind: str
    name: str
    state: str
    release_at: datetime | None = None
    has_access_code: bool = False
    seats: int = 0
    free: int = 0
    held: int = 0
    sold: int = 0
    blocked: int = 0
    rows: tuple[AllocationRow, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether its seats are for everybody."""
        return self.state == "open"


class Allocations(Answer, frozen=True, kw_only=True):
    """The allocations of an event."""

    allocations: tuple[Allocation, ...] = ()


class AccessCode(Answer, frozen=True, kw_only=True):
    """A new access code, shown once."""

    access_code: str


class Opened(Answer, frozen=True, kw_only=True):
    """The free seats that an access code opens."""

    ticket_ids: tuple[int, ...] = ()
