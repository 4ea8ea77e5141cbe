"""Put on sale what the catalog staged: each event of a hall gets that hall's seats at the hall's price levels."""

from collections.abc import Callable, Sequence

from boxoffice.kernel.money import BadMoneyError, Money
from boxoffice.runtime.database import Database
from boxoffice.services.catalog.domain.prices import SuggestedLevel
from boxoffice.services.catalog.usecases.stage_demo import StagedHall
from boxoffice.services.sales.domain.prices import PriceLevel, SeatMatch
from boxoffice.services.sales.domain.refusals import AlreadyOpenError, BadPriceLevelsError
from boxoffice.services.sales.domain.ticket_types import TicketType
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats, price_hall, types_of
from boxoffice.services.sales.usecases.take_event_terms import terms_of

Progress = Callable[[int, int], None]
"""Told how many events are done, of how many."""


async def open_halls(sales: Database, halls: Sequence[StagedHall], *, progress: Progress) -> int:
    """Put every event on sale that is not yet; returns how many were opened.

    :raises BadPriceLevelsError: when a hall's levels do not fit its seat map.
    """
    listed = [(hall, levels(hall.levels, hall.currency)) for hall in halls]
    priced = [(price_hall(hall.hall, prices), types_of(prices), hall.events) for hall, prices in listed]
    total = sum(len(events) for _, _, events in priced)
    opened = done = 0
    for seats, types, events in priced:
        for fact, version in events:
            try:
                await create_event_seats(sales, terms_of(fact, version), seats, types=types)
            except AlreadyOpenError:
                opened -= 1
            opened, done = opened + 1, done + 1
            progress(done, total)
    return opened


def levels(suggested: Sequence[SuggestedLevel], currency: str) -> list[PriceLevel]:
    """Say the catalog's suggestion in the words of the sale."""
    return [
        PriceLevel(
            name=level.name,
            price=_price(level.price, currency),
            seats=None if level.seats is None else tuple(
                SeatMatch(section=section, rows=None if rows is None else frozenset(rows))
                for section, rows in level.seats
            ),
            types=tuple(TicketType(name=name, price=_price(price, currency)) for name, price in level.types),
        )
        for level in suggested
    ]  # fmt: skip


def _price(text: str, currency: str) -> Money:
    try:
        return Money.parse(text, currency)
    except BadMoneyError as error:
        raise BadPriceLevelsError(f"A price cannot be read: {error}.") from error
