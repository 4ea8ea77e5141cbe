"""A mail job: one mail to one user, from the fact that asked for it to its end."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.services.notification.domain.letter import Template


class JobState(StrEnum):
    """Where a mail stands."""

    WAITING = "waiting"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"
    DROPPED = "dropped"


class JobAction(StrEnum):
    """What can happen to a mail."""

    TRY_LATER = "try_later"
    SEND = "send"
    GIVE_UP = "give_up"
    DROP = "drop"


TRANSITIONS: dict[tuple[JobState, JobAction], JobState] = {
    (JobState.WAITING, JobAction.TRY_LATER): JobState.WAITING,
    (JobState.WAITING, JobAction.SEND): JobState.SENT,
    (JobState.WAITING, JobAction.GIVE_UP): JobState.UNDELIVERABLE,
    (JobState.WAITING, JobAction.DROP): JobState.DROPPED,
}
"""A mail that ended never changes again: what was sent cannot be taken back."""

PATIENCE = timedelta(hours=24)
"""How long a mail is tried: longer than any outage of a mail server that nobody notices."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 15 * 60.0
"""After an outage every mail has left at most this much later."""
MAX_DOUBLINGS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMail:
    """A mail to be sent. ``aggregate`` and ``template`` together make it the only one of its kind."""

    aggregate: str
    template: Template
    user_id: UserId
    title: str
    facts: dict[str, Any]
    booking_id: OrderId | None = None
    patience: timedelta = PATIENCE

    @property
    def job_id(self) -> UUID:
        """The job's id, the same for every repeat of the fact, so that Message-ID is too."""
        return uuid5(NAMESPACE_URL, f"boxoffice:mail:{self.template}:{self.aggregate}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to reach a user; an erased one cannot be reached any more."""

    name: str
    email: str
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMail:
    """A mail whose time has come, with what is known of its reader (none: identity has not told yet)."""

    job_id: UUID
    user_id: UserId
    template: Template
    title: str
    facts: dict[str, Any]
    attempts: int
    too_late: bool
    created_at: datetime
    contact: Contact | None
    trace: str | None = None
    """The ``traceparent`` under which it was asked for."""


def pause_s(attempts: int, spread: float) -> float:
    """Tell how many seconds to wait after the n-th attempt (from 1).

    ``spread`` in 0..1 keeps mails that failed together from coming back together.

    >>> pause_s(1, 0.0), pause_s(3, 0.0), pause_s(99, 1.0)
    (2.0, 8.0, 900.0)
    """
    pause = FIRST_PAUSE_S * 2.0 ** min(max(attempts, 1) - 1, MAX_DOUBLINGS)
    return float(min(pause * (1.0 + spread / 4.0), LONGEST_PAUSE_S))
