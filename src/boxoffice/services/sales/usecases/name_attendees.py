"""Name who comes with the tickets of an order, or take names back; its owner's business alone (invariants I14, I24).

Names stay in one table here: no barcode, message or log carries them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.attendee import checked_email, checked_name, names_close_at
from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.refusals import (
    BadAttendeeError,
    OrderNotFoundError,
    TooLateToNameError,
    WrongOrderStateError,
)
from boxoffice.services.sales.domain.ticket import Ticket
from boxoffice.services.sales.store import attendees, orders, terms, tickets
from boxoffice.services.sales.store.attendees import Attendee
from boxoffice.services.sales.usecases.cancel_order import AnyTicketId, choose_valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One ticket (by id, or by event seat) and who comes with it; nobody in particular without a name."""

    ticket: AnyTicketId
    name: str | None
    email: str | None = None


async def name_attendees(tx: Connection, *, order_id: OrderId, user_id: UserId, named: Sequence[Named]) -> None:
    """Write who comes with some of a customer's own valid tickets, all of them or none.

    :raises OrderNotFoundError: when the order is not theirs.
    :raises WrongOrderStateError: when it is not confirmed, or one of the tickets is used or void.
    :raises TicketNotFoundError: when one is not of the order.
    :raises TooLateToNameError: when the list for the door is made.
    :raises BadAttendeeError: when a name or an address cannot be one, or a ticket stands twice.
    """
    if len({one.ticket for one in named}) != len(named):
        raise BadAttendeeError("A ticket stands twice.")
    people = {one.ticket: (_name(one), checked_email(one.email)) for one in named}
    order = await orders.lock_own(tx, order_id, user_id)
    if order is None:
        raise OrderNotFoundError("There is no such booking.")
    if order.state is not OrderState.CONFIRMED:
        raise WrongOrderStateError("Names are for confirmed bookings.", bookingStatus=order.shown_state())
    event = await terms.of_event(tx, order.event_id)
    assert event is not None, "an order exists only for an event whose terms are known"
    closes_at = names_close_at(event.starts_at)
    if await tx.fetchval("SELECT clock_timestamp() >= $1", closes_at):
        raise TooLateToNameError("The list for the door is made.", namesUntil=closes_at.isoformat())
    valid = choose_valid(await tickets.of_order(tx, order_id), [one.ticket for one in named])
    if len(valid) != len(named):
        raise BadAttendeeError("A ticket stands twice.")
    await _keep(tx, user_id, [(ticket, *_person(people, ticket)) for ticket in valid])


def _name(one: Named) -> str | None:
    if one.name is None:
        if one.email is not None:
            raise BadAttendeeError("An e-mail address needs a name.")
        return None
    return checked_name(one.name)


def _person(people: dict[AnyTicketId, tuple[str | None, str | None]], ticket: Ticket) -> tuple[str | None, str | None]:
    by_id: AnyTicketId = ticket.ticket_id
    return people[by_id] if by_id in people else people[ticket.seat_id]


async def _keep(tx: Connection, user_id: UserId, named: Sequence[tuple[Ticket, str | None, str | None]]) -> None:
    people = [
        Attendee(ticket_id=ticket.ticket_id, name=name, email=email)
        for ticket, name, email in named
        if name is not None
    ]
    await attendees.name(tx, user_id, people)
    await attendees.forget(tx, [ticket.ticket_id for ticket, name, _ in named if name is None])
