"""Price levels: the first that matches wins, and nothing is left without a price or without a seat."""

from itertools import chain

import pytest

from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.prices import MapSeat, PriceLevel, SeatMatch, number_places, price_seats
from boxoffice.services.sales.domain.refusals import BadPriceLevelsError

STALLS = [MapSeat(place=place, section="Stalls", row="AB"[place // 2], number=str(place % 2 + 1)) for place in range(4)]
CIRCLE = [MapSeat(place=4, section="Circle", row="A", number="1")]


def level(name: str, price: int = 1000, *seats: SeatMatch, quantity: int | None = None) -> PriceLevel:
    return PriceLevel(name=name, price=Money(price, "USD"), seats=seats or None, quantity=quantity)


class TestPriceSeats:
    def test_the_first_level_that_matches_wins(self) -> None:
        front = level("Front", 5000, SeatMatch(section="Stalls", rows=frozenset("A")))
        stalls = level("Stalls", 3000, SeatMatch(section="Stalls"))
        priced = price_seats([*STALLS, *CIRCLE], [front, stalls, level("Rest")])
        assert [seat.price_level for seat in priced] == ["Front", "Front", "Stalls", "Stalls", "Rest"]
        assert [seat.price.minor for seat in priced] == [5000, 5000, 3000, 3000, 1000]

    def test_names_the_sections_without_a_level(self) -> None:
        with pytest.raises(BadPriceLevelsError) as refusal:
            price_seats([*STALLS, *CIRCLE], [level("Stalls", 1, SeatMatch(section="Stalls"))])
        assert refusal.value.context == {"sections": ["Circle"]}

    @pytest.mark.parametrize(
        "levels",
        [
            [],
            [level("A"), level("A")],
            [level("A", -1)],
            [level("A"), level("B")],  # B has no seat left
            [level("A", 1, SeatMatch(section="Balcony")), level("Rest")],
            [level("A", 1, SeatMatch(section="Stalls")), PriceLevel(name="B", price=Money(1, "EUR"))],
        ],
    )
    def test_refuses_levels_that_cannot_be_meant(self, levels: list[PriceLevel]) -> None:
        with pytest.raises(BadPriceLevelsError):
            price_seats([*STALLS, *CIRCLE], levels)


class TestNumberPlaces:
    def test_each_level_is_a_section_of_its_own(self) -> None:
        places = chain.from_iterable(
            area.places() for area in number_places([level("Standing", quantity=2), level("Students", quantity=1)])
        )
        assert [(seat.place, seat.section, seat.number) for seat in places] == [
            (0, "Standing", "1"),
            (1, "Standing", "2"),
            (2, "Students", "1"),
        ]

    @pytest.mark.parametrize("quantity", [None, 0, -1, 2**20 + 1])
    def test_refuses_impossible_quantities(self, quantity: int | None) -> None:
        with pytest.raises(BadPriceLevelsError):
            number_places([level("A", quantity=quantity)])
