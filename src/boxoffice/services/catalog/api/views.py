"""The catalog's answers; venues, categories and events have the shapes that ``contracts/http/catalog.py`` reads."""

from collections.abc import Sequence

from boxoffice.contracts.http.catalog import CategoryAnswer, EventAnswer, VenueAnswer
from boxoffice.contracts.messages.catalog import RefundPolicy
from boxoffice.runtime import web
from boxoffice.runtime.paging import Page
from boxoffice.services.catalog.domain.event import Category, Event, Venue
from boxoffice.services.catalog.usecases.tell_event import programme_of


class EventsView(Page, frozen=True):
    """A page of events."""

    events: Sequence[EventAnswer]


class VenuesView(Page, frozen=True):
    """A page of venues."""

    venues: Sequence[VenueAnswer]


class CategoriesView(Page, frozen=True):
    """A page of categories."""

    categories: Sequence[CategoryAnswer]


class SeatMapView(web.View, frozen=True):
    """A seat map as it was taken; ``seats`` counts every place."""

    id: int
    venue_id: int
    version: int
    name: str
    seats: int
    credit: str


def venue_view(venue: Venue) -> VenueAnswer:
    """Show a venue."""
    return VenueAnswer(
        id=venue.id, name=venue.name, description=venue.description, location=venue.location,
        total_seats=venue.total_seats, time_zone=venue.time_zone, latitude=venue.latitude, longitude=venue.longitude,
        city=venue.city, region=venue.region, country=venue.country,
    )  # fmt: skip


def category_view(category: Category) -> CategoryAnswer:
    """Show a category."""
    return CategoryAnswer(id=category.id, name=category.name, description=category.description)


def event_view(event: Event) -> EventAnswer:
    """Show an event as it stands now."""
    terms = event.terms
    return EventAnswer(
        id=event.id, name=terms.name, description=terms.description, start_time=terms.starts_at,
        end_time=terms.ends_at, time_zone=event.venue.time_zone, available_seats=event.capacity,
        venue=venue_view(event.venue), category=category_view(event.category) if event.category else None,
        status=event.state.value, on_sale=event.on_sale, on_sale_at=terms.on_sale_at, off_sale_at=terms.off_sale_at,
        seat_map_id=terms.seat_map_id, currency=terms.currency, limit_per_customer=terms.limit_per_customer,
        hold_minutes=terms.hold_minutes,
        refund_policy=RefundPolicy(
            cancel_until_hours=terms.cancel_until_hours, refund_percent=terms.refund_percent
        ),
        programme=programme_of(terms.programme), organisation_id=event.organisation_id, source=event.source,
        no_single_seats=event.no_single_seats, version=event.version,
    )  # fmt: skip
