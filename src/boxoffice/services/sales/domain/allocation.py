"""An allocation: seats of an event that are set aside for somebody, its states, and what it is refused for.

``closed``: its seats are for whoever has its access code, or for nobody (``kill``). ``open``: they are for everybody,
by hand or because its release time has passed. ``released``: it gave all its seats back and is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.kernel.ids import EventId, SeatId, event_of
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsUnknownError

MOST_SEATS = 20_000
"""Seats named in one call: a tier of a stadium."""
MOST_ROWS = 1_000
MOST_ALLOCATIONS = 200
"""Allocations of one event at a time: a page that a person can read."""


class AllocationKind(StrEnum):
    """For whom seats are set aside."""

    HOUSE = "house"
    ARTIST = "artist"
    SPONSOR = "sponsor"
    CHANNEL = "channel"
    ACCESSIBLE = "accessible"
    KILL = "kill"


class AllocationState(StrEnum):
    """Where an allocation stands."""

    CLOSED = "closed"
    OPEN = "open"
    RELEASED = "released"


class AllocationAction(StrEnum):
    """What can be done to an allocation."""

    SET_ASIDE = "set_aside"
    GIVE_SOME_BACK = "give_some_back"
    CHANGE = "change"
    OPEN = "open"
    RELEASE = "release"


TRANSITIONS: dict[tuple[AllocationState, AllocationAction], AllocationState] = {
    (AllocationState.CLOSED, AllocationAction.SET_ASIDE): AllocationState.CLOSED,
    (AllocationState.CLOSED, AllocationAction.GIVE_SOME_BACK): AllocationState.CLOSED,
    (AllocationState.CLOSED, AllocationAction.CHANGE): AllocationState.CLOSED,
    (AllocationState.CLOSED, AllocationAction.OPEN): AllocationState.OPEN,
    (AllocationState.CLOSED, AllocationAction.RELEASE): AllocationState.RELEASED,
    (AllocationState.OPEN, AllocationAction.RELEASE): AllocationState.RELEASED,
}
"""An open allocation never closes again: who wants its seats back sets them aside anew."""


class AllocationNotFoundError(DomainError):
    """No such allocation of this event, or the event is not the caller's: the two are not told apart."""

    code: ClassVar[str] = "sales.allocation_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such allocation"


class WrongAllocationStateError(DomainError):
    """The allocation is not in a state, or not of a kind, that allows it."""

    code: ClassVar[str] = "sales.wrong_allocation_state"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The allocation does not allow this"


class BadAllocationError(DomainError):
    """An allocation that cannot be meant: its release time has passed, or what is killed has one."""

    code: ClassVar[str] = "sales.bad_allocation"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The allocation cannot be read"


class TooManyAllocationsError(DomainError):
    """The event has as many allocations as it may."""

    code: ClassVar[str] = "sales.too_many_allocations"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The event has too many allocations"


class SeatsSetAsideError(DomainError):
    """Some of the seats are set aside in another allocation that is still closed."""

    code: ClassVar[str] = "sales.seats_set_aside"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "Some of these seats are set aside already"


class UnknownAccessCodeError(DomainError):
    """No allocation of this event has such a code; whether the event is there, or ever had one, is not told."""

    code: ClassVar[str] = "sales.access_code_unknown"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "This access code opens nothing here"


class TooManyCodesError(DomainError):
    """The customer tried too many access codes that open nothing."""

    code: ClassVar[str] = "sales.too_many_access_codes"
    category: ClassVar[Category] = Category.TOO_MANY
    title: ClassVar[str] = "Too many wrong access codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """One allocation; ``state`` is the database's judgement at reading, by its clock."""

    allocation_id: int
    event_id: EventId
    kind: AllocationKind
    name: str
    state: AllocationState
    release_at: datetime | None
    has_code: bool
    version: int

    def after(self, action: AllocationAction) -> AllocationState:
        """Tell what an action makes of it.

        :raises WrongAllocationStateError: when it does not allow that.
        """
        found = TRANSITIONS.get((self.state, action))
        if found is None:
            raise WrongAllocationStateError(
                "It is open: its seats are for everybody. Set them aside anew.", state=self.state.value
            )
        if self.kind is AllocationKind.KILL and found is AllocationState.OPEN:
            raise WrongAllocationStateError(
                "What is killed is not opened. Give its seats back to sell them.", kind=self.kind.value
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Seats of one event: by id, or a whole section, or rows of it."""

    seat_ids: tuple[SeatId, ...] = ()
    section: str | None = None
    rows: tuple[str, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing."""
        return not self.seat_ids and self.section is None and self.rows is None

    def check(self, event_id: EventId) -> None:
        """Refuse what cannot be meant.

        :raises BadSelectionError: when it names nothing, both ids and a section, rows without one, too many, one twice.
        :raises SeatsUnknownError: when an id is of another event.
        """
        if bool(self.seat_ids) == (self.section is not None) or (self.rows is not None and self.section is None):
            raise BadSelectionError("Send either ticketIds, or a section and maybe its rows.")
        if self.rows is not None and not 1 <= len(self.rows) <= MOST_ROWS:
            raise BadSelectionError(f"Name between 1 and {MOST_ROWS} rows, or none for the whole section.")
        if len(self.seat_ids) > MOST_SEATS:
            raise BadSelectionError(f"At most {MOST_SEATS} seats in one call.", most=MOST_SEATS)
        if len(set(self.seat_ids)) != len(self.seat_ids):
            raise BadSelectionError("A seat stands twice.")
        foreign = sorted(seat for seat in self.seat_ids if event_of(seat) != event_id)
        if foreign:
            raise SeatsUnknownError("Choose seats of this event.", ticketIds=foreign)


def check_terms(kind: AllocationKind, name: str, release_at: datetime | None) -> str:
    """Give an allocation's name as it is kept.

    :raises BadAllocationError: when it has none, or what is killed is to be opened at some time.
    """
    if not name.strip():
        raise BadAllocationError("Give it a name by which you know it again.")
    if kind is AllocationKind.KILL and release_at is not None:
        raise BadAllocationError("What is killed has no release time: give its seats back to sell them.")
    return name.strip()


def named(places: Sequence[tuple[int, str, str, str]]) -> list[dict[str, object]]:
    """Name seats in a refusal: id, section, row, number of each."""
    return [
        {"ticketId": seat, "section": section, "row": row, "number": number} for seat, section, row, number in places
    ]
