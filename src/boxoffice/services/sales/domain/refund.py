"""What a buyer gets back: the policy as it was shown before paying, kept with the order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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
