"""Create an event as a draft, which only its organisation sees."""

from uuid import UUID

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain.event import Event, State
from boxoffice.services.catalog.store import events
from boxoffice.services.catalog.usecases.describe_event import Defaults, Wish, describe_event
from boxoffice.services.catalog.usecases.tell_event import DRAFTED, tell_event


async def create_event(tx: Connection, wish: Wish, *, organisation: UUID, defaults: Defaults) -> Event:
    """Create it.

    :raises UnknownVenueError: when the venue is not one of the organisation's (and likewise category and seat map).
    :raises BadEventError: when the event cannot be.
    """
    terms = await describe_event(tx, wish, organisation=organisation, defaults=defaults)
    made = await events.insert(tx, [events.record_of(terms, organisation_id=organisation, status=State.DRAFT)])
    return await tell_event(tx, made[0], DRAFTED)
