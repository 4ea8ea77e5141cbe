"""Money is integer minor units: what is read is what is written, and what cannot be a price is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.kernel.money import EXPONENTS, MAX_MINOR, BadMoneyError, Money

CURRENCIES = st.sampled_from(["USD", "EUR", "HKD", *sorted(EXPONENTS)])


class TestMoney:
    @given(st.integers(-MAX_MINOR, MAX_MINOR), CURRENCIES)
    def test_reads_what_it_writes(self, minor: int, currency: str) -> None:
        money = Money(minor, currency)
        assert Money.parse(money.decimal(), currency) == money

    @pytest.mark.parametrize(
        ("text", "currency", "minor", "written"),
        [
            ("49.5", "USD", 4950, "49.50"),
            (50, "EUR", 5000, "50.00"),
            ("1200", "JPY", 1200, "1200"),
            ("1.005", "KWD", 1005, "1.005"),
            ("0", "USD", 0, "0.00"),
        ],
    )
    def test_knows_each_currencys_decimals(self, text: str | int, currency: str, minor: int, written: str) -> None:
        money = Money.parse(text, currency)
        assert money.minor == minor
        assert money.decimal() == written

    @pytest.mark.parametrize(
        ("text", "currency"),
        [
            ("49.505", "USD"), ("1.5", "JPY"), ("NaN", "USD"), ("Infinity", "USD"), ("", "USD"), ("ten", "USD"),
            ("1e30", "USD"), ("1", "usd"), ("1", "US"), ("1", "DOLLAR"),
        ],
    )  # fmt: skip
    def test_refuses_what_is_no_price(self, text: str, currency: str) -> None:
        with pytest.raises(BadMoneyError):
            Money.parse(text, currency)

    def test_refuses_it_every_time(self) -> None:
        for _ in range(3):
            with pytest.raises(BadMoneyError):
                Money(1, "usd")
            Money(1, "USD")

    def test_does_not_add_different_currencies(self) -> None:
        assert Money(1, "USD") + Money(2, "USD") == Money(3, "USD")
        with pytest.raises(BadMoneyError):
            Money(1, "USD") + Money(1, "EUR")
