"""Create an allocation of an event, with its first seats or without; for the event's own organisers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import (
    MOST_ALLOCATIONS,
    AllocationKind,
    BadAllocationError,
    Selection,
    TooManyAllocationsError,
    check_terms,
)
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import allocations
from boxoffice.services.sales.usecases.set_seats_aside import set_seats_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A new allocation; without ``release_at`` it stays closed until somebody opens it."""

    kind: AllocationKind
    name: str
    release_at: datetime | None = None


async def create_allocation(
    tx: Connection, event_id: EventId, plan: Plan, selection: Selection, *, organisations: Sequence[OrganisationId]
) -> int:
    """Create an allocation, with seats or without; returns its id.

    :raises EventNotFoundError: when there is no such event, or it is another organisation's.
    :raises BadAllocationError: when it has no name, or its release time cannot be.
    :raises TooManyAllocationsError: when the event has 200 of them.
    :raises DomainError: what :func:`set_seats_aside` refuses.
    """
    name = check_terms(plan.kind, plan.name, plan.release_at)
    if not await allocations.is_owned(tx, event_id, organisations):
        raise EventNotFoundError("There is no such event.")
    made = await allocations.create(
        tx, event_id, organisations, kind=plan.kind, name=name, release_at=plan.release_at, most=MOST_ALLOCATIONS
    )
    if made is None:
        if len(await allocations.of_event(tx, event_id, organisations)) >= MOST_ALLOCATIONS:
            raise TooManyAllocationsError("Release one that is over.", most=MOST_ALLOCATIONS)
        raise BadAllocationError("The release time has passed: name one to come, or none.")
    if not selection.is_empty:
        await set_seats_aside(tx, event_id, made, selection, organisations=organisations)
    return made
