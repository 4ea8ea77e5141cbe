"""Give seats of an allocation back to the public sale.

A seat that somebody has bought from it stays theirs; it is only no longer of the allocation.
"""

from collections.abc import Sequence

from boxoffice.kernel.ids import EventId, OrganisationId, SeatId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import Allocation, AllocationAction, Selection
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsTakenError
from boxoffice.services.sales.store import allocations, sale_summaries
from boxoffice.services.sales.usecases.set_seats_aside import chosen, lock


async def give_seats_back(
    tx: Connection,
    event_id: EventId,
    allocation_id: int,
    selection: Selection,
    *,
    organisations: Sequence[OrganisationId],
) -> None:
    """Give those seats of a selection back that are in a closed allocation.

    :raises AllocationNotFoundError: when there is none, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open.
    :raises BadSelectionError: when the selection cannot be meant, names a seat that is not in it, or no seat of it.
    :raises SeatsTakenError: ``contested``, when somebody was at a seat just now.
    """
    allocation = await lock(tx, event_id, allocation_id, organisations)
    allocation.after(AllocationAction.GIVE_SOME_BACK)
    wanted = await chosen(tx, event_id, selection)
    mine = await all_locked(tx, allocation, among=wanted)
    foreign = sorted(set(selection.seat_ids) - set(mine))
    if foreign or not mine:
        raise BadSelectionError("These seats are not in the allocation.", ticketIds=foreign)
    await allocations.give_back(tx, allocation, mine)
    await sale_summaries.mark_changed(tx, event_id)


async def all_locked(tx: Connection, allocation: Allocation, *, among: Sequence[SeatId] | None = None) -> list[SeatId]:
    """Lock every seat of an allocation, or those among some, whoever has them.

    :raises SeatsTakenError: ``contested``, when somebody was at a seat just now.
    """
    got, is_all = await allocations.lock_seats(tx, allocation, among)
    if not is_all:
        raise SeatsTakenError("Somebody is buying from it just now. Try again.", contested=True, taken=[])
    return got
