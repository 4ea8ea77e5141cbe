"""The seat map format ``hall/1``: sections, rows, blocks of seat labels, marks.

A block is a comma-separated list of labels and ranges (``"1-14,X1,X2"``) in order from the audience's left; the gap
between two blocks is an aisle. Two seats are neighbours when they stand side by side in one block. A map has no
coordinates. The place number of a seat is its 0-based position in reading order over the whole map.
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

FORMAT = "hall/1"
RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
LABEL = re.compile(r"[A-Za-z0-9.]{1,10}")
MAX_SEATS = 200_000
"""More places than the largest stadium has; a map beyond it is a mistake or an attack."""
NEVER_SOLD = "management"
"""The mark of a place that the house keeps and never sells."""


class BadHallError(ValueError):
    """A seat map that cannot be read; the text says where."""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row: its label, its blocks from the audience's left, and the marks of single seats by label."""

    row: str
    blocks: tuple[str, ...]
    marks: dict[str, str] = {}


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One section, rows from the front to the back."""

    name: str
    rows: tuple[Row, ...]


class Hall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seat map as published, with the totals that an importer must reproduce."""

    format: Literal["hall/1"]
    name: str
    sections: tuple[Section, ...]
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None
    stage: str = "front"
    seat_1_side: str = "left"
    credit: str = ""
    marks: dict[str, str] = {}
    published_totals: dict[str, int] = {}
    counting: str = ""
    standing: dict[str, int | str] | None = None


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a map. ``block`` counts the blocks of its row, ``position`` the seats of its block, both from 0."""

    place: int
    section: str
    row: str
    number: str
    block: int
    position: int
    mark: str | None = None

    @property
    def sellable(self) -> bool:
        """Whether the place may ever be sold."""
        return self.mark != NEVER_SOLD


def labels(block: str) -> list[str]:
    """Spell out a block (``"1-3,X1"`` gives 1, 2, 3, X1).

    :raises BadHallError: when a part is neither a label nor a range that grows, or there are too many: a few bytes of
        ranges can stand for more places than there is memory.
    """
    found: list[str] = []
    for part in block.split(","):
        text = part.strip()
        if match := RANGE.fullmatch(text):
            first, last = int(match[1]), int(match[2])
            if last < first:
                raise BadHallError(f"the range {text!r} runs backwards")
            if len(found) + last - first >= MAX_SEATS:
                raise BadHallError(f"a block has more than {MAX_SEATS} places")
            found.extend(str(number) for number in range(first, last + 1))
        elif LABEL.fullmatch(text):
            found.append(text)
        else:
            raise BadHallError(f"{text!r} is neither a seat label nor a range such as 1-14")
    return found


def seats(hall: Hall) -> Iterator[Seat]:
    """Walk through every place of a map in reading order.

    :raises BadHallError: when a block cannot be read, a seat stands twice, a mark names no seat, or there are too many.
    """
    place = 0
    seen: set[tuple[str, str, str]] = set()
    for section in hall.sections:
        for row in section.rows:
            unused = set(row.marks)
            for index, block in enumerate(row.blocks):
                for position, label in enumerate(labels(block)):
                    where = (section.name, row.row, label)
                    if where in seen:
                        raise BadHallError(f"{section.name}, row {row.row}: seat {label} stands twice")
                    if place >= MAX_SEATS:
                        raise BadHallError(f"the map has more than {MAX_SEATS} places")
                    seen.add(where)
                    unused.discard(label)
                    yield Seat(
                        place=place, section=section.name, row=row.row, number=label,
                        block=index, position=position, mark=row.marks.get(label),
                    )  # fmt: skip
                    place += 1
            if unused:
                raise BadHallError(
                    f"{section.name}, row {row.row}: marks for seats that are not there: {sorted(unused)}"
                )
