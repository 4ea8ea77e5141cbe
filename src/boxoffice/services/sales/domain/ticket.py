"""A ticket: the issued right of one event seat (invariant I1: at most one live ticket a seat)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from boxoffice.kernel.ids import EventId, OrderId, SeatId, TicketId, UserId
from boxoffice.kernel.money import Money


class TicketState(StrEnum):
    """Where a ticket stands; ``valid`` and ``used`` are live."""

    VALID = "valid"
    USED = "used"
    VOID = "void"


class TicketAction(StrEnum):
    """What can be done to a ticket."""

    ADMIT = "admit"
    VOID = "void"


TRANSITIONS: dict[tuple[TicketState, TicketAction], TicketState] = {
    (TicketState.VALID, TicketAction.ADMIT): TicketState.USED,
    (TicketState.VALID, TicketAction.VOID): TicketState.VOID,
}
"""A used ticket cannot be voided: whoever was in has seen the show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One issued ticket with the labels of its seat."""

    ticket_id: TicketId
    event_id: EventId
    seat_id: SeatId
    order_id: OrderId
    user_id: UserId
    state: TicketState
    price: Money
    issued_at: datetime
    section: str
    row: str
    number: str
    price_level: str | None
    mark: str | None
    notice: str | None = None
    ticket_type: str | None = None
