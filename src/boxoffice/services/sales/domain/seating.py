"""A house as best available sees it: its ordinary seats as bits, neighbours side by side, and how far each is.

Immutable while the event's seats are, so that it is worked out once; how the seats stand at the moment is one integer.
Keeps that two bits touch if and only if their seats are neighbours: same section, row and block, positions one apart,
neither of them a place for a wheelchair or a companion, nor without a row.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import isqrt
from operator import sub
from typing import NamedTuple

from boxoffice.services.sales.domain.orphans import APART

PITCH = 100
"""Tenths of a drawing unit from one seat to the next: the measure of every distance here."""
ROW_PITCH = 120
AISLE = 190
OPEN = ord("1")
NOT_OPEN = b"0"


class PlacedSeat(NamedTuple):
    """One event seat, in the order of places. ``x``, ``y``: from the focus of the map in tenths of a drawing unit."""

    section: str
    row: str
    block: int
    position: int
    price_level: str | None = None
    mark: str | None = None
    x: int | None = None
    y: int | None = None

    @property
    def has_neighbours(self) -> bool:
        """Whether it can stand beside another; a place without a row (an organiser's own list) stands by itself."""
        return self.row != "" and self.mark not in APART


@dataclass(frozen=True, slots=True)
class Segment:
    """Seats side by side: from bit ``slot`` and from seat number ``seat`` on, in row number ``row`` of the house."""

    slot: int
    seat: int
    length: int
    row: int


class Seating:
    """The ordinary seats of one event, each with a bit (its slot), and every way to sit side by side by distance."""

    def __init__(self, seats: Sequence[PlacedSeat]) -> None:
        self.seats = len(seats)
        self.segments = _segments(seats)
        last = self.segments[-1] if self.segments else Segment(0, 0, 0, 0)
        self.size = last.slot + last.length
        """How many bits there are, the gaps between segments included."""
        self.seat_of = array("l", [-1]) * self.size
        self.row_of = array("l", [-1]) * self.size
        self.x, self.y, self.distance = (array("l", [0]) * self.size for _ in range(3))
        self.levels: dict[str, int] = {}
        self.sections: dict[str, int] = {}
        self.section_of_row = _sections_of_rows(seats)
        self._place(seats)
        self._x_sums = array("l", [0, *accumulate(self.x)])
        self._y_sums = array("l", [0, *accumulate(self.y)])
        self._starts: dict[int, array[int]] = {}
        self._costs: dict[int, array[int]] = {}

    def bits(self, open_seats: bytes) -> int:
        """Turn one character a seat in the order of places (``1``: open) into one bit a slot."""
        text = bytearray(NOT_OPEN) * self.size
        for segment in self.segments:
            text[segment.slot : segment.slot + segment.length] = open_seats[
                segment.seat : segment.seat + segment.length
            ]
        text.reverse()
        return int(bytes(text) or NOT_OPEN, 2)

    def flags(self, bits: int) -> bytes:
        """Spell bits out again: one byte a slot, 0 or 1."""
        return f"{bits:0{self.size}b}".encode()[::-1].translate(ZERO_ONE)

    def starts(self, length: int) -> "array[int]":
        """List where ``length`` seats side by side can begin, nearest to the focus first, then in reading order."""
        if length not in self._starts:
            costs = self.costs(length)
            every = (slot for one in self.segments for slot in range(one.slot, one.slot + one.length - length + 1))
            self._starts[length] = array("l", sorted(every, key=costs.__getitem__))
        return self._starts[length]

    def costs(self, length: int) -> "array[int]":
        """Give by slot the distances from the focus of the ``length`` seats that begin there, added up."""
        if length not in self._costs:
            sums = [0, *accumulate(self.distance)]
            self._costs[length] = array("l", map(sub, sums[length:], sums))
        return self._costs[length]

    @cached_property
    def rows(self) -> list[list[Segment]]:
        """The segments of every row of the house."""
        found: list[list[Segment]] = [[] for _ in self.section_of_row]
        for segment in self.segments:
            found[segment.row].append(segment)
        return found

    def neighbour_rows(self, row: int) -> list[int]:
        """Give the rows before and behind a row, in the same section."""
        return [
            near
            for near in (row - 1, row + 1)
            if 0 <= near < len(self.section_of_row) and self.section_of_row[near] == self.section_of_row[row]
        ]

    def middle(self, slot: int, length: int) -> tuple[int, int]:
        """Give the middle of a run times its length: the coordinates of its seats, added up."""
        end = slot + length
        return self._x_sums[end] - self._x_sums[slot], self._y_sums[end] - self._y_sums[slot]

    def _place(self, seats: Sequence[PlacedSeat]) -> None:
        levels: dict[str, bytearray] = {}
        sections: dict[str, bytearray] = {}
        spots = _spots(seats)
        for segment in self.segments:
            for step in range(segment.length):
                slot, at = segment.slot + step, segment.seat + step
                seat = seats[at]
                self.seat_of[slot], self.row_of[slot] = at, segment.row
                self.x[slot], self.y[slot] = spots[at]
                self.distance[slot] = isqrt(self.x[slot] ** 2 + self.y[slot] ** 2)
                if seat.price_level is not None:
                    levels.setdefault(seat.price_level, bytearray(NOT_OPEN) * self.size)[slot] = OPEN
                sections.setdefault(seat.section, bytearray(NOT_OPEN) * self.size)[slot] = OPEN
        self.levels = {name: int(text[::-1], 2) for name, text in levels.items()}
        self.sections = {name: int(text[::-1], 2) for name, text in sections.items()}


ZERO_ONE = bytes.maketrans(b"01", b"\0\1")


def _segments(seats: Sequence[PlacedSeat]) -> list[Segment]:
    """Cut the seats where two that follow each other are no neighbours; one bit is left free between two segments."""
    found: list[Segment] = []
    row = slot = start = 0
    for at, seat in enumerate(seats):
        after = seats[at + 1] if at + 1 < len(seats) else None
        if after is not None and _are_neighbours(seat, after):
            continue
        if seat.mark not in APART:
            found.append(Segment(slot, start, at + 1 - start, row))
            slot += at + 2 - start
        start = at + 1
        if after is not None and (after.section, after.row) != (seat.section, seat.row):
            row += 1
    return found


def _are_neighbours(left: PlacedSeat, right: PlacedSeat) -> bool:
    """Whether two ordinary seats that follow each other stand side by side."""
    return (
        (left.section, left.row, left.block, left.position + 1)
        == (right.section, right.row, right.block, right.position)
        and left.has_neighbours
        and right.has_neighbours
    )


def _sections_of_rows(seats: Sequence[PlacedSeat]) -> list[str]:
    found = [seats[0].section] if seats else []
    for before, seat in pairwise(seats):
        if (before.section, before.row) != (seat.section, seat.row):
            found.append(seat.section)
    return found


def _spots(seats: Sequence[PlacedSeat]) -> list[tuple[int, int]]:
    """Give where every seat is; a house that was never drawn stands in straight rows behind each other, centred."""
    if all(seat.x is not None and seat.y is not None for seat in seats):
        return [(seat.x or 0, seat.y or 0) for seat in seats]
    found: list[tuple[int, int]] = []
    row: list[int] = []
    depth = 0
    for at, seat in enumerate(seats):
        before = seats[at - 1] if at else None
        if before is None or (before.section, before.row) != (seat.section, seat.row):
            found += [(x - row[-1] // 2, depth) for x in row]
            row, depth = [0], depth + ROW_PITCH
        else:
            row.append(row[-1] + (PITCH if before.block == seat.block else AISLE))
    return found + [(x - row[-1] // 2, depth) for x in row]
