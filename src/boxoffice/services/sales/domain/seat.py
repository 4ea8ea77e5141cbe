"""An event seat: its states and the moves between them (invariant I1: at most one holder).

``held`` may be taken over once its time is up; ``paying`` and ``sold`` never end by time.
"""

from enum import StrEnum


class SeatState(StrEnum):
    """Where an event seat stands."""

    FREE = "free"
    HELD = "held"
    PAYING = "paying"
    SOLD = "sold"
    BLOCKED = "blocked"


class SeatAction(StrEnum):
    """What can be done to an event seat."""

    HOLD = "hold"
    TAKE_OVER = "take_over"
    EXPIRE = "expire"
    RELEASE = "release"
    START_PAYMENT = "start_payment"
    RETURN_TO_HOLD = "return_to_hold"
    SELL = "sell"
    EXCHANGE = "exchange"
    BLOCK = "block"
    UNBLOCK = "unblock"


TRANSITIONS: dict[tuple[SeatState, SeatAction], SeatState] = {
    (SeatState.FREE, SeatAction.HOLD): SeatState.HELD,
    (SeatState.FREE, SeatAction.BLOCK): SeatState.BLOCKED,
    (SeatState.BLOCKED, SeatAction.UNBLOCK): SeatState.FREE,
    (SeatState.HELD, SeatAction.TAKE_OVER): SeatState.HELD,
    (SeatState.HELD, SeatAction.EXPIRE): SeatState.FREE,
    (SeatState.HELD, SeatAction.RELEASE): SeatState.FREE,
    (SeatState.HELD, SeatAction.START_PAYMENT): SeatState.PAYING,
    (SeatState.HELD, SeatAction.SELL): SeatState.SOLD,
    (SeatState.PAYING, SeatAction.SELL): SeatState.SOLD,
    (SeatState.PAYING, SeatAction.RETURN_TO_HOLD): SeatState.HELD,
    (SeatState.PAYING, SeatAction.RELEASE): SeatState.FREE,
    (SeatState.FREE, SeatAction.EXCHANGE): SeatState.SOLD,
    (SeatState.HELD, SeatAction.EXCHANGE): SeatState.SOLD,
    (SeatState.SOLD, SeatAction.RELEASE): SeatState.FREE,
}
"""``held`` is sold without payment only for a free order; ``take_over``, and ``exchange`` of a held seat, need an
expired hold. An exchanged seat is paid for by the tickets given for it."""


class TicketStatus(StrEnum):
    """An event seat as the API shows it."""

    AVAILABLE = "AVAILABLE"
    HELD = "HELD"
    BOOKED = "BOOKED"
    BLOCKED = "BLOCKED"


SHOWN: dict[SeatState, TicketStatus] = {
    SeatState.FREE: TicketStatus.AVAILABLE,
    SeatState.HELD: TicketStatus.HELD,
    SeatState.PAYING: TicketStatus.HELD,
    SeatState.SOLD: TicketStatus.BOOKED,
    SeatState.BLOCKED: TicketStatus.BLOCKED,
}
"""How each state reads on the API; an expired hold is shown as free."""


def shown(state: SeatState, *, closed: bool) -> TicketStatus:
    """Say a seat's state as the API does; ``closed``: it is set aside, and free for its allocation only."""
    return TicketStatus.BLOCKED if closed and state is SeatState.FREE else SHOWN[state]
