"""Limited views: which places are meant, and what is told of them."""

import pytest
from tests.support.sales import rows_of_ten

from boxoffice.contracts.hall import Hall, Row, Section
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.limited_view import LIMITED_VIEW, USUAL_NOTICE, LimitedView, note_views
from boxoffice.services.sales.domain.prices import PriceLevel
from boxoffice.services.sales.domain.refusals import BadPriceLevelsError
from boxoffice.services.sales.usecases.create_event_seats import price_hall

HALL = Hall(
    format="hall/1", name="A hall", marks={"limited_view": "A pillar stands before it"},
    sections=(Section(name="Stalls", rows=(Row(row="A", blocks=("1-4",), marks={"4": "limited_view"}),)),),
)  # fmt: skip
LEVELS = [PriceLevel(name="All", price=Money(100, "USD"))]


class TestNotices:
    def test_are_given_to_the_places_meant_and_no_others(self) -> None:
        view = LimitedView(section="Stalls", rows=frozenset({"2"}), numbers=frozenset({"1", "10"}), notice="Side view")
        noted = note_views(rows_of_ten(30), [view])
        assert [(seat.place, seat.mark) for seat in noted if seat.notice == "Side view"] == [
            (10, LIMITED_VIEW), (19, LIMITED_VIEW),
        ]  # fmt: skip
        assert sum(seat.notice is not None for seat in noted) == 2

    def test_the_first_view_that_covers_a_place_wins(self) -> None:
        views = [LimitedView(section="Stalls", rows=frozenset({"1"}), notice="First"), LimitedView(section="Stalls")]
        assert {seat.notice for seat in note_views(rows_of_ten(20), views)} == {"First", USUAL_NOTICE}

    def test_come_from_the_seat_map_in_its_own_words(self) -> None:
        told = [seat.notice for seat in price_hall(HALL, LEVELS)]
        assert told == [None, None, None, "A pillar stands before it"]

    def test_of_the_organiser_go_before_the_maps(self) -> None:
        told = [seat.notice for seat in price_hall(HALL, LEVELS, [LimitedView(section="Stalls", notice="Screens")])]
        assert told == ["Screens"] * 4

    def test_of_no_place_are_refused(self) -> None:
        with pytest.raises(BadPriceLevelsError, match="Circle"):
            note_views(rows_of_ten(10), [LimitedView(section="Circle")])
