"""The no-orphan rule in its quick form says what trying every choice says."""

import random
from itertools import combinations

import pytest
from tests.support.best_reference import House, Seat, avoidable

from boxoffice.services.sales.domain.orphans import leaves_nothing_alone, permitted, runs, stranded


def bits(picture: str) -> int:
    """Read seats from the left: ``o`` open, anything else not."""
    return sum(1 << at for at, seat in enumerate(picture) if seat == "o")


def run_at(start: int, length: int) -> int:
    return ((1 << length) - 1) << start


class TestStranded:
    @pytest.mark.parametrize(
        ("row", "taken", "left"),
        [
            ("oooo", [1, 2], [0, 3]),  # a seat at either end, although two at one end would leave a pair
            ("oooo", [0, 1], []),
            ("ooo", [0, 1], []),  # one seat remains whatever is taken
            ("ooo", [0, 2], []),
            ("ooooo", [0, 2], [1]),  # a hole between two runs of one request
            ("oo.oo", [0, 3], []),  # two islands, in each of which one must remain
            ("o.ooooo", [3, 4], [2]),  # the single seat that was there before is nobody's fault
            ("ooooo", [2], []),
            ("oooooo", [1, 3, 5], [0, 2, 4]),
        ],
    )
    def test_names_the_seats_that_need_not_have_been_left_alone(
        self, row: str, taken: list[int], left: list[int]
    ) -> None:
        found = stranded(bits(row), sum(1 << at for at in taken))
        assert [at for at in range(len(row)) if found >> at & 1] == left

    @pytest.mark.parametrize("length", range(1, 11))
    def test_agrees_with_every_choice_in_every_island(self, length: int) -> None:
        house = House([Seat("S", "1", 0, at, None, None, at, 0) for at in range(length)])
        for number in range(1, length + 1):
            for taken in combinations(range(length), number):
                found = stranded(run_at(0, length), sum(1 << at for at in taken))
                assert {at for at in range(length) if found >> at & 1} == house.stranded(set(range(length)), set(taken))

    def test_is_avoidable_exactly_when_not_one_seat_remains(self) -> None:
        # What the short form of the rule rests on.
        for length in range(1, 12):
            assert [taken for taken in range(1, length + 1) if not avoidable(length, taken)] == [length - 1] * (
                length > 1
            )

    def test_agrees_with_every_choice_in_rows_with_gaps(self) -> None:
        rnd = random.Random(5)
        for _ in range(300):
            places = [at for at in range(30) if rnd.random() < 0.9]
            house = House([Seat("S", "1", 0, at, None, None, at, 0) for at in places])
            open_seats = {number for number in range(len(places)) if rnd.random() < 0.7}
            taken = set(rnd.sample(sorted(open_seats), min(len(open_seats), rnd.randint(1, 8))))
            found = stranded(sum(1 << places[at] for at in open_seats), sum(1 << places[at] for at in taken))
            assert {places.index(at) for at in range(30) if found >> at & 1} == house.stranded(open_seats, taken)


class TestRuns:
    def test_begin_where_so_many_bits_follow(self) -> None:
        assert runs(bits("ooo.oooo"), 3) == bits("o...oo..")
        assert runs(bits("ooo.oooo"), 1) == bits("ooo.oooo")
        assert runs(bits("ooo.oooo"), 5) == 0

    @pytest.mark.parametrize("length", range(1, 9))
    def test_are_permitted_when_they_strand_nothing(self, length: int) -> None:
        rnd = random.Random(length)
        for _ in range(200):
            row = rnd.getrandbits(60) | rnd.getrandbits(60) if length > 2 else rnd.getrandbits(60)
            starts = [at for at in range(60) if runs(row, length) >> at & 1]
            allowed = [at for at in starts if not stranded(row, run_at(at, length))]
            kept = permitted(row, runs(row, length), length)
            assert [at for at in starts if kept >> at & 1] == allowed
            clean = leaves_nothing_alone(row, runs(row, length), length)
            assert clean & ~kept == 0
            for at in allowed:
                rest = row & ~run_at(at, length)
                beside = (at and rest >> (at - 1) & 1 and not (at > 1 and rest >> (at - 2) & 1)) or (
                    rest >> (at + length) & 1 and not rest >> (at + length + 1) & 1
                )
                assert bool(clean >> at & 1) is not bool(beside)
