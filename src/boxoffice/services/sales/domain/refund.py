"""What a buyer gets back: the policy as it was shown before paying, kept with the order."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from boxoffice.kernel.money import Money

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
