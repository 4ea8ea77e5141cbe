"""Open an allocation to everybody now; at its release time it opens by itself (``open_due_allocations.py``)."""

from collections.abc import Sequence

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import AllocationAction, WrongAllocationStateError
from boxoffice.services.sales.store import allocations, sale_summaries
from boxoffice.services.sales.usecases.give_seats_back import all_locked
from boxoffice.services.sales.usecases.set_seats_aside import lock


async def open_allocation(
    tx: Connection, event_id: EventId, allocation_id: int, *, organisations: Sequence[OrganisationId]
) -> None:
    """Open an allocation's seats to everybody from now on.

    :raises AllocationNotFoundError: when there is none, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open already, or killed.
    :raises SeatsTakenError: ``contested``, when somebody was at a seat just now.
    """
    allocation = await lock(tx, event_id, allocation_id, organisations)
    allocation.after(AllocationAction.OPEN)
    await all_locked(tx, allocation)
    instant = await allocations.open_now(tx, allocation)
    if instant is None:
        raise WrongAllocationStateError("It is open already.")
    await allocations.close_until(tx, allocation, instant)
    await sale_summaries.mark_changed(tx, event_id)
