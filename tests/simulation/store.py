"""What the simulated sale has stored: rows that never change, in tables that change by whole transactions.

A transaction that is not committed leaves nothing: that is what a refusal does, and a crash.
"""

from collections.abc import Hashable
from datetime import datetime
from typing import Any, NamedTuple

from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.payment import Payment
from boxoffice.services.sales.domain.refund import RefundState
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.domain.ticket import TicketState


class Seat(NamedTuple):
    """An event seat."""

    price: int
    state: SeatState = SeatState.FREE
    order_id: int | None = None
    expires_at: datetime | None = None
    fence: int = 0


class Order(NamedTuple):
    """An order; ``captures`` are issued by the payment, so they are not counted here."""

    order_id: int
    user_id: int
    state: OrderState
    seats: tuple[int, ...]
    total: int
    hold_expires_at: datetime
    pay_deadline: datetime | None = None
    version: int = 0


class Ticket(NamedTuple):
    """A ticket; ``exchanged``: issued in exchange for another, not for money."""

    ticket_id: int
    order_id: int
    seat: int
    price: int
    state: TicketState = TicketState.VALID
    exchanged: bool = False


class Refund(NamedTuple):
    """A refund on its way."""

    refund_id: int
    payment_id: int
    ticket_id: int
    value: int
    state: RefundState = RefundState.REQUESTED
    tries: int = 0
    tried_at: datetime | None = None


class Message(NamedTuple):
    """A message of the outbox."""

    order_id: int
    version: int
    type: str


_ABSENT: Any = object()


class Store:
    """The tables, and what the running transaction would have to undo."""

    def __init__(self) -> None:
        self.seats: dict[int, Seat] = {}
        self.orders: dict[int, Order] = {}
        self.payments: dict[int, Payment] = {}
        self.attempts: dict[int, list[int]] = {}
        self.tickets: dict[int, Ticket] = {}
        self.refunds: dict[int, Refund] = {}
        self.places: dict[int, int] = {}
        self.outbox: dict[int, Message] = {}
        self.heard: dict[int, bool] = {}
        self.off: dict[str, bool] = {}
        self.changes = 0
        self._undo: list[tuple[dict[Any, Any], Hashable, Any]] = []
        self._numbers = 0

    def number(self) -> int:
        """A new id; never given twice, whatever is rolled back."""
        self._numbers += 1
        return self._numbers

    def put(self, table: dict[Any, Any], key: Hashable, row: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = row

    def commit(self) -> bool:
        """Keep the transaction; tells whether it changed anything."""
        changed = bool(self._undo)
        self._undo.clear()
        self.changes += changed
        return changed

    def roll_back(self) -> None:
        """Forget the transaction."""
        for table, key, before in reversed(self._undo):
            if before is _ABSENT:
                del table[key]
            else:
                table[key] = before
        self._undo.clear()
