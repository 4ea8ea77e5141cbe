"""Release an allocation: all its seats go back to the public sale, and it is over."""

from collections.abc import Sequence

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import AllocationAction
from boxoffice.services.sales.domain.refusals import SaleDisagreesError
from boxoffice.services.sales.store import allocations, sale_summaries
from boxoffice.services.sales.usecases.give_seats_back import all_locked
from boxoffice.services.sales.usecases.set_seats_aside import lock


async def release_allocation(
    tx: Connection, event_id: EventId, allocation_id: int, *, organisations: Sequence[OrganisationId]
) -> None:
    """End an allocation: all its seats go back, its access code opens nothing any more.

    :raises AllocationNotFoundError: when there is none, or the event is another organisation's.
    :raises SeatsTakenError: ``contested``, when somebody was at a seat just now.
    """
    allocation = await lock(tx, event_id, allocation_id, organisations)
    allocation.after(AllocationAction.RELEASE)
    await allocations.give_back(tx, allocation, await all_locked(tx, allocation))
    if not await allocations.release(tx, allocation):
        raise SaleDisagreesError("The allocation changed while it was locked.")
    await sale_summaries.mark_changed(tx, event_id)
