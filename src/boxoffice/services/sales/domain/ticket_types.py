"""Ticket types: what a price level is sold as (adult, child, …), and what a buyer's choice comes to (invariant I13).

A level's first type is its standard one, at the price of its seats: whoever chooses nothing pays that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from boxoffice.kernel.ids import SeatId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refusals import (
    BadPriceLevelsError,
    HoldExpiredError,
    TicketNotFoundError,
    TicketTypeNotOfferedError,
    WrongOrderStateError,
)

MOST_TYPES = 20
"""Ticket types of one price level: more are a price list that nobody reads."""
MAX_NAME = 100
"""Characters of a type's name: half a line of a ticket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketType:
    """One way of selling a price level's seats, at a price of its own."""

    name: str
    price: Money


TypesByLevel: TypeAlias = Mapping[str, Sequence[TicketType]]
"""The types of an event's price levels, the standard one first; a level without types is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedPlace:
    """One place of an order as it stands now; ``ticket_type`` is none while its buyer has not chosen."""

    seat_id: SeatId
    price_level: str | None
    price: Money
    ticket_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a choice comes to: type and price of each place, in the order of the places."""

    types: tuple[str | None, ...]
    prices: tuple[Money, ...]

    @property
    def total(self) -> Money:
        """The sum of the prices."""
        return Money(sum(price.minor for price in self.prices), self.prices[0].currency)


def check_types(level: str, price: Money, types: Sequence[TicketType]) -> None:
    """Refuse types that a price level cannot have.

    :raises BadPriceLevelsError: when there are too many, two have one name, one costs less than nothing or another
        currency, or the first does not cost what the level's seats do.
    """
    names = [one.name for one in types]
    if len(types) > MOST_TYPES:
        raise BadPriceLevelsError(f"A price level has at most {MOST_TYPES} ticket types.", priceLevels=[level])
    if len(set(names)) != len(names) or not all(1 <= len(name) <= MAX_NAME for name in names):
        raise BadPriceLevelsError("Ticket types of a price level need names of their own.", priceLevels=[level])
    if any(one.price.minor < 0 or one.price.currency != price.currency for one in types):
        raise BadPriceLevelsError("A price is never negative, and in the event's currency.", priceLevels=[level])
    if types and types[0].price != price:
        raise BadPriceLevelsError("The first ticket type costs what its price level does.", priceLevels=[level])


def check_choosable(order: Order) -> None:
    """Refuse to change types of an order that is not held (any more): its price is fixed from there on.

    :raises HoldExpiredError: when its time is up.
    :raises WrongOrderStateError: when it is being paid for, was paid, or was given back.
    """
    if order.state is OrderState.HELD and order.expired:
        raise HoldExpiredError("Choose your seats again.", bookingId=str(order.order_id))
    if order.state is not OrderState.HELD:
        raise WrongOrderStateError(
            "Ticket types are chosen before paying.", bookingStatus=order.shown_state()
        )  # fmt: skip


def choose_types(places: Sequence[OrderedPlace], offered: TypesByLevel, wished: Mapping[SeatId, str]) -> Priced:
    """Price an order's places by the types wished for; a place that is not named stays as it is.

    :raises TicketNotFoundError: when a place named is not one of the order.
    :raises TicketTypeNotOfferedError: when its price level is not sold as that type.
    """
    foreign = sorted(set(wished) - {place.seat_id for place in places})
    if foreign:
        raise TicketNotFoundError("These are no tickets of this booking.", ticketIds=[str(seat) for seat in foreign])
    chosen = [_choose(place, offered, wished.get(place.seat_id)) for place in places]
    return Priced(types=tuple(name for name, _ in chosen), prices=tuple(price for _, price in chosen))


def standard_type(offered: TypesByLevel, level: str | None) -> str | None:
    """Name the type that a level's seats are of while nobody chose another; none for a level without types."""
    types = offered.get(level or "", ())
    return types[0].name if types else None


def type_after_exchange(
    before: str | None, *, given_level: str | None, taken_level: str | None, standard: Money, offered: TypesByLevel
) -> tuple[str | None, Money]:
    """Tell type and price of a place taken in an exchange: the given ticket's type within its level, else standard.

    ``standard`` is the price of the place taken.
    """
    types = offered.get(taken_level or "", ())
    if taken_level == given_level:
        for one in types:
            if one.name == before:
                return one.name, one.price
    return standard_type(offered, taken_level), standard


def _choose(place: OrderedPlace, offered: TypesByLevel, wished: str | None) -> tuple[str | None, Money]:
    types = offered.get(place.price_level or "", ())
    if wished is None:
        return place.ticket_type or standard_type(offered, place.price_level), place.price
    for one in types:
        if one.name == wished:
            return one.name, one.price
    elsewhere = any(one.name == wished for level in offered.values() for one in level)
    level = place.price_level or "This place"
    raise TicketTypeNotOfferedError(
        f"{level} is not sold as {wished!r}." if elsewhere else f"Nothing is sold as {wished!r} here.",
        ticketId=place.seat_id, ticketType=wished, offered=[one.name for one in types],
    )  # fmt: skip
