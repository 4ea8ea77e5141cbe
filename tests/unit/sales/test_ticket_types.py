"""Ticket types: what a price level may be sold as, and what a choice comes to."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.sales.test_states import an_order

from boxoffice.kernel.ids import SeatId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.prices import MapSeat, PriceLevel, number_places, price_seats
from boxoffice.services.sales.domain.refusals import (
    BadPriceLevelsError,
    HoldExpiredError,
    TicketNotFoundError,
    TicketTypeNotOfferedError,
    WrongOrderStateError,
)
from boxoffice.services.sales.domain.ticket_types import (
    MOST_TYPES,
    OrderedPlace,
    TicketType,
    check_choosable,
    choose_types,
    type_after_exchange,
)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


ADULT, CHILD = TicketType(name="Adult", price=usd(5000)), TicketType(name="Child", price=usd(2000))
MEMBER = TicketType(name="Member", price=usd(2500))
OFFERED = {"Stalls": (ADULT, CHILD), "Circle": (TicketType(name="Adult", price=usd(3000)), MEMBER)}


def place(seat: int, level: str | None, price: int, chosen: str | None = None) -> OrderedPlace:
    return OrderedPlace(seat_id=SeatId(seat), price_level=level, price=usd(price), ticket_type=chosen)


PLACES = [place(1, "Stalls", 5000), place(2, "Stalls", 5000), place(3, "Circle", 3000), place(4, None, 700)]


class TestChoosing:
    def test_prices_what_is_named_and_leaves_the_rest(self) -> None:
        priced = choose_types(PLACES, OFFERED, {SeatId(2): "Child", SeatId(3): "Member"})
        assert priced.types == ("Adult", "Child", "Member", None)
        assert [price.minor for price in priced.prices] == [5000, 2000, 2500, 700]
        assert priced.total == usd(10_200)

    def test_of_nothing_is_the_standard_price(self) -> None:
        priced = choose_types(PLACES, OFFERED, {})
        assert (priced.types, priced.total) == (("Adult", "Adult", "Adult", None), usd(13_700))

    def test_again_keeps_what_was_chosen_before(self) -> None:
        before = [replace(PLACES[0], ticket_type="Child", price=usd(2000)), *PLACES[1:]]
        assert choose_types(before, OFFERED, {SeatId(2): "Child"}).types == ("Child", "Child", "Adult", None)
        assert choose_types(before, OFFERED, {SeatId(1): "Adult"}).total == usd(13_700)

    def test_refuses_a_type_that_nothing_is_sold_as(self) -> None:
        with pytest.raises(TicketTypeNotOfferedError, match="Nothing is sold as 'Pensioner'") as refusal:
            choose_types(PLACES, OFFERED, {SeatId(1): "Pensioner"})
        assert refusal.value.context == {"ticketId": 1, "ticketType": "Pensioner", "offered": ["Adult", "Child"]}

    def test_refuses_a_type_of_another_level(self) -> None:
        with pytest.raises(TicketTypeNotOfferedError, match="Stalls is not sold as 'Member'"):
            choose_types(PLACES, OFFERED, {SeatId(1): "Member"})

    def test_refuses_any_type_for_a_level_without_types(self) -> None:
        with pytest.raises(TicketTypeNotOfferedError, match="This place is not sold as 'Child'"):
            choose_types(PLACES, OFFERED, {SeatId(4): "Child"})

    def test_refuses_a_place_of_another_order(self) -> None:
        with pytest.raises(TicketNotFoundError) as refusal:
            choose_types(PLACES, OFFERED, {SeatId(9): "Child", SeatId(1): "Child"})
        assert refusal.value.context == {"ticketIds": ["9"]}

    @pytest.mark.parametrize("state", [OrderState.PAYING, OrderState.CONFIRMED, OrderState.RELEASED])
    def test_is_over_once_the_order_is_not_held(self, state: OrderState) -> None:
        with pytest.raises(WrongOrderStateError):
            check_choosable(an_order(state=state))

    def test_is_over_once_the_hold_ran_out(self) -> None:
        with pytest.raises(HoldExpiredError):
            check_choosable(an_order(expired=True))
        check_choosable(an_order())


class TestExchange:
    def test_keeps_the_type_within_the_level(self) -> None:
        found = type_after_exchange(
            "Child", given_level="Stalls", taken_level="Stalls", standard=usd(5000), offered=OFFERED
        )
        assert found == ("Child", usd(2000))

    @pytest.mark.parametrize(("level", "expected"), [("Circle", ("Adult", usd(3000))), ("Gallery", (None, usd(3000)))])
    def test_is_standard_in_another_level(self, level: str, expected: Any) -> None:
        found = type_after_exchange(
            "Child", given_level="Stalls", taken_level=level, standard=usd(3000), offered=OFFERED
        )
        assert found == expected


class TestPriceLists:
    @pytest.mark.parametrize(
        ("types", "says"),
        [
            ((ADULT, ADULT), "names of their own"),
            ((ADULT, TicketType(name="", price=usd(1))), "names of their own"),
            ((CHILD, ADULT), "costs what its price level does"),
            ((ADULT, TicketType(name="Child", price=usd(-1))), "never negative"),
            ((ADULT, TicketType(name="Child", price=Money(1, "EUR"))), "in the event's currency"),
            ((ADULT, *(TicketType(name=str(n), price=usd(n)) for n in range(MOST_TYPES))), "at most"),
        ],
    )
    def test_refuse_types_that_cannot_be(self, types: tuple[TicketType, ...], says: str) -> None:
        levels = [PriceLevel(name="Stalls", price=usd(5000), types=types, quantity=3)]
        with pytest.raises(BadPriceLevelsError, match=says):
            number_places(levels)
        with pytest.raises(BadPriceLevelsError, match=says):
            price_seats([MapSeat(place=0, section="S", row="A", number="1")], levels)

    def test_hold_seats_at_the_standard_price(self) -> None:
        levels = [PriceLevel(name="Stalls", price=usd(5000), types=(ADULT, CHILD))]
        (seat,) = price_seats([MapSeat(place=0, section="S", row="A", number="1")], levels)
        assert seat.price == usd(5000)
