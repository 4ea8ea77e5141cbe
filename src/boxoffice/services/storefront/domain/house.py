"""An event's house for its page: which price level each place has, and what is free, from what the API lists.

A price level is told by its number in order of price; places without an event seat have none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

FREE, HELD, SOLD, BLOCKED = range(4)
"""The two bits of a place in the availability answer."""
STATE_WORDS = ("available", "held by somebody", "sold", "not for sale")
NO_LEVEL = "-"
LEVEL_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""One letter a place; a house with more price levels shows the rest as the last one."""
CHOICE_LIMIT = 8
"""At most so many seats in one call (the API's bound too)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeat:
    """One sellable place as the API lists it; ``price`` is a decimal string."""

    place: int
    section: str
    row: str
    number: str
    price: str
    currency: str
    price_level: str
    mark: str | None = None
    notice: str | None = None

    @property
    def is_in_area(self) -> bool:
        """Whether this is a place of general admission: it has no row, and its area is its section and price level."""
        return not self.row and bool(self.section) and self.section == self.price_level


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A price level of an event: its name, its price, how many places it has, whether it is general admission."""

    name: str
    price: str
    currency: str
    places: int
    is_area: bool = False
    types: tuple[tuple[str, str], ...] = ()
    """What it is sold as, if not all at one price: names and prices, the standard one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What an event's page needs of its seats, fixed while the prices are."""

    levels: tuple[Level, ...]
    letters: str
    """The level of each place as one letter of :data:`LEVEL_DIGITS`, or :data:`NO_LEVEL`."""
    seats: tuple[EventSeat, ...]

    @property
    def notices(self) -> dict[int, str]:
        """What is told of places with a limited view, by place."""
        return {seat.place: seat.notice for seat in self.seats if seat.notice}

    @property
    def has_areas(self) -> bool:
        """Whether there is general admission."""
        return any(level.is_area for level in self.levels)

    @property
    def currency(self) -> str:
        """The currency of every price; empty when nothing is sold."""
        return self.levels[0].currency if self.levels else ""


def arrange(seats: Iterable[EventSeat], types: Mapping[str, tuple[tuple[str, str], ...]] | None = None) -> House:
    """Arrange the seats of an event by price level, the dearest first, and note the level of each place.

    Places of general admission are counted only: they have no letter, and are not among the seats. ``types`` are the
    ticket types of price levels, by level.
    """
    listed: list[EventSeat] = []
    counts: dict[tuple[str, str, str], int] = {}
    areas: set[tuple[str, str, str]] = set()
    for seat in sorted(seats, key=lambda seat: seat.place):
        key = (seat.price_level, seat.price, seat.currency)
        counts[key] = counts.get(key, 0) + 1
        if seat.is_in_area:
            areas.add(key)
        else:
            listed.append(seat)
    ordered = sorted(counts, key=lambda key: (-Decimal(key[1]), key[0]))
    number = {key: min(index, len(LEVEL_DIGITS) - 1) for index, key in enumerate(ordered)}
    letters = [NO_LEVEL] * (listed[-1].place + 1 if listed else 0)
    for seat in listed:
        letters[seat.place] = LEVEL_DIGITS[number[seat.price_level, seat.price, seat.currency]]
    levels = tuple(
        Level(
            name=key[0], price=key[1], currency=key[2], places=counts[key], is_area=key in areas,
            types=(types or {}).get(key[0], ()),
        )
        for key in ordered
    )  # fmt: skip
    return House(levels=levels, letters="".join(letters), seats=tuple(listed))


def unpack(states: bytes, places: int) -> list[int]:
    """Read the two bits of each place; place 0 is in the lowest bits of byte 0."""
    return [
        states[place >> 2] >> 2 * (place & 3) & 3 if place >> 2 < len(states) else BLOCKED for place in range(places)
    ]


def with_opened(states: Sequence[int], opened: Iterable[int]) -> list[int]:
    """Show places as free that are closed to everybody but this visitor, whose access code opens them."""
    found = list(states)
    for place in opened:
        if place < len(found) and found[place] == BLOCKED:
            found[place] = FREE
    return found


def free_by_level(house: House, states: Sequence[int], in_areas: Mapping[str, int] | None = None) -> list[int]:
    """Count the free places of each price level; ``in_areas`` has those of general admission, by level."""
    counts = [0] * len(house.levels)
    for place, letter in enumerate(house.letters):
        if letter != NO_LEVEL and place < len(states) and states[place] == FREE:
            counts[LEVEL_DIGITS.index(letter)] += 1
    areas = in_areas or {}
    return [
        areas.get(level.name, 0) if level.is_area else count for level, count in zip(house.levels, counts, strict=True)
    ]


def read_choice(texts: Iterable[str], *, places: int) -> tuple[int, ...]:
    """Read chosen places from a form or an address; what is no place of the house is left out, and what is too many."""
    found: dict[int, None] = {}
    for text in texts:
        for part in text.split(",")[: 4 * CHOICE_LIMIT]:
            if part.isascii() and part.isdecimal() and len(part) <= 7 and int(part) < places:  # noqa: PLR2004 - 2**20
                found[int(part)] = None
    return tuple(found)[:CHOICE_LIMIT]


def rows_of(seats: Sequence[EventSeat]) -> Mapping[str, Mapping[str, list[EventSeat]]]:
    """Group seats by section and row, in the order of the house."""
    grouped: dict[str, dict[str, list[EventSeat]]] = {}
    for seat in seats:
        grouped.setdefault(seat.section, {}).setdefault(seat.row, []).append(seat)
    return grouped
