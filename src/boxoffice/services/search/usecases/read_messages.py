"""Read what catalog and sales tell as changes of the index."""

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog, sales
from boxoffice.kernel.money import Money
from boxoffice.services.search.domain.listing import Change, Listing, ListingChange, Sale, SaleChange, Venue, Work

FINDABLE = frozenset({"published", "cancelled"})
"""What anybody may find; drafts and deleted events leave the index."""


def change_of(envelope: Envelope) -> Change:
    """Read one message.

    :raises ValueError: when the topic is not one of ours, or a price cannot be read.
    :raises msgspec.ValidationError: when the body is not of its topic's shape.
    """
    if envelope.topic == catalog.TOPIC:
        return listing_change(envelope.read(catalog.EventFact), version=envelope.version)
    if envelope.topic == sales.EVENT_TOPIC:
        return sale_change(envelope.read(sales.SaleFact), version=envelope.version)
    raise ValueError(f"search takes no messages of {envelope.topic}")


def listing_change(fact: catalog.EventFact, *, version: int) -> ListingChange:
    """Read the public state of an event."""
    listing = _listing(fact) if fact.status in FINDABLE else None
    return ListingChange(event_id=fact.event_id, version=version, listing=listing)


def sale_change(fact: sales.SaleFact, *, version: int) -> SaleChange:
    """Read how an event sells.

    :raises ValueError: when the price cannot be read.
    """
    lowest = None
    if fact.lowest_price is not None and fact.currency is not None:
        lowest = Money.parse(fact.lowest_price, fact.currency).minor
    return SaleChange(
        event_id=fact.event_id,
        version=version,
        sale=Sale(state=fact.state, lowest_price_minor=lowest, currency=fact.currency),
    )


def _listing(fact: catalog.EventFact) -> Listing:
    played = [work for work in fact.programme if not work.intermission]
    people = [name for work in played for name in (work.conductor, *work.soloists) if name]
    return Listing(
        name=fact.name, description=fact.description, cancelled=fact.status == "cancelled",
        starts_at=fact.starts_at, ends_at=fact.ends_at, on_sale_at=fact.on_sale_at, off_sale_at=fact.off_sale_at,
        venue=_venue(fact.venue), category_id=fact.category_id, category=fact.category, currency=fact.currency,
        works=tuple(Work(title=work.title, composer=work.composer) for work in played if work.title or work.composer),
        performers=tuple(dict.fromkeys(people)),
    )  # fmt: skip


def _venue(place: catalog.Place) -> Venue:
    return Venue(
        id=place.venue_id, name=place.name, location=place.location, city=place.city, region=place.region,
        country=place.country, time_zone=place.time_zone, latitude=place.latitude, longitude=place.longitude,
    )  # fmt: skip
