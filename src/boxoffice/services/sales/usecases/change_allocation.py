"""Change a closed allocation: its name, or when it opens by itself."""

from collections.abc import Sequence
from datetime import datetime

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import AllocationAction, BadAllocationError, check_terms
from boxoffice.services.sales.store import allocations, sale_summaries
from boxoffice.services.sales.usecases.give_seats_back import all_locked
from boxoffice.services.sales.usecases.set_seats_aside import lock


async def change_allocation(
    tx: Connection,
    event_id: EventId,
    allocation_id: int,
    *,
    organisations: Sequence[OrganisationId],
    name: str | None,
    release_at: datetime | None,
    keeps_release: bool,
) -> None:
    """Name a closed allocation otherwise, or let it open at another time (none: when somebody opens it).

    ``keeps_release``: the time stays as it is.

    :raises AllocationNotFoundError: when there is none, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open, if only by now.
    :raises BadAllocationError: when it would have no name, or its release time cannot be.
    :raises SeatsTakenError: ``contested``, when somebody was at a seat just now.
    """
    allocation = await lock(tx, event_id, allocation_id, organisations)
    allocation.after(AllocationAction.CHANGE)
    until = allocation.release_at if keeps_release else release_at
    called = check_terms(allocation.kind, allocation.name if name is None else name, until)
    if not keeps_release:
        await all_locked(tx, allocation)
    if not await allocations.change(tx, allocation, name=called, release_at=until):
        now = await lock(tx, event_id, allocation_id, organisations)
        now.after(AllocationAction.CHANGE)
        raise BadAllocationError("The release time has passed: name one to come, or open it now.")
    if not keeps_release:
        await allocations.close_until(tx, allocation, until)
    await sale_summaries.mark_changed(tx, event_id)
