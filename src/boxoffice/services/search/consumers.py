"""Messages in: the catalog's events and how they sell, many at a time, into the index.

There is no inbox: versions make a repeat a no-op, and a batch is acknowledged after its commit.
"""

from collections.abc import AsyncIterator, Sequence

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog, sales
from boxoffice.runtime.bus import Bus, Consumer
from boxoffice.services.search.domain.listing import Change
from boxoffice.services.search.usecases.read_messages import change_of
from boxoffice.services.search.usecases.take_changes import Intake

CONSUMER = "search"
TOPICS = (catalog.TOPIC, sales.EVENT_TOPIC)


def consumer(intake: Intake) -> Consumer:
    """Build the consumer that feeds an index."""

    async def take(envelope: Envelope) -> None:
        await intake.take([change_of(envelope)])

    async def take_many(envelopes: Sequence[Envelope]) -> None:
        await intake.take([change_of(envelope) for envelope in envelopes])

    return Consumer(name=CONSUMER, topics=TOPICS, take=take, take_many=take_many)


async def retained_sales(bus: Bus) -> AsyncIterator[Change]:
    """Read again what the stream still keeps of how events sell."""
    async for envelope in bus.retained(sales.EVENT_TOPIC):
        yield change_of(envelope)
