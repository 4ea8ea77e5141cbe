"""What a buyer gets back: the policy as it was shown before paying, kept with the order."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from boxoffice.kernel.ids import OrderId, RefundId, SeatId
from boxoffice.kernel.money import Money


class RefundState(StrEnum):
    """Where a refund stands; ``manual`` waits for a person, the provider refused."""

    REQUESTED = "requested"
    DONE = "done"
    MANUAL = "manual"


class RefundAction(StrEnum):
    """What can be done to a refund."""

    FINISH = "finish"
    GIVE_TO_PEOPLE = "give_to_people"


TRANSITIONS: dict[tuple[RefundState, RefundAction], RefundState] = {
    (RefundState.REQUESTED, RefundAction.FINISH): RefundState.DONE,
    (RefundState.REQUESTED, RefundAction.GIVE_TO_PEOPLE): RefundState.MANUAL,
    (RefundState.MANUAL, RefundAction.FINISH): RefundState.DONE,
}
"""What is done is never asked for again (invariant I4)."""

REFUNDS = UUID("4c5f3a0e-52a9-4b7d-9a3c-6d1f2e8b7a90")
"""Namespace of the refund ids of cancelled tickets."""
MOST_REFUNDS_OF_A_SEAT = 8
"""Times that one seat of one order is refunded: more than exchanges there and back will ever make of it."""
WHOLE = 100
"""Percent; what a buyer gets back when the organiser cancels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPolicy:
    """Until how long before the start a buyer may cancel, and the share paid back (percent, 0..100)."""

    cancel_until_hours: int
    refund_percent: int

    def cancel_until(self, starts_at: datetime) -> datetime:
        """Give the instant from which on a buyer may not cancel any more."""
        return starts_at - timedelta(hours=self.cancel_until_hours)


def refund_of(price: Money, percent: int) -> Money:
    """Give what is paid back for one ticket: rounded down to the minor unit, so refunds never exceed the capture.

    :raises ValueError: when the percentage is outside 0..100.
    """
    if not 0 <= percent <= WHOLE:
        raise ValueError(f"{percent} is no percentage")
    return Money(price.minor * percent // WHOLE, price.currency)


def refund_id_of(order_id: OrderId, seat_id: SeatId, before: int) -> RefundId:
    """Name the refund of a cancelled ticket by its order, its seat, and how many tickets of that seat it had before.

    The name alone tells what was given back, to whoever lost the record of it and finds the refund at the provider.
    """
    return RefundId(uuid5(REFUNDS, f"{order_id}/{seat_id}/{before}"))


def seat_of_refund(refund_id: RefundId, order_id: OrderId, seats: Iterable[SeatId]) -> SeatId | None:
    """Tell which seat of an order a refund is for, by its name; none when it is for none of them."""
    for seat in seats:
        if any(refund_id_of(order_id, seat, before) == refund_id for before in range(MOST_REFUNDS_OF_A_SEAT)):
            return seat
    return None
