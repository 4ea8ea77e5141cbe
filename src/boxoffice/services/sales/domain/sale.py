"""How an event sells, in the four words that search and the storefront show."""

from enum import StrEnum

FEW_LEFT_PERCENT = 10
"""At or under this share of the capacity an event has few places left."""


class SaleState(StrEnum):
    """The sale of an event; the last three presume that it is open."""

    NOT_ON_SALE = "not_on_sale"
    ON_SALE = "on_sale"
    FEW_LEFT = "few_left"
    SOLD_OUT = "sold_out"


def sale_state(*, is_open: bool, capacity: int, free: int, held: int) -> SaleState:
    """Judge a sale by its counts of places; what is only held may come back, so it is "few left", not "sold out"."""
    if not is_open:
        return SaleState.NOT_ON_SALE
    if free + held == 0:
        return SaleState.SOLD_OUT
    return SaleState.FEW_LEFT if free * 100 <= capacity * FEW_LEFT_PERCENT else SaleState.ON_SALE
