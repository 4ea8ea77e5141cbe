"""An exchange: tickets given for others of the same event, place for place, never for more than was given.

What is given counts in full; what is left over is paid back by the refund policy that was shown before paying (I2).
A dearer exchange needs money first, and money comes in only through a hold: it is refused, naming the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice.kernel.ids import SeatId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.refund import refund_of
from boxoffice.services.sales.domain.refusals import BadSelectionError, ExchangeNeedsPaymentError

MOST_PLACES = 100
"""Places in one exchange: a coach party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSeat:
    """A seat taken in an exchange, at its price as the type that its ticket is of."""

    seat_id: SeatId
    price: Money
    ticket_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What an exchange comes to: the worth of both sides, and what goes back for each ticket given, in their order."""

    given: Money
    taken: Money
    refunds: tuple[Money, ...]

    @property
    def refund(self) -> Money:
        """Everything that goes back."""
        return Money(sum(refund.minor for refund in self.refunds), self.given.currency)


def check_wish(give: Sequence[object], take: Sequence[SeatId]) -> None:
    """Refuse an exchange that cannot be meant.

    :raises BadSelectionError: when a side is empty or too long, names something twice, or the sides differ in length.
    """
    if not 1 <= len(give) <= MOST_PLACES:
        raise BadSelectionError(f"Between 1 and {MOST_PLACES} tickets are exchanged at once.", most=MOST_PLACES)
    if len(give) != len(take):
        raise BadSelectionError("Take as many seats as you give.", give=len(give), take=len(take))
    if len(set(give)) != len(give) or len(set(take)) != len(take):
        raise BadSelectionError("A ticket or a seat stands twice.")


def settle_exchange(given: Sequence[Money], taken: Sequence[Money], percent: int) -> Settled:
    """Weigh the prices of both sides and share what goes back (``percent`` of the difference) among the given tickets.

    No ticket is paid back more than its price. The sum is rounded down once, to the minor unit.

    :raises ExchangeNeedsPaymentError: when what is taken is worth more.
    """
    currency = given[0].currency
    worth, wanted = sum(price.minor for price in given), sum(price.minor for price in taken)
    if wanted > worth:
        difference = Money(wanted - worth, currency)
        raise ExchangeNeedsPaymentError(
            f"These seats cost {difference.decimal()} {currency} more. Choose seats that cost no more, or cancel and"
            " book again.",
            difference=difference.decimal(), currency=currency,
        )  # fmt: skip
    left = refund_of(Money(worth - wanted, currency), percent).minor
    refunds: list[Money] = []
    for price in given:
        share = min(left, price.minor)
        left -= share
        refunds.append(Money(share, currency))
    return Settled(given=Money(worth, currency), taken=Money(wanted, currency), refunds=tuple(refunds))
