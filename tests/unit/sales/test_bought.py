"""What the provider keeps for us says enough to make an order again, and nothing else is taken for it (I22)."""

from uuid import UUID, uuid4

import pytest

from boxoffice.kernel.ids import EventId, OrderId, RefundId, SeatId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.bought import (
    LONGEST_LINE,
    Bought,
    find_area,
    find_seats,
    place_name,
    read_reference,
    reference_of,
)
from boxoffice.services.sales.domain.refund import refund_id_of, seat_of_refund

USER = UserId(UUID(int=5))
HOUSE = [(SeatId(number), place_name("Stalls", "A", str(number))) for number in range(1, 13)]


def bought(*lines: str, places: int | None = None) -> Bought:
    priced = tuple((line, Money(5000, "USD")) for line in lines)
    return Bought(event_id=EventId(7), user_id=USER, places=places or len(lines), lines=priced)


class TestReference:
    def test_is_read_as_it_was_written(self) -> None:
        written = reference_of(EventId(2**40), USER, 8)
        assert read_reference(written) == (2**40, USER, 8)
        assert len(written) <= 116

    @pytest.mark.parametrize(
        "text", [None, "", "default", "boxoffice/2 event=7 account=x places=1", f"x{reference_of(EventId(7), USER, 1)}"]
    )
    def test_others_words_are_nothing(self, text: str | None) -> None:
        assert read_reference(text) is None


class TestSeats:
    def test_are_found_by_their_names_with_and_without_a_type(self) -> None:
        found = find_seats(bought("Stalls, row A, seat 1", "Stalls, row A, seat 11 (Child)"), HOUSE, ["Adult", "Child"])
        assert found is not None
        assert [(one.seat_id, one.ticket_type) for one in found] == [(1, None), (11, "Child")]

    def test_are_not_guessed(self) -> None:
        assert find_seats(bought("Stalls, row A, seat 13"), HOUSE, []) is None
        assert find_seats(bought("Stalls, row A, seat 1", "Stalls, row A, seat 1"), HOUSE, []) is None
        assert find_seats(bought("Stalls, row A, seat 1", places=2), HOUSE, []) is None
        long = [(SeatId(n), "S" * LONGEST_LINE + str(n)) for n in (1, 2)]
        assert find_seats(bought("S" * LONGEST_LINE), long, []) is None

    def test_of_general_admission_are_an_area(self) -> None:
        one, other = bought("Floor, place 1", "Floor, place 22"), bought("Floor, place 1", "Floor, place 2 (Child)")
        assert find_area(one, ["Floor", "Balcony"], []) == ("Floor", (None, None))
        assert find_area(other, ["Floor"], ["Child"]) == ("Floor", (None, "Child"))
        assert find_area(other, ["Floor"], []) is None
        assert find_area(bought("Floor, place 1", "Balcony, place 1"), ["Floor", "Balcony"], []) is None

    @pytest.mark.parametrize("area", ["Floor.", "Floor (left)", "Floor*", "[a-z]+", "a|b", "\\d+$", "^.*", "Row +?"])
    def test_an_areas_name_stands_for_itself(self, area: str) -> None:
        named = bought(place_name(area, "", "1"), place_name(area, "", "22", "Child"))
        assert find_area(named, [area, "Floor"], ["Child"]) == (area, (None, "Child"))
        for other in ("Floorx, place 1", "Floor left, place 1", "abc, place 1", "a, place 1", "7, place 1"):
            assert find_area(bought(other), [area], []) is None


class TestRefunds:
    def test_tell_by_their_names_what_they_are_for(self) -> None:
        order = OrderId(uuid4())
        for before in (0, 3):
            assert seat_of_refund(refund_id_of(order, SeatId(4), before), order, [SeatId(3), SeatId(4)]) == 4
        assert seat_of_refund(refund_id_of(order, SeatId(4), 0), OrderId(uuid4()), [SeatId(4)]) is None
        assert seat_of_refund(RefundId(uuid4()), order, [SeatId(4)]) is None
