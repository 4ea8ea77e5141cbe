"""Price levels: which event seat costs how much. The first level whose seats match a seat wins."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from boxoffice.kernel.ids import MAX_PLACES
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.refusals import BadPriceLevelsError
from boxoffice.services.sales.domain.ticket_types import TicketType, check_types

Spot: TypeAlias = tuple[int, int]
"""Where a seat is, seen from the focus of the map: to the right and away from it, in tenths of a drawing unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatMatch:
    """Seats of one section, all rows or those named."""

    section: str
    rows: frozenset[str] | None = None

    def covers(self, section: str, row: str) -> bool:
        """Whether a row of a section is meant."""
        return section == self.section and (self.rows is None or row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLevel:
    """A class of event seats with one price. Without ``seats`` it takes the rest; ``quantity`` is for GA only.

    ``types`` are what its seats are sold as (adult, child, …), the first at this price; none: there is one price.
    """

    name: str
    price: Money
    seats: tuple[SeatMatch, ...] | None = None
    quantity: int | None = None
    types: tuple[TicketType, ...] = ()

    def covers(self, section: str, row: str) -> bool:
        """Whether a seat of that row falls into this level."""
        return self.seats is None or any(match.covers(section, row) for match in self.seats)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapSeat:
    """One sellable place of a seat map."""

    place: int
    section: str
    row: str
    number: str
    block: int = 0
    position: int = 0
    mark: str | None = None
    spot: Spot | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeat:
    """One event seat as it goes on sale."""

    place: int
    section: str
    row: str
    number: str
    block: int
    position: int
    mark: str | None
    price_level: str | None
    external_id: str | None
    price: Money
    spot: Spot | None = None
    notice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """General admission: capacity without seats, at one price; its places are numbered on from ``first_place``."""

    name: str
    first_place: int
    capacity: int
    price: Money

    def places(self) -> Iterator[EventSeat]:
        """Spell its places out as seats without a row, numbered from 1, as lists and tickets show them."""
        for number in range(self.capacity):
            yield EventSeat(
                place=self.first_place + number, section=self.name, row="", number=str(number + 1), block=0,
                position=number, mark=None, price_level=self.name, external_id=None, price=self.price,
            )  # fmt: skip


def price_seats(seats: Iterable[MapSeat], levels: Sequence[PriceLevel]) -> list[EventSeat]:
    """Give every seat of a map its price level.

    :raises BadPriceLevelsError: when a seat has no level, a level names a section or row that is not there, or a level
        covers no seat at all.
    """
    _check_levels(levels)
    chosen: dict[tuple[str, str], PriceLevel] = {}
    used: set[str] = set()
    unpriced: dict[str, None] = {}
    priced: list[EventSeat] = []
    for seat in seats:
        where = (seat.section, seat.row)
        level = chosen.get(where) or next((one for one in levels if one.covers(*where)), None)
        if level is None:
            unpriced[seat.section] = None
            continue
        chosen[where] = level
        used.add(level.name)
        priced.append(_event_seat(seat, level))
    if unpriced:
        raise BadPriceLevelsError(f"No price level for seats in: {', '.join(unpriced)}.", sections=list(unpriced))
    idle = [level.name for level in levels if level.name not in used]
    if idle:
        raise BadPriceLevelsError(f"Price levels that no seat has: {', '.join(idle)}.", priceLevels=idle)
    return priced


def number_places(levels: Sequence[PriceLevel], *, first_place: int = 0) -> list[Area]:
    """Make the areas of general admission: each level is one, of places 1 to its quantity.

    ``first_place`` is the first that no seat has, in a hall with seats too.

    :raises BadPriceLevelsError: when a level has no quantity, or there are more places than an event can have.
    """
    _check_levels(levels)
    if any(not level.quantity or level.quantity < 1 for level in levels):
        raise BadPriceLevelsError("Without a seat map every price level needs a quantity of at least 1.")
    if first_place + sum(level.quantity or 0 for level in levels) > MAX_PLACES:
        raise BadPriceLevelsError(f"An event has at most {MAX_PLACES} places.")
    return list(_areas(levels, first_place))


def _areas(levels: Sequence[PriceLevel], first_place: int) -> Iterator[Area]:
    for level in levels:
        capacity = level.quantity or 0
        yield Area(name=level.name, first_place=first_place, capacity=capacity, price=level.price)
        first_place += capacity


def _check_levels(levels: Sequence[PriceLevel]) -> None:
    names = [level.name for level in levels]
    if not levels:
        raise BadPriceLevelsError("At least one price level is needed.")
    if len(set(names)) != len(names):
        raise BadPriceLevelsError("Two price levels have the same name.")
    if any(level.price.minor < 0 for level in levels):
        raise BadPriceLevelsError("A price is never negative.")
    if len({level.price.currency for level in levels}) > 1:
        raise BadPriceLevelsError("The prices of one event are in one currency.")
    for level in levels:
        check_types(level.name, level.price, level.types)


def _event_seat(seat: MapSeat, level: PriceLevel) -> EventSeat:
    return EventSeat(
        place=seat.place, section=seat.section, row=seat.row, number=seat.number, block=seat.block,
        position=seat.position, mark=seat.mark, price_level=level.name, external_id=None, price=level.price,
        spot=seat.spot,
    )  # fmt: skip
