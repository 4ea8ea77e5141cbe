"""Weighing an exchange: what goes back, what is refused; and names that can be names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.kernel.ids import SeatId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.attendee import checked_email, checked_name, names_close_at
from boxoffice.services.sales.domain.exchange import MOST_PLACES, check_wish, settle_exchange
from boxoffice.services.sales.domain.refusals import BadAttendeeError, BadSelectionError, ExchangeNeedsPaymentError

PRICES = st.lists(st.integers(0, 100_000), min_size=1, max_size=8)


def usd(*minors: int) -> list[Money]:
    return [Money(minor, "USD") for minor in minors]


class TestSettling:
    def test_an_equal_exchange_moves_no_money(self) -> None:
        assert settle_exchange(usd(5000, 3000), usd(4000, 4000), 100).refund == Money(0, "USD")

    def test_the_difference_goes_back_by_the_policy_rounded_down_once(self) -> None:
        assert settle_exchange(usd(5000), usd(3001), 50).refund == Money(999, "USD")
        assert settle_exchange(usd(5000), usd(3000), 0).refund == Money(0, "USD")

    def test_a_dearer_one_is_refused_and_the_difference_named(self) -> None:
        with pytest.raises(ExchangeNeedsPaymentError) as refusal:
            settle_exchange(usd(5000), usd(6050), 100)
        assert refusal.value.context == {"difference": "10.50", "currency": "USD"}

    @settings(deadline=None)
    @given(PRICES, PRICES, st.integers(0, 100))
    def test_never_pays_back_more_than_was_given_for(self, before: list[int], after: list[int], percent: int) -> None:
        given_prices, wanted = usd(*before), usd(*after)
        try:
            settled = settle_exchange(given_prices, wanted, percent)
        except ExchangeNeedsPaymentError:
            assert sum(after) > sum(before)
            return
        assert settled.refund.minor == (sum(before) - sum(after)) * percent // 100
        assert len(settled.refunds) == len(before)
        assert all(0 <= back.minor <= price.minor for back, price in zip(settled.refunds, given_prices, strict=True))
        assert settled.refund.minor + sum(after) <= sum(before)


class TestWish:
    @pytest.mark.parametrize(
        ("give", "take"),
        [
            ([], []), ([1], []), ([1], [2, 3]), ([1, 1], [2, 3]), ([1, 2], [3, 3]),
            (list(range(MOST_PLACES + 1)), list(range(200, 201 + MOST_PLACES))),
        ],
    )  # fmt: skip
    def test_that_cannot_be_meant_is_refused(self, give: list[int], take: list[int]) -> None:
        with pytest.raises(BadSelectionError):
            check_wish(give, [SeatId(seat) for seat in take])


class TestNames:
    def test_are_one_line(self) -> None:
        assert checked_name("  Zoë\n  Łukasiewicz ") == "Zoë Łukasiewicz"

    @pytest.mark.parametrize("text", ["", " \n ", "x" * 201, "a\x00b", "a\u202eb", "a\x1b[31mb"])
    def test_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(BadAttendeeError):
            checked_name(text)

    @pytest.mark.parametrize("text", ["", "zoe", "a@b", "a b@example.org", "a@example.org,b@example.org", "a@@b.c"])
    def test_addresses_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(BadAttendeeError):
            checked_email(text)

    def test_an_address_is_optional(self) -> None:
        assert (checked_email(None), checked_email("zoe@example.org")) == (None, "zoe@example.org")

    def test_close_an_hour_before_the_start(self) -> None:
        starts_at = datetime(2031, 5, 1, 19, 30, tzinfo=UTC)
        assert starts_at - names_close_at(starts_at) == timedelta(hours=1)
