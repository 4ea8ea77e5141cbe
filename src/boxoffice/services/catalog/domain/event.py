"""What an event is, which states it moves through, and what a published one keeps."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from boxoffice.services.catalog.domain.refusals import BadEventError, FrozenError, MoveRefusedError

MAX_LIMIT_PER_CUSTOMER = 100
MAX_HOLD_MINUTES = 120
"""Longer holds would let a few visitors empty a house."""
MAX_CAPACITY = 1_000_000
MAX_CANCEL_HOURS = 24 * 365


class State(StrEnum):
    """Where an event stands."""

    DRAFT = "draft"
    PUBLISHED = "published"
    CANCELLED = "cancelled"
    DELETED = "deleted"


class Action(StrEnum):
    """What is done to an event."""

    CHANGE = "change"
    PUBLISH = "publish"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    DELETE = "delete"


TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.DRAFT, Action.CHANGE): State.DRAFT,
    (State.DRAFT, Action.PUBLISH): State.PUBLISHED,
    (State.DRAFT, Action.DELETE): State.DELETED,
    (State.PUBLISHED, Action.CHANGE): State.PUBLISHED,
    (State.PUBLISHED, Action.RESCHEDULE): State.PUBLISHED,
    (State.PUBLISHED, Action.CANCEL): State.CANCELLED,
}
"""What is not listed is refused: a cancelled event stays cancelled, and what was published is never deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One work of a programme; an intermission has nothing but ``intermission``."""

    title: str | None = None
    composer: str | None = None
    conductor: str | None = None
    soloists: tuple[str, ...] = ()
    movement: str | None = None
    intermission: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where events are held. ``source`` is an importer's name for it."""

    id: int
    organisation_id: UUID
    name: str
    description: str
    location: str
    total_seats: int
    time_zone: str
    latitude: float | None
    longitude: float | None
    city: str | None
    region: str | None
    country: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What kind of event it is."""

    id: int
    name: str
    description: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an organiser says of an event: everything but its state. Times are in UTC, names are ids."""

    name: str
    description: str
    starts_at: datetime
    ends_at: datetime
    on_sale_at: datetime | None
    off_sale_at: datetime | None
    venue_id: int
    category_id: int | None
    seat_map_id: int | None
    capacity: int | None
    currency: str
    limit_per_customer: int
    hold_minutes: int
    cancel_until_hours: int
    refund_percent: int
    programme: tuple[Work, ...]
    no_single_seats: bool = True
    """Whether a buyer may not leave a single free seat behind; an event without a seat map has nothing to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it stands. ``places`` is what its seat map can sell; ``asked_at`` is when the database read it."""

    id: int
    organisation_id: UUID
    state: State
    terms: Terms
    venue: Venue
    category: Category | None
    places: int | None
    published_at: datetime | None
    source: str | None
    version: int
    asked_at: datetime

    @property
    def on_sale(self) -> bool:
        """Whether tickets may be bought at ``asked_at``: from on-sale (or publishing) until off-sale (or the start)."""
        if self.state is not State.PUBLISHED or self.published_at is None:
            return False
        opens = self.terms.on_sale_at or self.published_at
        return opens <= self.asked_at < (self.terms.off_sale_at or self.terms.starts_at)

    @property
    def no_single_seats(self) -> bool:
        """Whether the sale keeps buyers from leaving single seats."""
        return self.terms.no_single_seats and self.terms.seat_map_id is not None

    @property
    def capacity(self) -> int | None:
        """How many places there are: of the seat map, else what the organiser said."""
        return self.terms.capacity if self.places is None else self.places


def next_state(state: State, action: Action) -> State:
    """Say where an action leads.

    :raises MoveRefusedError: when the state does not allow it.
    """
    after = TRANSITIONS.get((state, action))
    if after is None:
        raise MoveRefusedError(f"A {state} event cannot be {PAST[action]}.", eventStatus=str(state), action=str(action))
    return after


PAST = {
    Action.CHANGE: "changed",
    Action.PUBLISH: "published",
    Action.RESCHEDULE: "rescheduled",
    Action.CANCEL: "cancelled",
    Action.DELETE: "deleted",
}


def check(terms: Terms) -> None:
    """Look for what cannot be.

    :raises BadEventError: naming the first field that is wrong.
    """
    check_times(terms.starts_at, terms.ends_at)
    if terms.on_sale_at and terms.off_sale_at and terms.off_sale_at < terms.on_sale_at:
        raise BadEventError("offSaleAt is before onSaleAt.", field="offSaleAt")
    if terms.on_sale_at and terms.on_sale_at >= terms.ends_at:
        raise BadEventError("onSaleAt is after the end of the event.", field="onSaleAt")
    if terms.seat_map_id is None and not terms.capacity:
        raise BadEventError("An event without a seat map needs availableSeats, its capacity.", field="availableSeats")


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """See that an event ends after it starts.

    :raises BadEventError: when it does not.
    """
    if ends_at <= starts_at:
        raise BadEventError("endTime is not after startTime.", field="endTime")


KEPT = ("starts_at", "ends_at", "venue_id", "seat_map_id", "currency")
"""What a published event keeps, since people buy by it; times move by rescheduling, which asks the buyers."""

API_NAMES = {
    "starts_at": "startTime",
    "ends_at": "endTime",
    "venue_id": "venueId",
    "seat_map_id": "seatMapId",
    "currency": "currency",
}


def check_change(state: State, before: Terms, after: Terms) -> None:
    """See that a published event keeps what it must.

    :raises FrozenError: naming the fields that may not change, and the way that there is.
    """
    if state is not State.PUBLISHED:
        return
    changed = [API_NAMES[name] for name in KEPT if getattr(before, name) != getattr(after, name)]
    if changed:
        hint = " Use /reschedule for the times." if {"startTime", "endTime"} & set(changed) else ""
        raise FrozenError(f"A published event keeps its {', '.join(changed)}.{hint}", fields=changed)
