"""A seat map taken apart for drawing: sections, rows, blocks, and the columns of blocks that stand behind each other.

Keeps that every seat of the map is in exactly one row, so that a drawing built from a plan misses none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

WHEELCHAIR = "wheelchair"
KEPT = "management"
"""The mark of a place that the house keeps and never sells: hatched in the drawing."""
MOST_BOX_SEATS = 24
"""A section whose rows are no larger and all start at seat 1 is a set of boxes, not rows behind each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One place of a seat map. ``block`` counts the blocks of its row, from 0 at the audience's left."""

    place: int
    section: str
    row: str
    number: str
    block: int
    mark: str | None = None


Block = tuple[Seat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its label and its blocks from the audience's left."""

    label: str
    blocks: tuple[Block, ...]

    @property
    def seats(self) -> list[Seat]:
        """Every seat from the audience's left."""
        return [seat for block in self.blocks for seat in block]

    @property
    def stands_apart(self) -> bool:
        """Whether it is a row of wheelchair places only, which stands behind the others whatever its numbers say."""
        return all(seat.mark == WHEELCHAIR for seat in self.seats)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section, rows from the front to the back."""

    name: str
    rows: tuple[Row, ...]

    @property
    def is_boxes(self) -> bool:
        """Whether its rows are boxes beside each other."""
        rows = [row for row in self.rows if not row.stands_apart]
        return all(
            len(row.blocks) == 1 and len(row.seats) <= MOST_BOX_SEATS and row.label.lower().startswith(("box", "loge"))
            for row in rows
        )


@dataclass(slots=True, kw_only=True)
class Column:
    """Blocks that stand behind each other between the same two aisles: row index -> blocks of that row."""

    rows: dict[int, list[Block]] = field(default_factory=dict)

    def add(self, row: int, block: Block) -> None:
        """Put one block into the column."""
        self.rows.setdefault(row, []).append(block)


def sections(seats: Iterable[Seat]) -> list[Section]:
    """Group the seats of a map, given in reading order, into sections and rows."""
    found = []
    for name, of_section in groupby(seats, key=lambda seat: seat.section):
        rows = []
        for label, of_row in groupby(of_section, key=lambda seat: seat.row):
            blocks = [tuple(block) for _, block in groupby(of_row, key=lambda seat: seat.block)]
            rows.append(Row(label=label, blocks=tuple(blocks)))
        found.append(Section(name=name, rows=tuple(rows)))
    return found


def columns_by_number(rows: Sequence[Row]) -> list[Column]:
    """Find the columns of a section whose numbers run on from block to block.

    Two blocks share a column when their ranges of numbers overlap. A block without numbers belongs to the block at its
    left. A section whose rows count anew in every block gives one column a row would break, so it falls back to the
    order of the blocks.
    """
    spans = sorted(span for row in rows for block in row.blocks if (span := numbers(block)))
    merged: list[list[int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    if len(merged) < max(len(row.blocks) for row in rows) / 2:
        return columns_by_order(rows)
    columns = [Column() for _ in merged]
    for index, row in enumerate(rows):
        current = 0
        for block in row.blocks:
            if span := numbers(block):
                current = next(at for at, (first, last) in enumerate(merged) if first <= span[0] <= last)
            columns[current].add(index, block)
    return columns


def columns_by_order(rows: Sequence[Row]) -> list[Column]:
    """Find the columns of a section by counting blocks from the left; a row with fewer blocks stands in the middle."""
    width = max(len(row.blocks) for row in rows)
    columns = [Column() for _ in range(width)]
    for index, row in enumerate(rows):
        offset = (width - len(row.blocks)) // 2
        for at, block in enumerate(row.blocks):
            columns[offset + at].add(index, block)
    return columns


def numbers(block: Block) -> tuple[int, int] | None:
    """Give the lowest and the highest number of a block; none when no label is a number."""
    found = [int(seat.number) for seat in block if seat.number.isdecimal()]
    return (min(found), max(found)) if found else None


def gap_before(left: Block, right: Block) -> int:
    """Count the seats that would fit between two blocks of one column: the numbers left out, at least one."""
    before, after = numbers(left), numbers(right)
    return max(1, after[0] - before[1] - 1) if before and after else 1
