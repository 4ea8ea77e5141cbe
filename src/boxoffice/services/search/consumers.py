"""Messages in: the catalog's events and how they sell, many at a time, into the index; and the events table's rows.

There is no inbox: versions make a repeat a no-op, and a batch is acknowledged after its commit.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.http.catalog import Peers
from boxoffice.contracts.messages import catalog, sales
from boxoffice.contracts.messages.catalog import EventRow, RowChange
from boxoffice.runtime.bus import Bus, Consumer
from boxoffice.services.search.domain.listing import Change
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.follow_rows import changes_of, lacking
from boxoffice.services.search.usecases.read_messages import change_of
from boxoffice.services.search.usecases.take_changes import Intake

CONSUMER, ROWS_CONSUMER = "search", "search-rows"
TOMBSTONE = b"null"
GRACE_S = 2.0
"""The catalog's own message of a change has so long to arrive before its row makes us ask: it tells more."""
TOPICS = (catalog.TOPIC, sales.EVENT_TOPIC)


def consumer(intake: Intake) -> Consumer:
    """Build the consumer that feeds an index."""

    async def take(envelope: Envelope) -> None:
        await intake.take([change_of(envelope)])

    async def take_many(envelopes: Sequence[Envelope]) -> None:
        await intake.take([change_of(envelope) for envelope in envelopes])

    return Consumer(name=CONSUMER, topics=TOPICS, take=take, take_many=take_many)


def rows_consumer(shelf: Shelf, intake: Intake, peers: Peers) -> Consumer:
    """Build the consumer that puts right by the events table what messages did not tell."""

    async def take_many(envelopes: Sequence[Envelope]) -> None:
        rows = [row_of(envelope) for envelope in envelopes]
        if not await lacking(shelf, rows):
            return
        age_s = (datetime.now(UTC) - envelopes[-1].occurred_at).total_seconds()
        await asyncio.sleep(min(max(0.0, GRACE_S - age_s), GRACE_S))
        if still := await lacking(shelf, rows):
            await intake.take(await changes_of(peers, still))

    async def take(envelope: Envelope) -> None:
        await take_many([envelope])

    return Consumer(name=ROWS_CONSUMER, topics=(catalog.ROWS_TOPIC,), take=take, take_many=take_many)


def row_of(envelope: Envelope) -> EventRow:
    """Read a row's newest state: of a deleted one its id alone, and so of a tombstone, which has no value at all.

    :raises msgspec.ValidationError: when the body is no change of a row.
    """
    change = None if bytes(envelope.body) == TOMBSTONE else envelope.read(RowChange)
    if change is None or change.after is None:
        return EventRow(id=int(envelope.key))
    return change.after


async def retained_sales(bus: Bus) -> AsyncIterator[Change]:
    """Read again what the stream still keeps of how events sell."""
    async for envelope in bus.retained(sales.EVENT_TOPIC):
        yield change_of(envelope)
