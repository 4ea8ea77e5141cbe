"""Turn what an organiser wrote of an event into its terms: what it names is found, its times are read in the zone."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain import event as rules
from boxoffice.services.catalog.domain import instants
from boxoffice.services.catalog.domain.event import Terms, Work
from boxoffice.services.catalog.domain.refusals import UnknownCategoryError, UnknownSeatMapError, UnknownVenueError
from boxoffice.services.catalog.store import categories, seat_maps, venues


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An event as somebody wrote it. Times are text; ``left_out`` names the optional parts that were not sent."""

    name: str
    description: str
    start_time: str
    end_time: str
    venue_id: int
    category_id: int | None = None
    capacity: int | None = None
    on_sale_at: str | None = None
    off_sale_at: str | None = None
    seat_map_id: int | None = None
    currency: str | None = None
    limit_per_customer: int | None = None
    hold_minutes: int | None = None
    cancel_until_hours: int | None = None
    refund_percent: int | None = None
    programme: tuple[Work, ...] = ()
    no_single_seats: bool | None = None
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What an event gets that says nothing of it."""

    currency: str
    limit_per_customer: int
    hold_minutes: int
    cancel_until_hours: int = 24
    refund_percent: int = 100


async def describe_event(
    tx: Connection, wish: Wish, *, organisation: UUID, defaults: Defaults, before: Terms | None = None
) -> Terms:
    """Find what a wish names and check it; what a changed event's wish leaves out keeps its value.

    :raises UnknownVenueError: when the venue is not one of the organisation's.
    :raises UnknownCategoryError: when there is no such category.
    :raises UnknownSeatMapError: when the seat map is not one of the venue's.
    :raises BadTimeError: when a time cannot be read.
    :raises BadEventError: when the event cannot be.
    """
    venue = await venues.share_for_event(tx, wish.venue_id, organisation)
    if venue is None:
        raise UnknownVenueError(f"You have no venue {wish.venue_id}.", field="venueId")
    if wish.category_id is not None and await categories.share_for_event(tx, wish.category_id) is None:
        raise UnknownCategoryError(f"There is no category {wish.category_id}.", field="categoryId")
    terms = _terms(wish, venue.time_zone, defaults, before)
    if terms.seat_map_id is not None and await seat_maps.of_venue(tx, venue.id, terms.seat_map_id) is None:
        raise UnknownSeatMapError(f"The venue has no seat map {terms.seat_map_id}.", field="seatMapId")
    rules.check(terms)
    return terms


def _terms(wish: Wish, zone: str, defaults: Defaults, before: Terms | None) -> Terms:
    kept = frozenset[str]() if before is None else wish.left_out

    def moment(text: str | None) -> datetime | None:
        return None if text is None else instants.read(text, zone)

    read = Terms(
        name=wish.name.strip(), description=wish.description,
        starts_at=instants.read(wish.start_time, zone), ends_at=instants.read(wish.end_time, zone),
        on_sale_at=moment(wish.on_sale_at), off_sale_at=moment(wish.off_sale_at),
        venue_id=wish.venue_id, category_id=wish.category_id, seat_map_id=wish.seat_map_id, capacity=wish.capacity,
        currency=wish.currency or defaults.currency,
        limit_per_customer=wish.limit_per_customer or defaults.limit_per_customer,
        hold_minutes=wish.hold_minutes or defaults.hold_minutes,
        cancel_until_hours=_or(wish.cancel_until_hours, defaults.cancel_until_hours),
        refund_percent=_or(wish.refund_percent, defaults.refund_percent),
        programme=wish.programme,
        no_single_seats=wish.no_single_seats is not False,
    )  # fmt: skip
    return read if before is None else replace(read, **{name: getattr(before, name) for name in kept})


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
