"""Sets: what was acknowledged is there at the end, and nothing is there that nobody asked for (I11, I12)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.checkers.history import Operation

PAID = {"approve", "confirm", "confirm_free"}
"""A webhook may confirm what a buyer only approved."""


@dataclass(frozen=True, slots=True)
class FinalTicket:
    """A ticket in the database at the end."""

    ticket_id: str
    booking: str
    seat: int
    live: bool


@dataclass
class _Told:
    """What clients were told of their bookings."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    promised: dict[str, str] = field(default_factory=dict)
    paid: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    perhaps_cancelled: set[str] = field(default_factory=set)

    def add(self, operation: Operation, booking: str) -> None:
        done = operation.outcome == "ok"
        if done:
            self.acknowledged.setdefault(booking, operation.f)
        if operation.f in PAID:
            self.paid.add(booking)
        if operation.f in {"confirm", "confirm_free"} and done:
            self.promised |= {str(ticket): booking for ticket in operation.value["tickets"]}
        if operation.f in {"cancel", "exchange"}:
            self.perhaps_cancelled.add(booking)
        if operation.f == "cancel" and done:
            self.cancelled.add(booking)


def violations(operations: Iterable[Operation], tickets: Iterable[FinalTicket], bookings: set[str]) -> list[str]:
    """Compare a history with the tickets and bookings of the end."""
    told = _Told()
    for operation in operations:
        booking = str(operation.value.get("booking", ""))
        if operation.outcome != "fail" and booking:
            told.add(operation, booking)
    there = {ticket.ticket_id: ticket for ticket in tickets}
    found = [
        f"{f} of booking {booking} was acknowledged, and the booking is not there"
        for booking, f in told.acknowledged.items()
        if booking not in bookings
    ]
    for ticket_id, booking in told.promised.items():
        ticket = there.get(ticket_id)
        if ticket is None or ticket.booking != booking:
            found.append(f"ticket {ticket_id} of booking {booking} was given out, and is not there")
        elif not ticket.live and booking not in told.perhaps_cancelled:
            found.append(f"ticket {ticket_id} of booking {booking} is void, and nobody cancelled it")
    for ticket in there.values():
        if ticket.booking not in told.paid:
            found.append(f"ticket {ticket.ticket_id} is of booking {ticket.booking}, which nobody paid")
        if ticket.live and ticket.booking in told.cancelled:
            found.append(f"ticket {ticket.ticket_id} is live, and its booking was cancelled")
    return found
