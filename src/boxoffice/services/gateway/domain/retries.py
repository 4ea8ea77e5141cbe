"""What may be tried again, and how often: one more time, only what is safe to repeat, and never more than one in ten.

The budget keeps a failing service from getting twice its load from us (Google SRE book, chapter 21).
"""

from dataclasses import dataclass

SHARE = 0.1
"""Retries for each call that was made."""
MOST_SAVED = 10.0
"""Retries that a quiet time may save up."""
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; PUT and DELETE are idempotent too, but a second answer may differ from the lost one."""


@dataclass(slots=True)
class RetryBudget:
    """How many retries are left to one service."""

    left: float = MOST_SAVED

    def called(self) -> None:
        """Count a call, which earns a part of a retry."""
        self.left = min(MOST_SAVED, self.left + SHARE)

    def spend(self) -> bool:
        """Take one retry; false when the budget is used up."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


KEYED = frozenset({"bookings", "payments"})
"""Services whose calls with an Idempotency-Key take effect once, however often they come (invariant I10)."""


def may_repeat(method: str, *, reached: bool, keyed: bool = False) -> bool:
    """Whether a failed call may be made again; one that never reached the service changes nothing, whatever it is."""
    return not reached or keyed or method in REPEATABLE
