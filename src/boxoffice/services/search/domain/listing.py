"""What the index knows of one event: its listing from the catalog and its sale from sales, each with its version.

Invariant I18: whatever order messages come in, and however often, the newest version of each half wins.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

SaleState = Literal["on_sale_soon", "on_sale", "few_left", "sold_out", "cancelled", "past", "not_on_sale"]
"""What a hit says of its sale, to people."""

ToldState = Literal["not_on_sale", "on_sale", "few_left", "sold_out"]
"""What sales tells of it; the clock and the catalog do the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Where an event takes place."""

    id: int
    name: str
    location: str
    city: str | None
    region: str | None
    country: str | None
    time_zone: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of a programme, as far as it has a name."""

    title: str | None
    composer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """An event as it can be found. Instants are aware and in UTC; the zone is the venue's."""

    name: str
    description: str
    cancelled: bool
    starts_at: datetime
    ends_at: datetime
    on_sale_at: datetime | None
    off_sale_at: datetime | None
    venue: Venue
    category_id: int | None
    category: str | None
    currency: str
    works: tuple[Work, ...]
    performers: tuple[str, ...]

    @property
    def composers(self) -> tuple[str, ...]:
        """Who wrote the works, each once, in the order of the programme."""
        return tuple(dict.fromkeys(work.composer for work in self.works if work.composer))

    @property
    def titles(self) -> tuple[str, ...]:
        """What is played, each once, in the order of the programme."""
        return tuple(dict.fromkeys(work.title for work in self.works if work.title))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """How an event sells; ``lowest_price_minor`` is the lowest total price in minor units of ``currency``."""

    state: ToldState
    lowest_price_minor: int | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One event in the index. Without a listing it is not found: deleted, a draft, or only its sale is known yet."""

    event_id: int
    listing: Listing | None = None
    listing_version: int = 0
    sale: Sale | None = None
    sale_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingChange:
    """The catalog's newest word on an event; no listing: it is not (or no longer) to be found."""

    event_id: int
    version: int
    listing: Listing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleChange:
    """Sales' newest word on an event."""

    event_id: int
    version: int
    sale: Sale


Change = ListingChange | SaleChange


def changed(entry: Entry, change: Change) -> Entry:
    """Apply a change, unless the entry knows that version or a newer one already: then it stays as it is."""
    match change:
        case ListingChange() if change.version > entry.listing_version:
            return replace(entry, listing=change.listing, listing_version=change.version)
        case SaleChange() if change.version > entry.sale_version:
            return replace(entry, sale=change.sale, sale_version=change.version)
        case _:
            return entry


def newest(one: Entry, other: Entry) -> Entry:
    """Join two states of the same event: of each half the newer one; ``one`` where both are equally new."""
    listed = other if other.listing_version > one.listing_version else one
    sold = other if other.sale_version > one.sale_version else one
    return Entry(
        event_id=one.event_id,
        listing=listed.listing, listing_version=listed.listing_version,
        sale=sold.sale, sale_version=sold.sale_version,
    )  # fmt: skip


def sale_state(listing: Listing, sale: Sale | None, *, now: datetime) -> SaleState:
    """Say how an event sells at an instant. Without word from sales nothing is claimed to be for sale."""
    if listing.cancelled:
        return "cancelled"
    if listing.ends_at <= now:
        return "past"
    if now >= (listing.off_sale_at or listing.starts_at):
        return "not_on_sale"
    if listing.on_sale_at is not None and now < listing.on_sale_at:
        return "on_sale_soon"
    return sale.state if sale else "not_on_sale"


def changes_at(listing: Listing, *, now: datetime) -> datetime | None:
    """Tell when something that is said of an event next changes by the clock alone; none: never again."""
    instants = (listing.on_sale_at, listing.off_sale_at, listing.starts_at, listing.ends_at)
    return min((at for at in instants if at is not None and at > now), default=None)
