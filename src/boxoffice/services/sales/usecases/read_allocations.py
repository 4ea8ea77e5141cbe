"""Read an event's allocations with how their seats stand, for its organisers; to others there is no such event."""

from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.allocation import Allocation, AllocationNotFoundError
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import allocations
from boxoffice.services.sales.store.allocations import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAllocation:
    """An allocation and its seats by row, in the order of the house."""

    allocation: Allocation
    parts: list[Part]


async def allocations_of_event(
    database: Database, event_id: EventId, organisations: Sequence[OrganisationId]
) -> list[ShownAllocation]:
    """List the allocations of an event that are not released, in the order in which they were made.

    :raises EventNotFoundError: when there is no such event, or it is another organisation's.
    """
    found = await allocations.of_event(database, event_id, organisations)
    if not found and not await allocations.is_owned(database, event_id, organisations):
        raise EventNotFoundError("There is no such event.")
    parts = await allocations.parts(database, event_id, [one.allocation_id for one in found])
    return [ShownAllocation(allocation=one, parts=parts[one.allocation_id]) for one in found]


async def show_allocation(
    source: Database | Connection, event_id: EventId, allocation_id: int, organisations: Sequence[OrganisationId]
) -> ShownAllocation:
    """Show one allocation.

    :raises AllocationNotFoundError: when there is none, it is released, or the event is another organisation's.
    """
    found = await allocations.own(source, event_id, allocation_id, organisations)
    if found is None:
        raise AllocationNotFoundError("There is no such allocation.")
    parts = await allocations.parts(source, event_id, [allocation_id])
    return ShownAllocation(allocation=found, parts=parts[allocation_id])
