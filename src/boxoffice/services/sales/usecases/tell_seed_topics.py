"""Repeat orders on the seed's two topics, so that its own consumers still hear of holds and tickets.

Done by a consumer, so that the hold itself writes one message and no more.
"""

from collections.abc import Sequence

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages.sales import SEED_RESERVATION_TOPIC, SEED_TICKETS_TOPIC
from boxoffice.runtime import inbox, outbox
from boxoffice.runtime.database import Database

CONSUMER = "sales-seed-topics"
TOPIC_OF = {
    "sales.order.held": SEED_RESERVATION_TOPIC,
    "sales.order.released": SEED_RESERVATION_TOPIC,
    "sales.order.confirmed": SEED_TICKETS_TOPIC,
    "sales.order.exchanged": SEED_TICKETS_TOPIC,
    "sales.order.cancelled": SEED_TICKETS_TOPIC,
}


async def tell_seed_topics(database: Database, messages: Sequence[Envelope]) -> None:
    """Repeat messages of ``sales.order.v1`` under the topics where the seed expects them, each once, in order."""
    wanted = [message for message in messages if message.type_ in TOPIC_OF]
    if not wanted:
        return
    async with database.transaction() as tx:
        new = await inbox.first_times(tx, consumer=CONSUMER, message_ids=[message.message_id for message in wanted])
        repeated = [(TOPIC_OF[message.type_], message) for message in wanted if message.message_id in new]
        if repeated:
            await outbox.repeat_on(tx, repeated)
