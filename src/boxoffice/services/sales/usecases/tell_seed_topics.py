"""Repeat orders on the seed's two topics, so that its own consumers still hear of holds and tickets.

Done by a consumer, so that the hold itself writes one message and no more.
"""

from uuid import UUID

from boxoffice.contracts.messages.sales import SEED_RESERVATION_TOPIC, SEED_TICKETS_TOPIC, OrderFact
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


async def tell_seed_topics(database: Database, *, message_id: UUID, type_: str, version: int, fact: OrderFact) -> None:
    """Repeat one message of ``sales.order.v1`` under the topic where the seed expects it."""
    topic = TOPIC_OF.get(type_)
    if topic is None:
        return
    async with database.transaction() as tx:
        if await inbox.first_time(tx, consumer=CONSUMER, message_id=message_id):
            await outbox.append(tx, topic=topic, key=str(fact.order_id), type_=type_, version=version, body=fact)
