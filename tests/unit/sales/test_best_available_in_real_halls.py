"""Ten thousand requests in the two published halls, filling and emptying them: best available and the no-orphan rule
say what trying everything says (``tests/support/best_reference.py`` shares no code with them)."""

import random
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest
from tests.support.best_reference import House, Seat

from boxoffice.contracts.hall import Hall
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.best_available import BestWish, choose
from boxoffice.services.sales.domain.orphans import stranded
from boxoffice.services.sales.domain.prices import PriceLevel, SeatMatch
from boxoffice.services.sales.domain.seating import PlacedSeat, Seating
from boxoffice.services.sales.usecases.create_event_seats import price_hall

pytestmark = pytest.mark.thorough

HALLS = Path(__file__).parents[3] / "data" / "halls"
NAMES = ["hk-city-hall-theatre", "hk-cultural-centre-concert-hall"]
PARTS, REQUESTS = 5, 1000
"""Of each hall: 2 x 5 x 1,000 requests."""


@cache
def opened(name: str) -> tuple[Seating, House]:
    """Both views of a hall with two price levels, the front rows of its first section the dearer one."""
    hall = msgspec.json.decode((HALLS / f"{name}.json").read_bytes(), type=Hall)
    front = hall.sections[0]
    first = SeatMatch(section=front.name, rows=frozenset(row.row for row in front.rows[:8]))
    levels = [
        PriceLevel(name="Rest", price=Money(1, "USD")),
        PriceLevel(name="First", price=Money(2, "USD"), seats=[first]),
    ]
    priced = price_hall(hall, levels[::-1])
    placed = [
        PlacedSeat(s.section, s.row, s.block, s.position, s.price_level, s.mark, *(s.spot or (None, None)))
        for s in priced
    ]
    assert all(seat.x is not None for seat in placed)
    return Seating(placed), House([Seat(*seat[:6], seat.x or 0, seat.y or 0) for seat in placed])


def bits_of(seating: Seating, seats: set[int]) -> int:
    return seating.bits(bytes(ord("1") if at in seats else ord("0") for at in range(seating.seats)))


def seats_at(seating: Seating, bits: int) -> set[int]:
    return {seating.seat_of[slot] for slot, flag in enumerate(seating.flags(bits)) if flag}


class History:
    """One house being sold: takes what was offered, gives some back, and tries choices of its own."""

    def __init__(self, name: str, part: int) -> None:
        self.seating, self.house = opened(name)
        self.rnd = random.Random(f"{name}:{part}")
        self.open = set(range(self.seating.seats))
        self.sections = sorted(self.seating.sections)
        self.groups: list[set[int]] = []
        self.seen: Counter[str] = Counter()
        for _ in range(self.rnd.choice([0, self.seating.seats // 4, self.seating.seats // 2])):
            self.open.discard(self.rnd.randrange(self.seating.seats))  # sold before, anywhere

    def ask(self) -> None:
        """Let both choose for one wish; what they agree on is mostly taken."""
        rnd = self.rnd
        quantity, together, rule = rnd.choice([1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 8]), rnd.random() < 0.2, rnd.random() < 0.9
        level, section = rnd.choice([None, None, "First", "Rest"]), rnd.choice([None, None, None, *self.sections])
        wish = BestWish(quantity=quantity, price_level=level, section=section, together=together)
        found = choose(self.seating, bits_of(self.seating, self.open), wish, no_orphans=rule)
        expected = self.house.best(self.open, quantity, level=level, section=section, together=together, rule=rule)
        got = None if found is None else (found.arrangement.value, list(found.seats))
        assert got == (None if expected is None else (expected[0], sorted(expected[1]))), (wish, rule)
        self.seen[got[0] if got else "none"] += 1
        if got is not None:
            self.open -= set(got[1])
            self.groups.append(set(got[1]))
        elif self.groups:
            self.give_back(8)

    def try_own_choice(self) -> None:
        """Let both judge seats that somebody chose: mostly side by side, some anywhere."""
        ordinary = [at for at in sorted(self.open) if not self.house.seats[at].is_apart]
        if len(ordinary) < 8:
            return
        start = self.rnd.choice(ordinary)
        taken = {at for at in range(start, start + self.rnd.randint(1, 4)) if at in self.open}
        taken = {at for at in taken if not self.house.seats[at].is_apart} | set(
            self.rnd.sample(ordinary, self.rnd.choice([0, 0, 1]))
        )
        alone = stranded(bits_of(self.seating, self.open), bits_of(self.seating, taken))
        assert seats_at(self.seating, alone) == self.house.stranded(self.open, taken), taken
        self.seen["refused" if alone else "allowed"] += 1

    def give_back(self, most: int) -> None:
        for _ in range(min(most, len(self.groups))):
            self.open |= self.groups.pop(self.rnd.randrange(len(self.groups)))


class TestRealHalls:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("part", range(PARTS))
    def test_every_choice_and_every_refusal_is_what_trying_everything_says(self, name: str, part: int) -> None:
        history = History(name, part)
        for _ in range(REQUESTS):
            history.ask()
            history.try_own_choice()
            if history.rnd.random() < 0.1:
                history.give_back(1)
        seen = history.seen
        assert sum(seen.values()) >= REQUESTS
        assert all(seen[kind] for kind in ("together", "together_leaving_one", "none", "refused", "allowed")), seen
        assert any(seen[kind] for kind in ("two_rows", "pairs", "split")), seen
