"""Change what is said of an event; a published one keeps what people buy by."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain import event as rules
from boxoffice.services.catalog.domain.event import Action, Event
from boxoffice.services.catalog.domain.refusals import BadEventError, ChangedMeanwhileError, EventNotFoundError
from boxoffice.services.catalog.store import events
from boxoffice.services.catalog.usecases.describe_event import Defaults, Wish, describe_event
from boxoffice.services.catalog.usecases.tell_event import CHANGED, tell_event


async def change_event(
    tx: Connection,
    event_id: int,
    wish: Wish,
    *,
    organisations: Sequence[UUID],
    organisation: UUID | None,
    defaults: Defaults,
    expected_version: int | None,
) -> Event:
    """Change an event of one of the organisations; ``organisation`` is the one that the body names, if any.

    :raises EventNotFoundError: when none of them has it.
    :raises ChangedMeanwhileError: when it is not the version that the caller has seen.
    :raises MoveRefusedError: when its state does not allow it.
    :raises FrozenError: when it is published and something changes that people buy by.
    """
    event = await own_event(tx, event_id, organisations, expected_version)
    rules.next_state(event.state, Action.CHANGE)
    if organisation not in {None, event.organisation_id}:
        raise BadEventError("An event stays with its organisation.", field="organisationId")
    terms = await describe_event(tx, wish, organisation=event.organisation_id, defaults=defaults, before=event.terms)
    rules.check_change(event.state, event.terms, terms)
    if terms == event.terms:
        return event
    await events.change(tx, [events.record_of(terms, id=event_id)])
    return await tell_event(tx, event_id, CHANGED)


async def own_event(
    tx: Connection, event_id: int, organisations: Sequence[UUID], expected_version: int | None = None
) -> Event:
    """Find an event to change, and keep it until the end of the transaction.

    :raises EventNotFoundError: when none of the organisations has it.
    :raises ChangedMeanwhileError: when it is not the expected version.
    """
    event = await events.lock_own(tx, event_id, organisations)
    if event is None:
        raise EventNotFoundError("There is no such event among yours.", eventId=event_id)
    if expected_version not in {None, event.version}:
        raise ChangedMeanwhileError(f"It is at version {event.version} now.", version=event.version)
    return event
