"""The catalog's public HTTP API as another service asks it: one event, one seat map.

An event comes back as the same :class:`EventFact` that ``catalog.event.v1`` carries, beside the version that orders the
two: a service that keeps an event's terms writes both through one function and lets the higher version win.
"""

from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from boxoffice.contracts.hall import Hall
from boxoffice.contracts.messages.catalog import EventFact, EventStatus, Place, RefundPolicy, Work
from boxoffice.kernel.errors import Category, DomainError

OK, NOT_FOUND = 200, 404
T = TypeVar("T")


class Peers(Protocol):
    """What carries the call; ``runtime.peers.Peers`` does."""

    async def call(self, name: str, method: str, path: str, **arguments: Any) -> Any:
        """Send a request to a service by its name and give its HTTP response."""


class CatalogRefusedError(DomainError):
    """The catalog answered neither with the thing nor with "not found"."""

    code: ClassVar[str] = "catalog.refused"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The catalog does not answer as agreed"


class VenueAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A venue as the API shows it."""

    id: int
    name: str
    description: str = ""
    location: str
    total_seats: int | None = None
    time_zone: str
    latitude: float | None = None
    longitude: float | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None


class CategoryAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A category as the API shows it."""

    id: int
    name: str
    description: str | None = None


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event as the API shows it. ``available_seats`` is the capacity of an event without a seat map."""

    id: int
    name: str
    description: str
    start_time: datetime
    end_time: datetime
    time_zone: str
    available_seats: int | None = None
    venue: VenueAnswer
    category: CategoryAnswer | None = None
    status: EventStatus
    on_sale: bool
    on_sale_at: datetime | None = None
    off_sale_at: datetime | None = None
    seat_map_id: int | None = None
    currency: str
    limit_per_customer: int
    hold_minutes: int
    refund_policy: RefundPolicy
    programme: tuple[Work, ...] = ()
    organisation_id: UUID
    source: str | None = None
    no_single_seats: bool = False
    version: int

    def fact(self) -> EventFact:
        """Say the same as the message that told this version."""
        return EventFact(
            event_id=self.id, organisation_id=self.organisation_id, status=self.status,
            name=self.name, description=self.description, starts_at=self.start_time, ends_at=self.end_time,
            on_sale_at=self.on_sale_at, off_sale_at=self.off_sale_at, venue=_place(self.venue),
            category_id=self.category.id if self.category else None,
            category=self.category.name if self.category else None,
            seat_map_id=self.seat_map_id, capacity=self.available_seats, currency=self.currency,
            limit_per_customer=self.limit_per_customer, hold_minutes=self.hold_minutes,
            refund_policy=self.refund_policy, programme=self.programme, source=self.source,
            no_single_seats=self.no_single_seats,
        )  # fmt: skip


class SeatMapAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A seat map as the API shows it; the same id always gives the same map."""

    id: int
    venue_id: int
    version: int
    hall: Hall


class EventsPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of the public list of events."""

    events: tuple[EventAnswer, ...]
    total_element: int
    is_last: bool


async def get_events(peers: Peers, *, page_no: int, page_size: int = 100, **chosen: str) -> EventsPage:
    """Read one page (from 0) of the events that everybody may see, by their start.

    ``chosen`` are parameters of the list by the API's names: ``q`` (beginnings of words), ``dateFrom``, ``dateTo``,
    ``sortDir``.

    :raises CatalogRefusedError: when the answer is not such a page.
    """
    asked = urlencode({"pageNo": page_no, "pageSize": page_size, **chosen})
    body = await _read(peers, f"/api/v1/events?{asked}", None)
    return _decode(body or b"", EventsPage)


async def get_event(peers: Peers, event_id: int, *, token: str | None = None) -> EventAnswer | None:
    """Read one event; none when there is no such event or the token's owner may not see it (a stranger's draft).

    :raises CatalogRefusedError: when the answer is neither the event nor "not found".
    """
    body = await _read(peers, f"/api/v1/events/{event_id}", token)
    return None if body is None else _decode(body, EventAnswer)


async def get_seat_map(peers: Peers, seat_map_id: int) -> SeatMapAnswer | None:
    """Read one seat map; none when there is no such map. It never changes: keep it as long as you like.

    :raises CatalogRefusedError: when the answer is neither the map nor "not found".
    """
    body = await _read(peers, f"/api/v1/seat-maps/{seat_map_id}", None)
    return None if body is None else _decode(body, SeatMapAnswer)


async def _read(peers: Peers, path: str, token: str | None) -> bytes | None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = await peers.call("catalog", "GET", path, headers=headers)
    if response.status_code == NOT_FOUND:
        return None
    if response.status_code != OK:
        raise CatalogRefusedError(f"The catalog answered {response.status_code} for {path}.", retryAfterSeconds=2)
    body: bytes = response.content
    return body


def _decode(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise CatalogRefusedError(f"The catalog's answer cannot be read: {error}", retryAfterSeconds=2) from error


def _place(venue: VenueAnswer) -> Place:
    return Place(
        venue_id=venue.id, name=venue.name, location=venue.location, city=venue.city, region=venue.region,
        country=venue.country, time_zone=venue.time_zone, latitude=venue.latitude, longitude=venue.longitude,
    )  # fmt: skip
