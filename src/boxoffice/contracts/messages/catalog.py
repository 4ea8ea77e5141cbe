"""What the catalog tells: the whole public state of an event after each change (topic ``catalog.event.v1``).

Where Debezium runs, the changes of the events table are told too (``catalog.events.rows``): not a public state but the
row, whoever changed it.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

TOPIC = "catalog.event.v1"
ROWS_TOPIC = "catalog.events.rows"
"""The events table itself, row by row, as Debezium tells it; only where Debezium runs."""

EventType = Literal[
    "catalog.event.drafted",
    "catalog.event.published",
    "catalog.event.changed",
    "catalog.event.rescheduled",
    "catalog.event.cancelled",
    "catalog.event.deleted",
]
EventStatus = Literal["draft", "published", "cancelled", "deleted"]


class Place(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an event takes place."""

    venue_id: int
    name: str
    location: str
    city: str | None = None
    region: str | None = None
    country: str | None = None
    time_zone: str
    latitude: float | None = None
    longitude: float | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One work of a programme; an intermission has no title, only ``intermission`` true."""

    title: str | None = None
    composer: str | None = None
    conductor: str | None = None
    soloists: tuple[str, ...] = ()
    movement: str | None = None
    intermission: bool = False


class RefundPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Until how long before the start a buyer may cancel, and the share that is paid back (percent, 0..100)."""

    cancel_until_hours: int = 24
    refund_percent: int = 100


class EventFact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``catalog.event.v1``; the envelope's ``key`` is the event id, its ``version`` the event's version."""

    event_id: int
    organisation_id: UUID
    status: EventStatus
    name: str
    description: str
    starts_at: datetime
    ends_at: datetime
    on_sale_at: datetime | None = None
    off_sale_at: datetime | None = None
    venue: Place
    category_id: int | None = None
    category: str | None = None
    seat_map_id: int | None = None
    capacity: int | None = None
    currency: str = "USD"
    limit_per_customer: int = 8
    hold_minutes: int = 20
    refund_policy: RefundPolicy = RefundPolicy()
    programme: tuple[Work, ...] = ()
    source: str | None = None
    no_single_seats: bool = False
    """Whether buyers may not leave a single free seat behind; never without a seat map."""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the events table, as far as anybody may rely on it. A deleted row has its id only."""

    id: int
    status: str | None = None
    version: int | None = None


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """Value of ``catalog.events.rows``: Debezium's change event; ``op`` is c, u, d, or r for a row of the snapshot.

    ``before`` of a deleted row is nothing but its key. A record without a value (a tombstone) says that the row of its
    key is gone, and is all that is left of it once the topic was compacted.
    """

    op: Literal["c", "u", "d", "r"]
    before: EventRow | None = None
    after: EventRow | None = None
