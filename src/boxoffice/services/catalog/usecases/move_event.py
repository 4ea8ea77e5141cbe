"""Move an event through its states: publish, reschedule, cancel, delete."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.contracts.messages.catalog import EventType
from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain import event as rules
from boxoffice.services.catalog.domain import instants
from boxoffice.services.catalog.domain.event import Action, Event
from boxoffice.services.catalog.store import events
from boxoffice.services.catalog.usecases.change_event import own_event
from boxoffice.services.catalog.usecases.tell_event import CANCELLED, DELETED, PUBLISHED, RESCHEDULED, tell_event


async def publish_event(tx: Connection, event_id: int, *, organisations: Sequence[UUID]) -> Event:
    """Let everybody see a draft; it goes on sale when its terms say.

    :raises EventNotFoundError: when none of the organisations has it.
    :raises MoveRefusedError: when it is no draft.
    """
    return await _move(tx, event_id, Action.PUBLISH, PUBLISHED, organisations)


async def cancel_event(tx: Connection, event_id: int, *, organisations: Sequence[UUID]) -> Event:
    """Call a published event off; what was bought is voided and refunded by sales, which hears of it.

    :raises EventNotFoundError: when none of the organisations has it.
    :raises MoveRefusedError: when it is not published.
    """
    return await _move(tx, event_id, Action.CANCEL, CANCELLED, organisations)


async def delete_event(tx: Connection, event_id: int, *, organisations: Sequence[UUID]) -> None:
    """Delete a draft.

    :raises EventNotFoundError: when none of the organisations has it.
    :raises MoveRefusedError: when it was published: cancel it instead.
    """
    await _move(tx, event_id, Action.DELETE, DELETED, organisations)


async def reschedule_event(
    tx: Connection, event_id: int, *, start_time: str, end_time: str, organisations: Sequence[UUID]
) -> Event:
    """Move a published event to other times; a time without an offset is read in the venue's zone.

    :raises EventNotFoundError: when none of the organisations has it.
    :raises MoveRefusedError: when it is not published.
    :raises BadTimeError: when a time cannot be read.
    :raises BadEventError: when it would end before it starts.
    """
    event = await own_event(tx, event_id, organisations)
    after = rules.next_state(event.state, Action.RESCHEDULE)
    starts_at = instants.read(start_time, event.venue.time_zone)
    ends_at = instants.read(end_time, event.venue.time_zone)
    rules.check_times(starts_at, ends_at)
    await events.move(tx, event_id, after, starts_at=starts_at, ends_at=ends_at)
    return await tell_event(tx, event_id, RESCHEDULED)


async def _move(
    tx: Connection, event_id: int, action: Action, told_as: EventType, organisations: Sequence[UUID]
) -> Event:
    event = await own_event(tx, event_id, organisations)
    await events.move(tx, event_id, rules.next_state(event.state, action))
    return await tell_event(tx, event_id, told_as)
