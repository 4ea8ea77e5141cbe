"""Best available and the no-orphan rule once more, by trying everything: what the quick ones are held against.

Works on plain lists of seats and sets of open ones; shares nothing with ``services/sales/domain`` but the words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from math import isqrt

Run = list[int]
"""Neighbours from the left, as numbers in reading order."""
APART = {"wheelchair", "companion"}
REACH = 250
"""Tenths of a drawing unit between the middles of two groups that sit behind each other."""


@dataclass(frozen=True)
class Seat:
    """A seat by name and place, its coordinates from the focus."""

    section: str
    row: str
    block: int
    position: int
    level: str | None
    mark: str | None
    x: int
    y: int

    @property
    def far(self) -> int:
        return isqrt(self.x**2 + self.y**2)

    @property
    def is_apart(self) -> bool:
        return self.mark in APART


@cache
def avoidable(island: int, taken: int) -> bool:
    """Whether any choice of so many seats in an island of that length leaves no seat alone."""
    return any(
        not lonely(set(range(island)) - set(choice), set(range(island)))
        for choice in combinations(range(island), taken)
    )


def lonely(left: set[int], island: set[int]) -> set[int]:
    """Seats with no neighbour among those left, that had one in the island."""
    return {
        seat
        for seat in left
        if not {seat - 1, seat + 1} & left and {seat - 1, seat + 1} & island
    }  # fmt: skip


class House:
    """Seats in reading order; ``open_seats`` are numbers in that order."""

    def __init__(self, seats: list[Seat]) -> None:
        self.seats = seats
        self.number = {(s.section, s.row, s.block, s.position): at for at, s in enumerate(seats) if not s.is_apart}
        self.right = [self.number.get((s.section, s.row, s.block, s.position + 1)) for s in seats]
        self.left = [self.number.get((s.section, s.row, s.block, s.position - 1)) for s in seats]
        for at, seat in enumerate(seats):
            if seat.is_apart:
                self.left[at] = self.right[at] = None
        rows = list(dict.fromkeys((s.section, s.row) for s in seats))
        self.next_rows = {
            row: [rows[near] for near in (at - 1, at + 1) if 0 <= near < len(rows) and rows[near][0] == row[0]]
            for at, row in enumerate(rows)
        }
        self.windows = {length: sorted(self._windows(length), key=self.rank) for length in range(1, 9)}
        """Every run of so many neighbours, nearest to the focus first, then in reading order."""

    def far(self, run: Run) -> int:
        return sum(self.seats[at].far for at in run)

    def rank(self, run: Run) -> tuple[int, int]:
        return self.far(run), run[0]

    def apart(self, one: Run, other: Run) -> int:
        """Square of the distance between two middles, times both numbers of seats, so that it stays whole."""
        xs, ys = (
            sum(getattr(self.seats[at], axis) for at in one) * len(other)
            - sum(getattr(self.seats[at], axis) for at in other) * len(one)
            for axis in "xy"
        )
        return int(xs**2 + ys**2)

    def _windows(self, length: int) -> list[Run]:
        found = []
        for at, seat in enumerate(self.seats):
            run = [at]
            while len(run) < length and (after := self.right[run[-1]]) is not None:
                run.append(after)
            if len(run) == length and not seat.is_apart:
                found.append(run)
        return found

    def row_of(self, run: Run) -> tuple[str, str]:
        return self.seats[run[0]].section, self.seats[run[0]].row

    def island(self, seat: int, open_seats: set[int]) -> Run:
        first = seat
        while (before := self.left[first]) is not None and before in open_seats:
            first = before
        found = [first]
        while (after := self.right[found[-1]]) is not None and after in open_seats:
            found.append(after)
        return found

    def stranded(self, open_seats: set[int], taken: set[int]) -> set[int]:
        """The seats that a request leaves alone although another choice of as many in the island leaves none."""
        found: set[int] = set()
        for start in taken:
            if self.seats[start].is_apart:
                continue
            island = self.island(start, open_seats)
            chosen = {at for at, seat in enumerate(island) if seat in taken}
            alone = lonely(set(range(len(island))) - chosen, set(range(len(island))))
            if alone and avoidable(len(island), len(chosen)):
                found |= {island[at] for at in alone}
        return found

    def leaves_one(self, open_seats: set[int], taken: set[int]) -> bool:
        island = self.island(min(taken), open_seats)
        chosen = {at for at, seat in enumerate(island) if seat in taken}
        return bool(lonely(set(range(len(island))) - chosen, set(range(len(island)))))

    def best(
        self,
        open_seats: set[int],
        quantity: int,
        *,
        level: str | None = None,
        section: str | None = None,
        together: bool = False,
        rule: bool = True,
    ) -> tuple[str, Run] | None:
        """What to offer, and the name of the arrangement; none when nothing fits."""
        wished = {
            at
            for at in open_seats
            if not self.seats[at].is_apart
            and level in (None, self.seats[at].level)
            and section in (None, self.seats[at].section)
        }
        search = Search(self, open_seats, wished, rule=rule)
        whole = list(search.allowed(quantity, wished))
        for run in whole:
            if not (rule and self.leaves_one(open_seats, set(run))):
                return "together", run
        if whole:
            return "together_leaving_one", whole[0]
        if together or quantity == 1:
            return None
        return search.two_rows(quantity) or search.pairs(quantity) or search.split(quantity)


@dataclass
class Search:
    """One search by trying everything."""

    house: House
    open_seats: set[int]
    wished: set[int]
    rule: bool = field(kw_only=True)

    def allowed(self, length: int, among: set[int]) -> Iterator[Run]:
        for run in self.house.windows[length]:
            if among.issuperset(run) and not (self.rule and self.house.stranded(self.open_seats, set(run))):
                yield run

    def two_rows(self, quantity: int) -> tuple[str, Run] | None:
        house = self.house
        small: dict[tuple[str, str], list[Run]] = {}
        for run in self.allowed(quantity // 2, self.wished):
            small.setdefault(house.row_of(run), []).append(run)
        found = [
            (house.far(one) + house.far(other), one[0], other[0], one + other)
            for one in self.allowed(quantity - quantity // 2, self.wished)
            for row in house.next_rows[house.row_of(one)]
            for other in small.get(row, [])
            if house.apart(one, other) <= (REACH * len(one) * len(other)) ** 2
        ]
        return ("two_rows", sorted(min(found)[3])) if found else None

    def pairs(self, quantity: int) -> tuple[str, Run] | None:
        groups: list[Run] = []
        left = set(self.wished)
        for size in pair_sizes(quantity):
            run = self.next_group(size, groups, left)
            if run is None:
                return None
            groups.append(run)
            left -= set(self.house.island(run[0], self.open_seats))
        return ("pairs", sorted(at for run in groups for at in run)) if groups else None

    def split(self, quantity: int) -> tuple[str, Run] | None:
        groups: list[Run] = []
        left, missing = set(self.wished), quantity
        while missing:
            sizes = (self.next_group(size, groups, left) for size in range(missing, 0, -1))
            run = next(filter(None, sizes), None)
            if run is None:
                return None
            groups.append(run)
            left -= set(self.house.island(run[0], self.open_seats))
            missing -= len(run)
        return "split", sorted(at for run in groups for at in run)

    def next_group(self, size: int, groups: list[Run], left: set[int]) -> Run | None:
        runs = self.allowed(size, left)
        if not groups:
            return next(runs, None)
        return min(runs, key=lambda run: (self.house.apart(groups[0], run), run[0]), default=None)


def pair_sizes(quantity: int) -> list[int]:
    """Twos, with one three in front when the number is odd; none for fewer than four."""
    if quantity < 4:
        return []
    return [2] * (quantity // 2) if quantity % 2 == 0 else [3] + [2] * ((quantity - 3) // 2)
