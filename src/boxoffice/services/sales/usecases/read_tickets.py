"""Read event seats ("tickets" of the API before they are sold) and issued tickets."""

import base64
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.ids import EventId, OrganisationId, SeatId, TicketId, UserId
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    EventNotFoundError,
    NotYourselfError,
    OrderNotFoundError,
    SeatsUnknownError,
    TicketNotFoundError,
)
from boxoffice.services.sales.domain.ticket import Ticket, TicketState
from boxoffice.services.sales.domain.ticket_types import TypesByLevel
from boxoffice.services.sales.store import areas, attendees, seats, terms, ticket_types, tickets
from boxoffice.services.sales.store.terms import EventTerms
from boxoffice.services.sales.usecases.tell_order import barcode_of

MOST_IDS = 100
"""Ids in one query."""
MOST_TICKETS = 500
"""Issued tickets of one customer in one answer, newest first."""
NOT_PUBLIC = frozenset({"draft", "deleted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTicket:
    """An issued ticket with its event, its signed barcode, and who comes with it."""

    ticket: Ticket
    event: EventTerms
    barcode: str
    attendee: str | None = None


def check_visible(event: EventTerms | None, organisations: Collection[OrganisationId]) -> EventTerms:
    """Hide drafts from everybody but their organisation.

    :raises EventNotFoundError: when the event is unknown, or not public and not theirs.
    """
    if event is None or (event.status in NOT_PUBLIC and event.organisation_id not in organisations):
        raise EventNotFoundError("There is no such event.")
    return event


async def seats_of_event(
    database: Database, event_id: EventId, organisations: Collection[OrganisationId]
) -> Sequence[Any]:
    """Read every event seat of an event with its state now.

    :raises EventNotFoundError: when the caller may not see the event.
    """
    check_visible(await terms.of_event(database, event_id), organisations)
    return await seats.of_event(database, event_id)


async def types_of_event(
    database: Database, event_id: EventId, organisations: Collection[OrganisationId]
) -> TypesByLevel:
    """Read the ticket types of an event's price levels.

    :raises EventNotFoundError: when the caller may not see the event.
    """
    check_visible(await terms.of_event(database, event_id), organisations)
    return await ticket_types.of_event(database, event_id)


async def tag_of_seats(
    database: Database, event_id: EventId, organisations: Collection[OrganisationId]
) -> tuple[EventTerms, str]:
    """Tell an event and the entity tag of its seats' states now, without reading their labels, which never change.

    :raises EventNotFoundError: when the caller may not see the event.
    """
    event = check_visible(await terms.of_event(database, event_id), organisations)
    codes, _ = await seats.codes(database, event_id)
    states = codes + await areas.tag(database, event_id)
    return event, base64.urlsafe_b64encode(hashlib.sha256(states.encode()).digest()[:16]).decode().rstrip("=")


async def seats_by_ids(database: Database, seat_ids: Sequence[SeatId]) -> Sequence[Any]:
    """Read event seats of public events by id.

    :raises BadSelectionError: when there are none, or more than 100.
    :raises SeatsUnknownError: when an id is no event seat that anybody may see.
    """
    if not 1 <= len(seat_ids) <= MOST_IDS:
        raise BadSelectionError(f"Send between 1 and {MOST_IDS} ticketIds.", most=MOST_IDS)
    found = await seats.public_by_ids(database, seat_ids)
    unknown = sorted(set(seat_ids) - {record["seat_id"] for record in found})
    if unknown:
        raise SeatsUnknownError("These are no tickets on sale.", ticketIds=unknown)
    return found


async def tickets_of_user(database: Database, user_id: UserId, *, caller_id: UserId) -> list[Ticket]:
    """Read a customer's own live tickets.

    :raises NotYourselfError: when somebody else asks.
    """
    if user_id != caller_id:
        raise NotYourselfError("You can only see your own tickets.")
    return await tickets.of_user(database, user_id, most=MOST_TICKETS)


async def show_ticket(database: Database, ticket_id: TicketId, user_id: UserId, signer: KeyRing) -> ShownTicket:
    """Show one live ticket to its owner.

    :raises TicketNotFoundError: when there is none, it is another's, or it was voided.
    """
    ticket = await tickets.own(database, ticket_id, user_id)
    event = None if ticket is None else await terms.of_event(database, ticket.event_id)
    if ticket is None or event is None or ticket.state is TicketState.VOID:
        raise TicketNotFoundError("There is no such ticket.")
    named = await attendees.of_ticket(database, ticket_id)
    return ShownTicket(
        ticket=ticket, event=event, barcode=barcode_of(ticket, event, signer),
        attendee=None if named is None else named.name,
    )  # fmt: skip


async def show_tickets_of_order(
    database: Database, order_id: Any, user_id: UserId, signer: KeyRing
) -> list[ShownTicket]:
    """Show the live tickets of a customer's own order.

    :raises OrderNotFoundError: when it has none, or is another's.
    """
    live = [
        ticket
        for ticket in await tickets.of_order(database, order_id)
        if ticket.user_id == user_id and ticket.state is not TicketState.VOID
    ]
    event = None if not live else await terms.of_event(database, live[0].event_id)
    if event is None:
        raise OrderNotFoundError("There is no booking with tickets under this number.")
    named = await attendees.of_orders(database, [order_id])
    return [
        ShownTicket(
            ticket=ticket, event=event, barcode=barcode_of(ticket, event, signer),
            attendee=named[ticket.ticket_id].name if ticket.ticket_id in named else None,
        )
        for ticket in live
    ]  # fmt: skip
