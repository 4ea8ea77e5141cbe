"""Messages in: the catalog's events, users who are gone; and what our own orders change on their way out."""

from collections.abc import Collection

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog, identity
from boxoffice.contracts.messages.sales import ORDER_TOPIC
from boxoffice.kernel.ids import EventId, UserId
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.database import Database
from boxoffice.runtime.relay import Notice
from boxoffice.services.sales.usecases import erase_customer, summarise_sales, take_event_terms
from boxoffice.services.sales.usecases.keep_houses import Houses

RETIRED = ("sales-seed-topics", "sales-houses", "sales-summary")
"""Consumers of our own orders that there were; see ``own_orders``."""


class HouseOfEvent(msgspec.Struct, frozen=True, rename="camel"):
    """Of an event's fact, its id: nothing else is read."""

    event_id: int


def consumers(database: Database, houses: Houses) -> list[Consumer]:
    """List what sales listens to; each notes in its own transaction what it took."""

    async def take_event(message: Envelope) -> None:
        await take_event_terms.take_event_terms(
            database,
            message_id=message.message_id,
            fact=message.read(catalog.EventFact),
            version=message.version,
        )
        await houses.tell([EventId(message.read(HouseOfEvent).event_id)])

    async def take_user(message: Envelope) -> None:
        if message.type_ == "identity.user.erased":
            await erase_customer.erase_customer(
                database, message_id=message.message_id, user_id=UserId(message.read(identity.UserFact).user_id)
            )

    return [
        Consumer(
            name=take_event_terms.CONSUMER, topics=[catalog.TOPIC], take=take_event, replaces={ORDER_TOPIC: RETIRED},
        ),
        Consumer(name=erase_customer.CONSUMER, topics=[identity.TOPIC], take=take_user),
    ]  # fmt: skip


def own_orders(database: Database, houses: Houses) -> Notice:
    """Tell what our own orders change, as the relay carries them: which houses to read and which events to count anew.

    Reading them back from the bus would cost a fifth of a hold. A repeat only has a house read once more.
    """

    async def take(events: Collection[str]) -> None:
        changed = {EventId(int(event)) for event in events}
        await houses.tell(changed)
        await summarise_sales.take_order_changes(database, changed)

    return Notice(topic=ORDER_TOPIC, path=("event", "eventId"), take=take)
