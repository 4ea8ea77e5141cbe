"""Best available: the stated order of fallbacks, ties, wishes, and agreement with trying everything."""

import random
from collections import Counter

import pytest
from tests.support.best_reference import House, Seat

from boxoffice.services.sales.domain.best_available import Arrangement, BestWish, Choice, choose
from boxoffice.services.sales.domain.orphans import stranded
from boxoffice.services.sales.domain.seating import AISLE, PITCH, ROW_PITCH, PlacedSeat, Seating


def house(*rows: str, marks: dict[tuple[int, int], str] | None = None) -> tuple[Seating, int]:
    """Rows of seats, ``o`` open, ``x`` not, a space an aisle; the focus is before the middle of the first row."""
    seats: list[PlacedSeat] = []
    open_seats = bytearray()
    for depth, row in enumerate(rows):
        for block, part in enumerate(row.split(" ")):
            for position, state in enumerate(part):
                at = row.split(" ")[:block]
                x = (sum(map(len, at)) + position) * PITCH + block * AISLE - (len(row) - 1) * PITCH // 2
                mark = (marks or {}).get((depth, position))
                seats.append(
                    PlacedSeat(
                        "S", str(depth), block, position, "Full" if depth else "Front", mark, x, ROW_PITCH * (depth + 1)
                    )
                )
                open_seats.append(ord("1" if state == "o" else "0"))
    seating = Seating(seats)
    return seating, seating.bits(bytes(open_seats))


def best(rows: tuple[Seating, int], quantity: int, *, rule: bool = True, **wished: object) -> Choice | None:
    return choose(*rows, BestWish(quantity=quantity, **wished), no_orphans=rule)  # type: ignore[arg-type]


def seats_of(choice: Choice | None) -> tuple[str, tuple[int, ...]] | None:
    return None if choice is None else (choice.arrangement.value, choice.seats)


class TestChoose:
    def test_takes_the_seats_nearest_to_the_focus(self) -> None:
        assert seats_of(best(house("oooooooo", "oooooooo"), 2)) == ("together", (3, 4))

    def test_takes_the_first_in_reading_order_of_two_equal_ones(self) -> None:
        assert seats_of(best(house("ooooooo"), 2, rule=False)) == ("together", (2, 3))

    def test_rather_leaves_no_single_seat_than_sits_in_the_middle(self) -> None:
        assert seats_of(best(house("ooooooo"), 3)) == ("together", (2, 3, 4))
        assert seats_of(best(house("oooo"), 2)) == ("together", (0, 1))

    def test_rather_goes_to_the_next_row_than_leaves_a_single_seat(self) -> None:
        found = best(house("xoooox", "oooooo"), 3)
        assert found is not None
        assert found.arrangement is Arrangement.TOGETHER
        assert all(seat >= 6 for seat in found.seats)

    def test_leaves_one_where_it_cannot_be_avoided(self) -> None:
        assert seats_of(best(house("xxoooxx"), 2)) == ("together_leaving_one", (2, 3))

    def test_sits_behind_each_other_when_no_row_has_room(self) -> None:
        assert seats_of(best(house("xxooxx", "xxooxx"), 4)) == ("two_rows", (2, 3, 8, 9))

    def test_splits_into_pairs_when_no_rows_fit_behind_each_other(self) -> None:
        assert seats_of(best(house("ooxxxxxx", "xxxxxxxx", "xxxxxxoo"), 4)) == ("pairs", (0, 1, 22, 23))

    def test_splits_into_the_fewest_groups_at_last(self) -> None:
        assert seats_of(best(house("xxxxooo", "xxxxxxx", "oxxxxxx"), 4)) == ("split", (4, 5, 6, 14))

    def test_offers_nothing_apart_when_together_was_demanded(self) -> None:
        assert best(house("xxooxx", "xxooxx"), 4, together=True) is None

    def test_finds_the_last_seats_of_a_house(self) -> None:
        assert seats_of(best(house("xoxooxo"), 4)) == ("split", (1, 3, 4, 6))
        assert best(house("xoxooxo"), 5) is None
        assert best(house("xxx"), 1) is None

    def test_keeps_to_level_and_section(self) -> None:
        rows = house("oooo", "oooo")
        assert seats_of(best(rows, 2, price_level="Full")) == ("together", (4, 5))
        assert best(rows, 2, price_level="None such") is None
        assert seats_of(best(rows, 2, section="S")) == ("together", (0, 1))
        assert best(rows, 2, section="T") is None

    def test_never_offers_places_for_wheelchairs_nor_counts_them_as_neighbours(self) -> None:
        rows = house("ooooo", marks={(0, 0): "wheelchair", (0, 1): "companion"})
        assert seats_of(best(rows, 3)) == ("together", (2, 3, 4))
        assert best(rows, 4) is None

    def test_does_not_join_seats_across_an_aisle(self) -> None:
        assert best(house("oo oo"), 4, together=True) is None

    def test_leaves_singles_where_the_event_does_not_mind(self) -> None:
        assert seats_of(best(house("oooo"), 2, rule=False)) == ("together", (1, 2))


