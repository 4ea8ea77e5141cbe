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


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A price level of an event: its name, its price, how many places it has."""

    name: str
    price: str
    currency: str
    places: int


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
    def currency(self) -> str:
        """The currency of every price; empty when nothing is sold."""
        return self.levels[0].currency if self.levels else ""


def arrange(seats: Iterable[EventSeat]) -> House:
    """Arrange the seats of an event by price level, the dearest first, and note the level of each place."""
    listed = sorted(seats, key=lambda seat: seat.place)
    counts: dict[tuple[str, str, str], int] = {}
    for seat in listed:
        key = (seat.price_level, seat.price, seat.currency)
        counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts, key=lambda key: (-Decimal(key[1]), key[0]))
    number = {key: min(index, len(LEVEL_DIGITS) - 1) for index, key in enumerate(ordered)}
    letters = [NO_LEVEL] * (listed[-1].place + 1 if listed else 0)
    for seat in listed:
        letters[seat.place] = LEVEL_DIGITS[number[seat.price_level, seat.price, seat.currency]]
    levels = tuple(
        Level(name=name, price=price, currency=currency, places=counts[name, price, currency])
        for name, price, currency in ordered
    )
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
    if in_areas:
        return [in_areas.get(level.name, 0) for level in house.levels]
    counts = [0] * len(house.levels)
    for place, letter in enumerate(house.letters):
        if letter != NO_LEVEL and place < len(states) and states[place] == FREE:
            counts[LEVEL_DIGITS.index(letter)] += 1
    return counts


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
