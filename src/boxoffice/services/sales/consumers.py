"""Messages in: the catalog's events, users who are gone, our own orders (for the summary and the seed's topics)."""

from collections.abc import Sequence

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog, identity
from boxoffice.contracts.messages.sales import ORDER_TOPIC
from boxoffice.kernel.ids import EventId, UserId
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases import erase_customer, summarise_sales, take_event_terms
from boxoffice.services.sales.usecases.keep_houses import Houses


class HouseOfEvent(msgspec.Struct, frozen=True, rename="camel"):
    """Of an event's fact, its id: nothing else is read."""

    event_id: int


class HouseOfOrder(msgspec.Struct, frozen=True, rename="camel"):
    """Of an order's fact, which house it is about."""

    event: HouseOfEvent


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

    async def take_orders(messages: Sequence[Envelope]) -> None:
        events = {EventId(message.read(HouseOfOrder).event.event_id) for message in messages}
        await houses.tell(events)
        await summarise_sales.take_order_changes(database, sorted(events))

    async def take_order(message: Envelope) -> None:
        await take_orders([message])

    return [
        Consumer(name=take_event_terms.CONSUMER, topics=[catalog.TOPIC], take=take_event),
        Consumer(name=erase_customer.CONSUMER, topics=[identity.TOPIC], take=take_user),
        Consumer(
            name=summarise_sales.CONSUMER, topics=[ORDER_TOPIC], take=take_order, take_many=take_orders,
            replaces=["sales-seed-topics", "sales-houses"],
        ),
    ]  # fmt: skip
