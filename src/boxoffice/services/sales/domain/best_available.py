"""Best available: which n seats to offer, nearest to the focus of the map, in a stated order of fallbacks.

The order is :class:`Arrangement`; the first that can be had is taken, and the answer says which it was. Nearest means
the least sum of the seats' distances from the focus; of two equal ones the first in reading order (section, row,
position) wins, so that the same house gives the same answer everywhere. A price level and a section are conditions,
never widened. With the no-orphan rule on, nothing is offered that the rule would refuse (``domain/orphans.py``).
Places for wheelchairs and companions are not offered: they are chosen by name.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import compress

from boxoffice.services.sales.domain.orphans import leaves_nothing_alone, permitted, runs
from boxoffice.services.sales.domain.seating import PITCH, Seating

BEHIND = 5 * PITCH // 2
"""Two groups in neighbouring rows sit behind each other when their middles are at most this far apart: a row, and two
seats sideways."""
SMALLEST_OF_PAIRS = 4
"""Fewer people cannot be split so that nobody sits alone."""


class Arrangement(StrEnum):
    """How the seats of an answer lie, in the order in which they are tried."""

    TOGETHER = "together"
    """Side by side, and nobody is left with a single seat."""
    TOGETHER_LEAVING_ONE = "together_leaving_one"
    """Side by side; a single seat is left where no choice of as many seats beside each other could avoid it."""
    TWO_ROWS = "two_rows"
    """Two halves in neighbouring rows of one section, one behind the other."""
    PAIRS = "pairs"
    """Pairs (one group of three when the number is odd): the first nearest to the focus, the others nearest to it."""
    SPLIT = "split"
    """As few groups as possible, the largest first: the first nearest to the focus, the others nearest to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestWish:
    """What is looked for; ``together``: side by side or not at all."""

    quantity: int
    price_level: str | None = None
    section: str | None = None
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The seats to offer, as numbers in the order of places, and how they lie; ``slots`` has their bits set."""

    seats: tuple[int, ...]
    arrangement: Arrangement
    slots: int


def choose(seating: Seating, open_seats: int, wish: BestWish, *, no_orphans: bool) -> Choice | None:
    """Choose the best seats of those that are open (:meth:`Seating.bits`); none when the wish cannot be met."""
    search = _Search(seating, open_seats, _eligible(seating, open_seats, wish), no_orphans=no_orphans)
    beside = search.together(wish.quantity)
    if beside is not None or wish.together or wish.quantity == 1:
        return beside
    return search.two_rows(wish.quantity) or search.pairs(wish.quantity) or search.split(wish.quantity)


def _eligible(seating: Seating, open_seats: int, wish: BestWish) -> int:
    if wish.price_level is not None:
        open_seats &= seating.levels.get(wish.price_level, 0)
    if wish.section is not None:
        open_seats &= seating.sections.get(wish.section, 0)
    return open_seats


class _Search:
    """One search: the house, what is open, and what of it may be offered (``eligible``)."""

    def __init__(self, seating: Seating, open_seats: int, eligible: int, *, no_orphans: bool) -> None:
        self.seating, self.open, self.eligible, self.no_orphans = seating, open_seats, eligible, no_orphans

    def together(self, quantity: int) -> Choice | None:
        """Look for one run."""
        every = runs(self.eligible, quantity)
        if not self.no_orphans:
            return self._nearest(every, quantity, Arrangement.TOGETHER)
        return self._nearest(
            leaves_nothing_alone(self.open, every, quantity), quantity, Arrangement.TOGETHER
        ) or self._nearest(permitted(self.open, every, quantity), quantity, Arrangement.TOGETHER_LEAVING_ONE)

    def two_rows(self, quantity: int) -> Choice | None:
        """Look for two halves behind each other: the larger one in either of two neighbouring rows."""
        larger, smaller = (quantity + 1) // 2, quantity // 2
        first, second = self.permitted_starts(larger, self.eligible), self.permitted_starts(smaller, self.eligible)
        if not first or not second:
            return None
        large, small = self.seating.flags(first), self.seating.flags(second)
        large_costs, small_costs = self.seating.costs(larger), self.seating.costs(smaller)
        least = min(compress(small_costs, small))
        best: tuple[int, int, int] | None = None
        for slot in compress(order := self.seating.starts(larger), map(large.__getitem__, order)):
            cost = large_costs[slot]
            if best and cost + least > best[0]:
                break
            for near in self._behind(slot, larger, small, smaller):
                found = (cost + small_costs[near], slot, near)
                best = min(best, found) if best else found
        return best and self.choice([(best[1], larger), (best[2], smaller)], Arrangement.TWO_ROWS)

    def pairs(self, quantity: int) -> Choice | None:
        """Look for pairs in different islands; three stay together when the number is odd."""
        if quantity < SMALLEST_OF_PAIRS:
            return None
        sizes = [3] * (quantity % 2) + [2] * (quantity // 2 - quantity % 2)
        groups = _Groups(self)
        return groups.choice(Arrangement.PAIRS) if all(map(groups.add, sizes)) else None

    def split(self, quantity: int) -> Choice | None:
        """Take the largest groups that there are, each from another island, until there are enough."""
        groups = _Groups(self)
        left = quantity
        while left:
            size = next((size for size in range(left, 0, -1) if groups.add(size)), 0)
            if not size:
                return None
            left -= size
        return groups.choice(Arrangement.SPLIT)

    def permitted_starts(self, length: int, eligible: int) -> int:
        """Mark where ``length`` of the eligible seats may be taken."""
        every = runs(eligible, length)
        return permitted(self.open, every, length) if self.no_orphans else every

    def _nearest(self, starts: int, length: int, arrangement: Arrangement) -> Choice | None:
        slot = self.nearest_to_focus(starts, length)
        return None if slot is None else self.choice([(slot, length)], arrangement)

    def nearest_to_focus(self, starts: int, length: int) -> int | None:
        """Give the first of some starts in the order of distance."""
        if not starts:
            return None
        order = self.seating.starts(length)
        return next(compress(order, map(self.seating.flags(starts).__getitem__, order)), None)

    def _behind(self, slot: int, length: int, starts: bytes, other: int) -> list[int]:
        """List where a group of ``other`` seats can begin in a row beside, its middle near this group's middle."""
        seating = self.seating
        x, y = seating.middle(slot, length)
        found = []
        for row in seating.neighbour_rows(seating.row_of[slot]):
            for segment in seating.rows[row]:
                near = segment.slot - 1
                end = segment.slot + segment.length
                while (near := starts.find(1, near + 1, end)) >= 0:
                    near_x, near_y = seating.middle(near, other)
                    apart = (x * other - near_x * length) ** 2 + (y * other - near_y * length) ** 2
                    if apart <= (BEHIND * length * other) ** 2:
                        found.append(near)
        return found

    def choice(self, groups: list[tuple[int, int]], arrangement: Arrangement) -> Choice:
        """Put groups (slot, length) together to an answer."""
        slots = 0
        seats: list[int] = []
        for slot, length in groups:
            slots |= ((1 << length) - 1) << slot
            seats.extend(self.seating.seat_of[slot : slot + length])
        return Choice(seats=tuple(sorted(seats)), arrangement=arrangement, slots=slots)


