"""Set seats of an event aside in an allocation; never seats that somebody has.

The allocation is locked, then the seats that are nobody's, passing over those that another request has just now (the
hold passes over ours): so a seat is set aside or held, never both. Everything that is wished for, or nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from boxoffice.kernel.ids import EventId, OrganisationId, SeatId
from boxoffice.runtime.database import Connection
from boxoffice.services.sales.domain.allocation import (
    MOST_SEATS,
    Allocation,
    AllocationAction,
    AllocationNotFoundError,
    SeatsSetAsideError,
    Selection,
    named,
)
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsTakenError, SeatsUnknownError
from boxoffice.services.sales.store import allocations, areas, sale_summaries
from boxoffice.services.sales.usecases.place_hold import pause

T = TypeVar("T")
MOST_RETRIES = 25
"""Half a second in all: an organiser's move may be of thousands of seats, one of which somebody is always at."""


async def set_seats_aside(
    tx: Connection,
    event_id: EventId,
    allocation_id: int,
    selection: Selection,
    *,
    organisations: Sequence[OrganisationId],
) -> None:
    """Set seats aside in a closed allocation; those that are in it already stay so, blocked ones stay blocked.

    :raises AllocationNotFoundError: when there is none, or the event is another organisation's.
    :raises WrongAllocationStateError: when it is open.
    :raises BadSelectionError: when the selection cannot be meant, or is of general admission.
    :raises SeatsUnknownError: when an id is no seat of the event.
    :raises SeatsTakenError: when a seat is held, being paid for or sold; ``contested``: it was only locked just now.
    :raises SeatsSetAsideError: when a seat is in another allocation.
    """
    allocation = await lock(tx, event_id, allocation_id, organisations)
    allocation.after(AllocationAction.SET_ASIDE)
    wanted = await chosen(tx, event_id, selection)
    got = await allocations.set_aside(tx, allocation, wanted)
    if len(got) != len(wanted):
        await _refuse(tx, allocation, sorted(set(wanted) - set(got)))
    await sale_summaries.mark_changed(tx, event_id)


async def lock(
    tx: Connection, event_id: EventId, allocation_id: int, organisations: Sequence[OrganisationId]
) -> Allocation:
    """Lock an allocation for its organisers.

    :raises AllocationNotFoundError: when there is none, it is released, or the event is another organisation's.
    """
    found = await allocations.lock(tx, event_id, allocation_id, organisations)
    if found is None:
        raise AllocationNotFoundError("There is no such allocation.")
    return found


async def chosen(tx: Connection, event_id: EventId, selection: Selection) -> list[SeatId]:
    """List the seats that a selection means, with what is sold together with them.

    :raises BadSelectionError: when it cannot be meant, or names places without seats.
    :raises SeatsUnknownError: when an id is of another event.
    """
    selection.check(event_id)
    seat_ids: Sequence[SeatId] = selection.seat_ids
    if selection.section is not None:
        known = await allocations.rows_of(tx, event_id, selection.section)
        unknown = sorted(set(selection.rows or ()) - known)
        if not known or unknown:
            raise BadSelectionError("The house has no such section or row.", section=selection.section, rows=unknown)
        seat_ids = await allocations.of_section(tx, event_id, selection.section, selection.rows)
    if len(seat_ids) > MOST_SEATS:
        raise BadSelectionError(f"At most {MOST_SEATS} seats in one call; name rows.", most=MOST_SEATS)
    if await areas.count_among(tx, seat_ids):
        raise BadSelectionError("Places of general admission are all alike: block so many of them instead.")
    return await allocations.with_bundles(tx, event_id, seat_ids)


async def _refuse(tx: Connection, allocation: Allocation, seat_ids: Sequence[SeatId]) -> None:
    missed = await allocations.missed(tx, allocation, seat_ids)
    unknown = [one.seat_id for one in missed if one.section is None]
    if unknown:
        raise SeatsUnknownError("These are no seats of the event.", ticketIds=unknown)
    places = [(one.seat_id, one.section or "", one.row, one.number) for one in missed]
    elsewhere = [place for place, one in zip(places, missed, strict=True) if one.elsewhere]
    if elsewhere:
        raise SeatsSetAsideError("Give them back there first.", setAside=named(elsewhere))
    taken = [place for place, one in zip(places, missed, strict=True) if not one.open]
    raise SeatsTakenError(
        "Seats that are held or sold cannot be set aside.", contested=not taken, taken=named(taken or places)
    )


async def patiently(move: Callable[[], Awaitable[T]]) -> T:
    """Make a move, a transaction of its own, again when a seat of it was only locked by a hold, which is over in ms.

    :raises SeatsTakenError: when somebody was at the seats each time.
    """
    for _ in range(MOST_RETRIES):
        try:
            return await move()
        except SeatsTakenError as refusal:
            if not refusal.contested:
                raise
        await pause()
    return await move()
