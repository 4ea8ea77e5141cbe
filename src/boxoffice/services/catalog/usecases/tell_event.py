"""Tell an event's whole public state after a change, in the transaction of the change."""

from collections.abc import Sequence

from boxoffice.contracts.messages import catalog
from boxoffice.contracts.messages.catalog import EventFact, EventType, Place, RefundPolicy, Work
from boxoffice.runtime import outbox
from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain.event import Event
from boxoffice.services.catalog.domain.event import Work as ProgrammeWork
from boxoffice.services.catalog.store import events

DRAFTED: EventType = "catalog.event.drafted"
PUBLISHED: EventType = "catalog.event.published"
CHANGED: EventType = "catalog.event.changed"
RESCHEDULED: EventType = "catalog.event.rescheduled"
CANCELLED: EventType = "catalog.event.cancelled"
DELETED: EventType = "catalog.event.deleted"


async def tell_event(tx: Connection, event_id: int, type_: EventType) -> Event:
    """Tell one event; returns it as told."""
    return (await tell_events(tx, [event_id], type_))[0]


async def tell_events(tx: Connection, ids: Sequence[int], type_: EventType) -> list[Event]:
    """Tell many events by one type, a batch at a time; returns them in the order of their ids."""
    told: list[Event] = []
    ordered = sorted(ids)
    for first in range(0, len(ordered), events.BATCH):
        batch = await events.several(tx, ordered[first : first + events.BATCH])
        facts = [(str(event.id), event.version, fact_of(event)) for event in batch]
        await outbox.append_many(tx, topic=catalog.TOPIC, type_=type_, facts=facts)
        told += batch
    return told


def fact_of(event: Event) -> EventFact:
    """Write what everybody may know of an event."""
    terms, venue = event.terms, event.venue
    return EventFact(
        event_id=event.id, organisation_id=event.organisation_id, status=event.state.value,
        name=terms.name, description=terms.description, starts_at=terms.starts_at, ends_at=terms.ends_at,
        on_sale_at=terms.on_sale_at, off_sale_at=terms.off_sale_at,
        venue=Place(
            venue_id=venue.id, name=venue.name, location=venue.location, city=venue.city, region=venue.region,
            country=venue.country, time_zone=venue.time_zone, latitude=venue.latitude, longitude=venue.longitude,
        ),
        category_id=event.category.id if event.category else None,
        category=event.category.name if event.category else None,
        seat_map_id=terms.seat_map_id, capacity=event.capacity, currency=terms.currency,
        limit_per_customer=terms.limit_per_customer, hold_minutes=terms.hold_minutes,
        refund_policy=RefundPolicy(
            cancel_until_hours=terms.cancel_until_hours, refund_percent=terms.refund_percent
        ),
        programme=programme_of(terms.programme), source=event.source, no_single_seats=event.no_single_seats,
    )  # fmt: skip


def programme_of(works: Sequence[ProgrammeWork]) -> tuple[Work, ...]:
    """Write a programme for the outside."""
    return tuple(
        Work(
            title=work.title, composer=work.composer, conductor=work.conductor, soloists=work.soloists,
            movement=work.movement, intermission=work.intermission,
        )
        for work in works
    )  # fmt: skip
