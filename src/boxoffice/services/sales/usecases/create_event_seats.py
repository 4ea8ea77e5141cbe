"""Put an event's seats on sale: from a seat map with price levels, as general admission, or as a list of seats."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from boxoffice.contracts import hall as halls
from boxoffice.contracts.hall import Hall
from boxoffice.contracts.http import catalog
from boxoffice.kernel.drawing import draw
from boxoffice.kernel.ids import MAX_PLACES, EventId, OrganisationId
from boxoffice.kernel.money import Money
from boxoffice.kernel.plan import Seat as DrawnSeat
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.limited_view import LIMITED_VIEW, LimitedView, note_views
from boxoffice.services.sales.domain.prices import (
    Area,
    EventSeat,
    MapSeat,
    PriceLevel,
    Spot,
    number_places,
    price_seats,
)
from boxoffice.services.sales.domain.refusals import (
    AlreadyOpenError,
    BadPriceLevelsError,
    BadTicketListError,
    EventNotFoundError,
    NotYourEventError,
)
from boxoffice.services.sales.domain.ticket_types import TypesByLevel
from boxoffice.services.sales.store import areas, sale_summaries, seats, ticket_types
from boxoffice.services.sales.store.terms import EventTerms
from boxoffice.services.sales.usecases.take_event_terms import keep_terms, terms_of

CHUNK = 5_000
"""Seats written in one statement: well inside the statement timeout, far fewer round trips than seats."""

COMPANION = "companion"
"""The mark of a companion's seat, which is sold only together with the wheelchair place beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSeat:
    """One seat as the organiser lists it; ``seat_id`` is their own name for it."""

    seat_id: str
    section: str
    row: str
    number: str
    price: Money


async def terms_for(
    peers: catalog.Peers, event_id: EventId, *, token: str, organisations: Sequence[OrganisationId]
) -> tuple[EventTerms, int | None]:
    """Ask the catalog for an event once, with the organiser's own token; gives its terms and its GA capacity.

    :raises EventNotFoundError: when there is none, or it is a stranger's draft.
    :raises NotYourEventError: when it belongs to another organisation.
    """
    event = await catalog.get_event(peers, event_id, token=token)
    if event is None:
        raise EventNotFoundError("There is no such event.", eventId=event_id)
    if event.organisation_id not in organisations:
        raise NotYourEventError("Only its organisers create the tickets of an event.", eventId=event_id)
    return terms_of(event.fact(), event.version), event.available_seats


async def hall_for(peers: catalog.Peers, event: EventTerms, seat_map_id: int) -> Hall:
    """Read the seat map to sell by.

    :raises BadPriceLevelsError: when there is no such map, or the event takes place in another.
    """
    if event.seat_map_id is not None and event.seat_map_id != seat_map_id:
        raise BadPriceLevelsError("The event has another seat map.", seatMapId=event.seat_map_id)
    found = await catalog.get_seat_map(peers, seat_map_id)
    if found is None:
        raise BadPriceLevelsError("There is no such seat map.", seatMapId=seat_map_id)
    return found.hall


async def open_sale(database: Database, event: EventTerms, hall: Hall, price_levels: Sequence[PriceLevel]) -> int:
    """Put every sellable seat of a hall on sale for one event; returns how many there are.

    :raises BadPriceLevelsError: when the levels do not fit the map.
    :raises AlreadyOpenError: when the event has its seats already.
    """
    priced = await asyncio.to_thread(price_hall, hall, price_levels)
    await create_event_seats(database, event, priced, types=types_of(price_levels))
    return len(priced)


async def open_sales(
    database: Database, events: Iterable[EventTerms], hall: Hall, price_levels: Sequence[PriceLevel]
) -> int:
    """Put one hall on sale for many events, each in its own transaction; events that have seats are left alone.

    Returns how many events were opened.

    :raises BadPriceLevelsError: when the levels do not fit the map.
    """
    priced = await asyncio.to_thread(price_hall, hall, price_levels)
    opened = 0
    for event in events:
        try:
            await create_event_seats(database, event, priced, types=types_of(price_levels))
        except AlreadyOpenError:
            continue
        opened += 1
    return opened


def price_hall(hall: Hall, price_levels: Sequence[PriceLevel], views: Sequence[LimitedView] = ()) -> list[EventSeat]:
    """Give every sellable seat of a hall its price level, notice and spot; draws the hall: a tenth of a second.

    :raises BadPriceLevelsError: when the levels do not fit the map.
    """
    spots = from_focus(hall)
    sellable = (
        MapSeat(
            place=seat.place, section=seat.section, row=seat.row, number=seat.number, block=seat.block,
            position=seat.position, mark=seat.mark, spot=spots[seat.place],
        )
        for seat in halls.seats(hall)
        if seat.sellable
    )  # fmt: skip
    return note_views(price_seats(sellable, price_levels), views, usual=hall.marks.get(LIMITED_VIEW))


def mixed_house(
    hall: Hall, price_levels: Sequence[PriceLevel], views: Sequence[LimitedView] = ()
) -> tuple[list[EventSeat], list[Area]]:
    """Price a hall's seats by the levels without a quantity; a level with one is an area beside them, without seats.

    :raises BadPriceLevelsError: when the levels do not fit the map, or one has seats and a quantity.
    """
    beside = [level for level in price_levels if level.quantity is not None]
    if any(level.seats is not None for level in beside):
        raise BadPriceLevelsError("A price level has seats, or a quantity of places without seats.")
    if len({level.name for level in price_levels}) != len(price_levels):
        raise BadPriceLevelsError("Two price levels have the same name.")
    priced = price_hall(hall, [level for level in price_levels if level.quantity is None], views)
    if not beside:
        return priced, []
    return priced, number_places(beside, first_place=1 + max(seat.place for seat in halls.seats(hall)))


