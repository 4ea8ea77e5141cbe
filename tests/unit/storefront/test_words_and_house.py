"""What pages say of times and money, and how a house is read from the API's lists."""

from datetime import UTC, datetime

import pytest

from boxoffice.services.storefront.domain import words
from boxoffice.services.storefront.domain.house import (
    EventSeat,
    arrange,
    free_by_level,
    read_choice,
    unpack,
)

EVENING = datetime(2026, 12, 4, 11, 30, tzinfo=UTC)


class TestWords:
    def test_times_are_said_on_the_venues_clock(self) -> None:
        assert words.when(EVENING, "Asia/Hong_Kong") == "Fri 4 Dec 2026, 19:30"
        assert words.day(EVENING, "America/New_York") == "Friday 4 December 2026"
        assert words.clock(EVENING, "America/New_York") == "06:30"

    def test_a_zone_is_named_as_people_do(self) -> None:
        assert words.zone_name(EVENING, "America/New_York") == "EST"
        assert words.zone_name(EVENING, "Asia/Dubai") == "Dubai time"

    def test_an_unknown_zone_does_not_break_a_page(self) -> None:
        assert words.clock(EVENING, "Nowhere/Town") == "11:30"

    @pytest.mark.parametrize(
        ("price", "currency", "said"),
        [("80.00", "USD", "80.00 USD"), ("1250.50", "HKD", "1,250.50 HKD"), ("5000", "JPY", "5,000 JPY"), ("0.00", "USD", "free"),
         ("0.50", "USD", "0.50 USD"), (None, "USD", ""), ("odd", "USD", "odd USD")],
    )  # fmt: skip
    def test_money_is_grouped_and_carries_its_currency(self, price: str | None, currency: str, said: str) -> None:
        assert words.money(price, currency) == said

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (-5, "1 minute"),
            (61, "1 minute"),
            (1200, "20 minutes"),
            (3600, "1 hour"),
            (36 * 3600, "36 hours"),
            (9 * 86400, "9 days"),
        ],
    )
    def test_lengths_are_rough(self, seconds: int, said: str) -> None:
        assert words.span(seconds) == said

    def test_a_month_has_its_days(self) -> None:
        assert words.month("2028-02") == "February 2028"
        assert words.month_days("2028-02") == ("2028-02-01", "2028-02-29")
        assert words.month("soon") == "soon"


def seat(place: int, price: str, level: str) -> EventSeat:
    return EventSeat(
        place=place, section="S", row="A", number=str(place), price=price, currency="USD", price_level=level
    )


class TestHouse:
    def test_numbers_levels_from_the_dearest_and_marks_places_without_a_seat(self) -> None:
        house = arrange([seat(4, "9.00", "B"), seat(0, "10.00", "A"), seat(2, "9.00", "B")])
        assert [level.name for level in house.levels] == ["A", "B"]
        assert house.letters == "0-1-1"
        assert [level.places for level in house.levels] == [1, 2]

    def test_an_event_without_tickets_has_an_empty_house(self) -> None:
        assert arrange([]).letters == ""
        assert arrange([]).currency == ""

    def test_reads_two_bits_a_place_from_the_lowest(self) -> None:
        assert unpack(bytes([0b11_10_01_00, 0b01]), 6) == [0, 1, 2, 3, 1, 0]

    def test_takes_a_place_beyond_the_answer_as_not_for_sale(self) -> None:
        assert unpack(b"\x00", 6) == [0, 0, 0, 0, 3, 3]

    def test_counts_what_is_free_by_level(self) -> None:
        house = arrange([seat(0, "10.00", "A"), seat(2, "9.00", "B"), seat(3, "9.00", "B")])
        assert free_by_level(house, [0, 0, 2, 0]) == [1, 1]

    def test_counts_general_admission_by_area_and_gives_it_no_letters(self) -> None:
        places = [
            EventSeat(place=at, section="Standing", row="", number=str(at), price="5.00", currency="USD", price_level="Standing")
            for at in (7, 8)
        ]  # fmt: skip
        house = arrange([seat(0, "10.00", "A"), *places])
        assert [(level.name, level.places, level.is_area) for level in house.levels] == [
            ("A", 1, False),
            ("Standing", 2, True),
        ]
        assert house.letters == "0"
        assert [one.place for one in house.seats] == [0]
        assert free_by_level(house, [0], {"Standing": 1}) == [1, 1]

    def test_reads_a_choice_and_leaves_out_what_is_none(self) -> None:
        assert read_choice(["3,1", "1", "x", "-2", "99", "²"], places=10) == (3, 1)
        assert read_choice([",".join(map(str, range(50)))], places=100) == tuple(range(8))
