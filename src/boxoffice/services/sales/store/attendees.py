"""Who comes, by ticket: personal, kept apart, erased with the ticket or with its owner (invariant I24)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.ids import OrderId, TicketId, UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.store.records import plain_uuid

NAME = """
INSERT INTO ticket_attendees AS a (ticket_id, user_id, name, email)
SELECT ticket_id, $2, name, email FROM unnest($1::uuid[], $3::text[], $4::text[]) n(ticket_id, name, email)
ON CONFLICT (ticket_id) DO UPDATE SET name = EXCLUDED.name, email = EXCLUDED.email, named_at = clock_timestamp()
WHERE (a.name, a.email) IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.email)
"""
FORGET = "DELETE FROM ticket_attendees WHERE ticket_id = ANY ($1::uuid[])"
FORGET_OF_USER = "DELETE FROM ticket_attendees WHERE user_id = $1 RETURNING ticket_id"
MOVE = """
WITH named AS (
  DELETE FROM ticket_attendees a USING unnest($1::uuid[], $2::uuid[]) m(before, after)
   WHERE a.ticket_id = m.before RETURNING m.after, a.user_id, a.name, a.email)
INSERT INTO ticket_attendees (ticket_id, user_id, name, email) SELECT after, user_id, name, email FROM named
"""
OF_ORDERS = """
SELECT a.ticket_id, a.name, a.email FROM ticket_attendees a JOIN tickets k USING (ticket_id)
WHERE k.order_id = ANY ($1::uuid[])
"""
OF_TICKET = "SELECT ticket_id, name, email FROM ticket_attendees WHERE ticket_id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """Somebody who comes with a ticket. Not in ``repr``: what is logged by accident says nothing of them."""

    ticket_id: TicketId
    name: str
    email: str | None = None

    def __repr__(self) -> str:
        """Say which ticket, not who."""
        return f"Attendee(ticket_id={self.ticket_id})"


async def name(tx: Connection, user_id: UserId, named: Sequence[Attendee]) -> None:
    """Write who comes with these tickets of a customer."""
    await tx.execute(
        NAME, [one.ticket_id for one in named], user_id, [one.name for one in named], [one.email for one in named]
    )


async def forget(tx: Connection, ticket_ids: Sequence[TicketId]) -> None:
    """Erase who would have come with these tickets."""
    await tx.execute(FORGET, list(ticket_ids))


async def forget_of_user(tx: Connection, user_id: UserId) -> int:
    """Erase everybody that a customer named; returns how many."""
    return len(await tx.fetch(FORGET_OF_USER, user_id))


async def move(tx: Connection, pairs: Sequence[tuple[TicketId, TicketId]]) -> None:
    """Let whoever was named on a ticket come with another one."""
    await tx.execute(MOVE, [before for before, _ in pairs], [after for _, after in pairs])


async def of_orders(source: Database | Connection, order_ids: Sequence[OrderId]) -> dict[TicketId, Attendee]:
    """Read who comes with the tickets of these orders."""
    found = [_read(record) for record in await source.fetch(OF_ORDERS, list(order_ids))]
    return {one.ticket_id: one for one in found}


async def of_ticket(database: Database, ticket_id: TicketId) -> Attendee | None:
    """Read who comes with a ticket."""
    record = await database.fetchrow(OF_TICKET, ticket_id)
    return None if record is None else _read(record)


def _read(record: Any) -> Attendee:
    return Attendee(ticket_id=TicketId(plain_uuid(record["ticket_id"])), name=record["name"], email=record["email"])
