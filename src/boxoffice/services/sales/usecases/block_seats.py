"""Block free seats of an event, or so many places of an area, or unblock them; never a way around the sale."""

from collections.abc import Sequence
from typing import Any

from boxoffice.kernel.ids import EventId, OrganisationId, SeatId, event_of
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.refusals import (
    BadSelectionError,
    EventNotFoundError,
    NotEnoughSeatsError,
    NotYourEventError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.store import areas, sale_summaries, seats, terms

MOST = 1_000
"""Seats in one call: a whole balcony."""


async def block_seats(
    database: Database, *, seat_ids: Sequence[SeatId], organisations: Sequence[OrganisationId], blocked: bool
) -> list[Any]:
    """Block (or unblock) seats of one event, all or nothing; a seat that is so already stays so. Returns their records.

    :raises BadSelectionError: when there are none, too many, one twice, or seats of several events.
    :raises SeatsUnknownError: when an id is no seat of the event.
    :raises EventNotFoundError: when there is no such event.
    :raises NotYourEventError: when the event belongs to another organisation.
    :raises SeatsTakenError: when a seat is held, being paid for or sold.
    """
    if not 1 <= len(seat_ids) <= MOST or len(set(seat_ids)) != len(seat_ids):
        raise BadSelectionError(f"Send between 1 and {MOST} different seats.")
    if len({event_of(seat) for seat in seat_ids}) != 1:
        raise BadSelectionError("The seats belong to several events; send one event at a time.")
    event_id = event_of(seat_ids[0])
    async with database.transaction() as tx:
        await _check_event(tx, event_id, organisations)
        changed = await seats.set_blocked(
            tx, event_id=event_id, seat_ids=sorted(seat_ids), organisations=organisations, blocked=blocked
        )
        wanted = "blocked" if blocked else "free"
        places = False if len(changed) == len(seat_ids) else await areas.set_blocked(tx, seat_ids, blocked=blocked)
        records = {record["seat_id"]: record for record in await seats.by_ids(tx, seat_ids)}
        unknown = sorted(set(seat_ids) - set(records))
        if unknown:
            raise SeatsUnknownError("These are no seats of the event.", ticketIds=unknown)
        taken = [record for seat, record in sorted(records.items()) if record["state"] != wanted]
        if taken:
            raise SeatsTakenError(
                "Only free seats can be blocked and blocked ones freed.",
                taken=[
                    {
                        "ticketId": record["seat_id"], "section": record["section"], "row": record["row_label"],
                        "number": record["number"],
                    }
                    for record in taken
                ],
            )  # fmt: skip
        if changed or places:
            await sale_summaries.mark_changed(tx, event_id)
        return [records[seat] for seat in sorted(seat_ids)]


async def block_places(
    database: Database,
    *,
    event_id: EventId,
    area: str,
    quantity: int,
    organisations: Sequence[OrganisationId],
    blocked: bool,
) -> list[Any]:
    """Block so many free places of an area, from its end, or unblock so many; all or nothing. Returns their records.

    :raises BadSelectionError: when there are none, or too many.
    :raises EventNotFoundError: when there is no such event.
    :raises NotYourEventError: when the event belongs to another organisation.
    :raises NotEnoughSeatsError: when the area has not that many free (or blocked) places.
    """
    if not 1 <= quantity <= MOST:
        raise BadSelectionError(f"Between 1 and {MOST} places can be blocked at once.")
    async with database.transaction() as tx:
        await _check_event(tx, event_id, organisations)
        chosen = await areas.choose(tx, event_id, area, quantity, blocked=not blocked)
        if chosen is None or len(chosen) < quantity:
            raise NotEnoughSeatsError(
                "Fewer places can be blocked." if blocked else "Fewer places are blocked.",
                priceLevel=area, places=0 if chosen is None else len(chosen),
            )  # fmt: skip
        await areas.set_blocked(tx, chosen, blocked=blocked)
        await sale_summaries.mark_changed(tx, event_id)
        return list(await areas.listed(tx, event_id, chosen))


async def _check_event(tx: Connection, event_id: EventId, organisations: Sequence[OrganisationId]) -> None:
    event = await terms.of_event(tx, event_id)
    if event is None:
        raise EventNotFoundError("There is no such event.", eventId=event_id)
    if event.organisation_id not in organisations:
        raise NotYourEventError("Only its organisers block seats of an event.", eventId=event_id)
