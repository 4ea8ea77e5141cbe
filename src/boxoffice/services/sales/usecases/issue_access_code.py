"""Make an access code for an allocation, or take it back; it is shown once, and only its hash is kept."""

import secrets
from collections.abc import Sequence

from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.access_code import BITS, digest, spell
from boxoffice.services.sales.domain.allocation import AllocationNotFoundError, WrongAllocationStateError
from boxoffice.services.sales.store import allocations


async def issue_access_code(
    tx: Connection, event_id: EventId, allocation_id: int, *, organisations: Sequence[OrganisationId]
) -> str:
    """Make a new code; the one before opens nothing from now on.

    :raises AllocationNotFoundError: when there is no such allocation, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open to everybody, or killed.
    """
    code = spell(secrets.randbits(BITS))
    await _keep(tx, event_id, allocation_id, organisations, digest(code))
    return code


async def withdraw_access_code(
    tx: Connection, event_id: EventId, allocation_id: int, *, organisations: Sequence[OrganisationId]
) -> None:
    """Take the code back: it opens nothing from now on. What was held or bought with it stays.

    :raises AllocationNotFoundError: when there is no such allocation, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open to everybody, or killed.
    """
    await _keep(tx, event_id, allocation_id, organisations, None)


async def _keep(
    tx: Connection,
    event_id: EventId,
    allocation_id: int,
    organisations: Sequence[OrganisationId],
    code_hash: bytes | None,
) -> None:
    if await allocations.keep_code(tx, event_id, allocation_id, organisations, code_hash=code_hash):
        return
    found = await allocations.own(tx, event_id, allocation_id, organisations)
    if found is None:
        raise AllocationNotFoundError("There is no such allocation.")
    raise WrongAllocationStateError(
        "Only a closed allocation that may be bought from has an access code.",
        state=found.state.value, kind=found.kind.value,
    )  # fmt: skip
