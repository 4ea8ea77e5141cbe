"""An order: a purchase from its hold to its end, its states, and how the API calls them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.kernel.money import Money


class OrderState(StrEnum):
    """Where an order stands."""

    HELD = "held"
    PAYING = "paying"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    CANCELLED = "cancelled"


class OrderAction(StrEnum):
    """What can be done to an order."""

    START_PAYMENT = "start_payment"
    CONFIRM_FREE = "confirm_free"
    CONFIRM = "confirm"
    RETURN_TO_HOLD = "return_to_hold"
    EXTEND = "extend"
    CHOOSE_TYPES = "choose_types"
    RELEASE = "release"
    EXPIRE = "expire"
    EXCHANGE = "exchange"
    CANCEL_SOME = "cancel_some"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[OrderState, OrderAction], OrderState] = {
    (OrderState.HELD, OrderAction.START_PAYMENT): OrderState.PAYING,
    (OrderState.HELD, OrderAction.CONFIRM_FREE): OrderState.CONFIRMED,
    (OrderState.HELD, OrderAction.EXTEND): OrderState.HELD,
    (OrderState.HELD, OrderAction.CHOOSE_TYPES): OrderState.HELD,
    (OrderState.HELD, OrderAction.RELEASE): OrderState.RELEASED,
    (OrderState.HELD, OrderAction.EXPIRE): OrderState.RELEASED,
    (OrderState.PAYING, OrderAction.CONFIRM): OrderState.CONFIRMED,
    (OrderState.PAYING, OrderAction.RETURN_TO_HOLD): OrderState.HELD,
    (OrderState.PAYING, OrderAction.RELEASE): OrderState.RELEASED,
    (OrderState.CONFIRMED, OrderAction.EXCHANGE): OrderState.CONFIRMED,
    (OrderState.CONFIRMED, OrderAction.CANCEL_SOME): OrderState.CONFIRMED,
    (OrderState.CONFIRMED, OrderAction.CANCEL): OrderState.CANCELLED,
}
"""A released or cancelled order never comes back; who wants the seats again places a new hold."""

MAX_TICKETS_PER_CALL = 8
"""Tickets in one reserve call: a party, not a reseller; an event's own limit per customer may be lower or higher."""

EXPIRED = "expired"
"""``released_because`` of an order whose hold ran out."""

RETRY_AFTER_DECLINE = timedelta(minutes=3)
"""Time for another card after a decline. Hold + payment + this + payment stays under 45 minutes by default."""

EXTENSION = timedelta(minutes=5)
"""How much longer a customer's holds of an event may last, once, counted from the end of the clock that began with
their first seat: time to find the card. Hold + this + payment stays under 45 minutes by default."""

MAX_ATTEMPTS = 2
"""Payment attempts of one order; after the last declined one the seats are released."""


def held_again_until(*, attempt: int, turned_back: bool, hold_expires_at: datetime, now: datetime) -> datetime | None:
    """Until when an order's seats are held again after a payment attempt that took no money; none: they are freed.

    Whoever turns back keeps what is left of the hold, however often; only the first attempt makes it longer.
    """
    if attempt < MAX_ATTEMPTS:
        return max(now + RETRY_AFTER_DECLINE, hold_expires_at)
    return hold_expires_at if turned_back and hold_expires_at > now else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order; ``expired``, ``seconds_left`` and ``too_late`` (to cancel) are the database's judgement at reading.

    ``prices`` are its own, in the order of ``seat_ids``, and so are ``ticket_types``: none until its buyer chose some.
    """

    order_id: OrderId
    event_id: EventId
    user_id: UserId
    state: OrderState
    seat_ids: tuple[SeatId, ...]
    prices: tuple[Money, ...]
    ticket_types: tuple[str | None, ...] | None
    total: Money
    hold_expires_at: datetime
    pay_deadline: datetime | None
    cancel_until: datetime
    refund_percent: int
    version: int
    created_at: datetime
    released_because: str | None
    extended_at: datetime | None
    expired: bool
    seconds_left: int
    too_late: bool

    @property
    def types(self) -> tuple[str | None, ...]:
        """The ticket type of each seat; none where it was not chosen."""
        return (None,) * len(self.seat_ids) if self.ticket_types is None else self.ticket_types

    @property
    def is_free(self) -> bool:
        """Whether there is nothing to pay."""
        return self.total.minor == 0

    @property
    def extendable(self) -> bool:
        """Whether it makes sense to ask for more time."""
        return self.state is OrderState.HELD and not self.expired and self.extended_at is None

    def shown_state(self) -> str:
        """Say the state as the API does: HELD, PAYING, CONFIRMED, RELEASED, CANCELLED or EXPIRED."""
        held_too_long = self.state is OrderState.HELD and self.expired
        if held_too_long or (self.state is OrderState.RELEASED and self.released_because == EXPIRED):
            return "EXPIRED"
        return self.state.value.upper()