def from_focus(hall: Hall) -> dict[int, Spot]:
    """Say where every place of a hall is, as it is drawn, seen from the middle of the platform's edge at the audience.

    A seat map names no focus of its own; this is what people come to be near.
    """
    places = [
        DrawnSeat(place=s.place, section=s.section, row=s.row, number=s.number, block=s.block, mark=s.mark)
        for s in halls.seats(hall)
    ]
    drawing = draw(places, stage=hall.stage)
    edge = max(y for _, y in drawing.platform)
    return {one.seat.place: (round(10 * one.x), round(10 * (one.y - edge))) for one in drawing.spots}


def general_admission(price_levels: Sequence[PriceLevel], capacity: int | None) -> list[Area]:
    """Make the areas of an event without a seat map; a single level without a quantity takes the whole capacity.

    :raises BadPriceLevelsError: when a quantity is missing, or there are more places than the event's capacity.
    """
    if len(price_levels) == 1 and price_levels[0].quantity is None and capacity:
        only = price_levels[0]
        price_levels = [replace(only, quantity=capacity)]
    made = number_places(price_levels)
    places = sum(area.capacity for area in made)
    if capacity is not None and places > capacity:
        raise BadPriceLevelsError("That is more than the event's capacity.", capacity=capacity, places=places)
    return made


def listed(listing: Sequence[ListedSeat]) -> list[EventSeat]:
    """Make event seats of an organiser's own list, in its order.

    :raises BadTicketListError: when it is empty, too long, names a seat twice or a negative price.
    """
    if not 1 <= len(listing) <= MAX_PLACES:
        raise BadTicketListError(f"An event has 1 to {MAX_PLACES} places.")
    names = {seat.seat_id for seat in listing}
    labels = {(seat.section, seat.row, seat.number) for seat in listing}
    if len(names) != len(listing) or len(labels) != len(listing):
        raise BadTicketListError("A seat stands twice in the list.")
    if any(seat.price.minor < 0 for seat in listing):
        raise BadTicketListError("A price is never negative.")
    return [
        EventSeat(
            place=place, section=seat.section, row=seat.row, number=seat.number, block=0, position=place, mark=None,
            price_level=None, external_id=seat.seat_id, price=seat.price,
        )
        for place, seat in enumerate(listing)
    ]  # fmt: skip


def types_of(price_levels: Sequence[PriceLevel]) -> TypesByLevel:
    """Give the ticket types of those levels that have some."""
    return {level.name: level.types for level in price_levels if level.types}


async def create_event_seats(
    database: Database,
    event: EventTerms,
    priced: Sequence[EventSeat],
    admission: Sequence[Area] = (),
    types: TypesByLevel | None = None,
) -> None:
    """Write an event's seats, its areas of general admission, its ticket types and its terms in one transaction.

    :raises AlreadyOpenError: when the event has its seats already.
    """
    async with database.transaction() as tx:
        await create_within(tx, event, priced, admission, types)


async def create_within(
    tx: Connection,
    event: EventTerms,
    priced: Sequence[EventSeat],
    admission: Sequence[Area] = (),
    types: TypesByLevel | None = None,
) -> None:
    """Write an event's seats, its areas of general admission, its ticket types and its terms inside a transaction.

    :raises AlreadyOpenError: when the event has its seats already.
    """
    await keep_terms(tx, event)
    if await seats.exist(tx, event.event_id) or await areas.exist(tx, event.event_id):
        raise AlreadyOpenError("Create the tickets of an event once.", eventId=event.event_id)
    try:
        await _write(tx, event.event_id, priced)
        await seats.link_neighbours(tx, event.event_id)
        if admission:
            await areas.insert(tx, event.event_id, admission)
        await ticket_types.insert(tx, event.event_id, types or {})
        if any(seat.mark == COMPANION for seat in priced):
            await seats.link_companions(tx, event.event_id)
        noted = [(seat.place, seat.notice) for seat in priced if seat.notice is not None]
        if noted:
            await seats.note_views(
                tx, event_id=event.event_id, places=[place for place, _ in noted], notices=[text for _, text in noted]
            )
    except asyncpg.UniqueViolationError as error:  # another call was quicker, and committed between the two
        raise AlreadyOpenError("Create the tickets of an event once.", eventId=event.event_id) from error
    await sale_summaries.mark_changed(tx, event.event_id)


async def _write(tx: Connection, event_id: EventId, priced: Sequence[EventSeat]) -> None:
    for start in range(0, len(priced), CHUNK):
        chunk = priced[start : start + CHUNK]
        await seats.insert(tx, event_id=event_id, columns=_columns(chunk), currency=chunk[0].price.currency)


def _columns(priced: Sequence[EventSeat]) -> list[list[Any]]:
    return [
        [seat.place for seat in priced],
        [seat.section for seat in priced],
        [seat.row for seat in priced],
        [seat.number for seat in priced],
        [seat.block for seat in priced],
        [seat.position for seat in priced],
        [seat.mark for seat in priced],
        [seat.price_level for seat in priced],
        [seat.external_id for seat in priced],
        [seat.spot and seat.spot[0] for seat in priced],
        [seat.spot and seat.spot[1] for seat in priced],
        [seat.price.minor for seat in priced],
    ]
