"""Money: integer minor units and an ISO 4217 code; never a float."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

CURRENCY_PATTERN = re.compile(r"[A-Z]{3}")

EXPONENTS = {
    "BHD": 3, "CLP": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3,
    "PYG": 0, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
"""Currencies whose minor unit is not a hundredth (ISO 4217, table A.1)."""

MAX_MINOR = 10**12
"""A bound for one price, in minor units: far above any ticket, far below 2**53."""

MOST_CODES = 256
"""Judgements of codes that are kept: more than there are currencies; an order asks ten times for one."""


@lru_cache(MOST_CODES)
def _is_code(text: str) -> bool:
    return CURRENCY_PATTERN.fullmatch(text) is not None


class BadMoneyError(ValueError):
    """A price that cannot be read: not a number, too fine, negative where it must not be, or absurdly large."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units of one currency."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not _is_code(self.currency):
            raise BadMoneyError(f"{self.currency!r} is not an ISO 4217 code such as USD")
        if abs(self.minor) > MAX_MINOR:
            raise BadMoneyError("the price is larger than this system sells for")

    @classmethod
    def parse(cls, text: str | int | Decimal, currency: str) -> "Money":
        """Read a decimal price ("49.50") of a currency.

        :raises BadMoneyError: when it is no number or has more decimals than the currency.
        """
        exponent = EXPONENTS.get(currency, 2)
        try:
            scaled = Decimal(text).scaleb(exponent)
        except (InvalidOperation, ValueError) as error:
            raise BadMoneyError(f"{text!r} is not a price such as 49.50") from error
        if not scaled.is_finite() or abs(scaled) > MAX_MINOR:
            raise BadMoneyError(f"{text!r} is not a price such as 49.50")
        if scaled != scaled.to_integral_value():
            raise BadMoneyError(f"{text!r} has more than {exponent} decimals, the most that {currency} has")
        return cls(int(scaled), currency)

    def decimal(self) -> str:
        """Write the amount as a decimal string with the currency's own number of decimals ("49.50")."""
        exponent = EXPONENTS.get(self.currency, 2)
        return f"{Decimal(self.minor).scaleb(-exponent):.{exponent}f}"

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise BadMoneyError(f"{self.currency} and {other.currency} do not add")
        return Money(self.minor + other.minor, self.currency)