class _Groups:
    """Groups being put together, at most one from each island: so each keeps the rule on its own."""

    def __init__(self, search: _Search) -> None:
        self.search = search
        self.eligible = search.eligible
        self.found: list[tuple[int, int]] = []

    def add(self, length: int) -> bool:
        """Add the group of that length nearest to the first group (the first: to the focus); false if there is none."""
        starts = self.search.permitted_starts(length, self.eligible)
        slot = self._nearest(starts, length) if self.found else self.search.nearest_to_focus(starts, length)
        if slot is None:
            return False
        self.found.append((slot, length))
        self.eligible &= ~self._island(slot)
        return True

    def choice(self, arrangement: Arrangement) -> Choice:
        """Give what was put together."""
        return self.search.choice(self.found, arrangement)

    def _nearest(self, starts: int, length: int) -> int | None:
        """Give the start whose group's middle is nearest to the first group's middle; the first one of equals."""
        seating = self.search.seating
        (first, size), *_ = self.found
        x, y = (value * length for value in seating.middle(first, size))

        def apart(slot: int) -> int:
            near_x, near_y = seating.middle(slot, length)
            return (x - near_x * size) ** 2 + (y - near_y * size) ** 2

        return min(compress(range(seating.size), seating.flags(starts)), key=apart, default=None) if starts else None

    def _island(self, slot: int) -> int:
        """Mark the open seats around a slot."""
        text = self.search.seating.flags(self.search.open)
        first = text.rfind(0, 0, slot) + 1
        end = text.find(0, slot)
        return ((1 << (end if end >= 0 else len(text))) - 1) ^ ((1 << first) - 1)