class TestSeating:
    def test_puts_a_house_that_was_never_drawn_into_straight_rows(self) -> None:
        seats = [PlacedSeat("S", row, 0, position) for row in "AB" for position in range(3)]
        seating = Seating(seats)
        assert [(seating.x[slot], seating.y[slot]) for slot in range(3)] == [(-100, 120), (0, 120), (100, 120)]
        assert seating.y[4] == 240

    def test_parts_two_seats_between_which_one_was_never_sold(self) -> None:
        seating = Seating([PlacedSeat("S", "A", 0, position) for position in (0, 1, 3)])
        assert [(one.seat, one.length) for one in seating.segments] == [(0, 2), (2, 1)]

    def test_of_no_seats_offers_nothing(self) -> None:
        seating = Seating([])
        assert choose(seating, seating.bits(b""), BestWish(quantity=2), no_orphans=True) is None


def random_seats(rnd: random.Random) -> list[Seat]:
    found = []
    for section in range(2):
        for row in range(4):
            for block in range(rnd.randint(1, 3)):
                for position in range(rnd.randint(1, 9)):
                    if rnd.random() < 0.04:
                        continue  # a place that is never sold
                    x = rnd.randint(-600, 600) if rnd.random() < 0.3 else (block * 10 + position) * 100 - 900
                    mark = "wheelchair" if rnd.random() < 0.05 else None
                    level = f"L{(section + row) % 3}"
                    found.append(
                        Seat(f"S{section}", f"R{row}", block, position, level, mark, x, row * 120 + section * 600)
                    )
    return found


class TestAgainstTryingEverything:
    @pytest.mark.parametrize("part", range(4))
    def test_chooses_the_same(self, part: int) -> None:
        seen: Counter[str] = Counter()
        for number in range(50):
            rnd = random.Random(f"{part}:{number}")
            seats = random_seats(rnd)
            reference = House(seats)
            seating = Seating(
                [PlacedSeat(s.section, s.row, s.block, s.position, s.level, s.mark, s.x, s.y) for s in seats]
            )
            for _ in range(10):
                share = rnd.random()
                open_seats = {at for at in range(len(seats)) if rnd.random() < share}
                bits = seating.bits(bytes(ord("1") if at in open_seats else ord("0") for at in range(len(seats))))
                quantity, together, rule = rnd.randint(1, 8), rnd.random() < 0.3, rnd.random() < 0.8
                level, section = rnd.choice([None, None, None, "L0", "L1"]), rnd.choice([None, None, None, "S0"])
                wish = BestWish(quantity=quantity, price_level=level, section=section, together=together)
                found = seats_of(choose(seating, bits, wish, no_orphans=rule))
                expected = reference.best(
                    open_seats, quantity, level=level, section=section, together=together, rule=rule
                )
                assert found == (None if expected is None else (expected[0], tuple(expected[1]))), (part, number, wish)
                seen[found[0] if found else "none"] += 1
        assert all(seen[name] >= 5 for name in [*Arrangement, "none"]), seen

    def test_never_offers_what_the_rule_refuses(self) -> None:
        rnd = random.Random(3)
        for _ in range(200):
            seating, _ = house(*("".join(rnd.choice("ox") for _ in range(14)) for _ in range(5)))
            open_seats = seating.bits(bytes(rnd.choice(b"01") for _ in range(seating.seats)))
            found = choose(seating, open_seats, BestWish(quantity=rnd.randint(1, 8)), no_orphans=True)
            assert found is None or (found.slots & ~open_seats == 0 and stranded(open_seats, found.slots) == 0)
