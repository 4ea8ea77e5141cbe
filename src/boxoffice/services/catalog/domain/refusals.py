"""What the catalog says no with: each refusal's code, category and title."""

from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class EventNotFoundError(DomainError):
    """No such event, or one that the caller may not see."""

    code: ClassVar[str] = "catalog.event_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such event"


class VenueNotFoundError(DomainError):
    """No such venue, or one of another organisation."""

    code: ClassVar[str] = "catalog.venue_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such venue"


class CategoryNotFoundError(DomainError):
    """No such category."""

    code: ClassVar[str] = "catalog.category_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such category"


class SeatMapNotFoundError(DomainError):
    """No such seat map."""

    code: ClassVar[str] = "catalog.seat_map_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such seat map"


class UnknownVenueError(DomainError):
    """A body names a venue that is not there or belongs to another organisation."""

    code: ClassVar[str] = "catalog.venue_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The venue is not one of yours"


class UnknownCategoryError(DomainError):
    """A body names a category that is not there."""

    code: ClassVar[str] = "catalog.category_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "There is no such category"


class UnknownSeatMapError(DomainError):
    """A body names a seat map that is not there or belongs to another venue."""

    code: ClassVar[str] = "catalog.seat_map_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The seat map is not one of that venue"


class BadEventError(DomainError):
    """An event that cannot be: it ends before it starts, has no places, or the like."""

    code: ClassVar[str] = "catalog.event_invalid"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The event cannot be as described"


class BadTimeError(DomainError):
    """A time that cannot be read, or that the venue's clocks never show."""

    code: ClassVar[str] = "catalog.time_invalid"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The time cannot be read"


class UnknownZoneError(DomainError):
    """A time zone that the IANA database does not list."""

    code: ClassVar[str] = "catalog.timezone_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "There is no such time zone"


class MoveRefusedError(DomainError):
    """A move that the event's state does not allow."""

    code: ClassVar[str] = "catalog.move_refused"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The event's state does not allow this"


class FrozenError(DomainError):
    """A published event keeps what people have bought by."""

    code: ClassVar[str] = "catalog.published_event_keeps"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "A published event keeps this"


class ChangedMeanwhileError(DomainError):
    """If-Match names a version that is not the present one."""

    code: ClassVar[str] = "catalog.changed_meanwhile"
    category: ClassVar[Category] = Category.PRECONDITION
    title: ClassVar[str] = "Somebody changed it meanwhile"


class BadPreconditionError(DomainError):
    """An If-Match that is none of our ETags."""

    code: ClassVar[str] = "catalog.if_match_malformed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "If-Match is none of our ETags"


class OrganisationNotYoursError(DomainError):
    """The caller acts for an organisation in which they may not."""

    code: ClassVar[str] = "catalog.organisation_not_yours"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "You may not act for that organisation"


class OrganisationNeededError(DomainError):
    """The caller belongs to several organisations and names none."""

    code: ClassVar[str] = "catalog.organisation_needed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "Say for which organisation"


class VenueInUseError(DomainError):
    """A venue with events."""

    code: ClassVar[str] = "catalog.venue_in_use"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The venue has events"


class CategoryInUseError(DomainError):
    """A category with events."""

    code: ClassVar[str] = "catalog.category_in_use"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The category has events"


class CategoryExistsError(DomainError):
    """Two categories of one name."""

    code: ClassVar[str] = "catalog.category_exists"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "There is a category of that name"


class UnreadableSeatMapError(DomainError):
    """A document that is no seat map of the format ``hall/1``."""

    code: ClassVar[str] = "catalog.seat_map_unreadable"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The seat map cannot be read"


class TotalsDifferError(DomainError):
    """A seat map that does not add up to the totals published with it."""

    code: ClassVar[str] = "catalog.seat_map_totals_differ"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The seat map does not reproduce its published totals"


class UnreadableConcertsError(DomainError):
    """A file that is not one of the Philharmonic's."""

    code: ClassVar[str] = "catalog.concerts_unreadable"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The concerts cannot be read"


class BadVenueError(DomainError):
    """A venue that cannot be."""

    code: ClassVar[str] = "catalog.venue_invalid"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The venue cannot be as described"
