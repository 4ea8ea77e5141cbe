"""Messages in: each goes to its use case, which writes the inbox record in its own transaction."""

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import identity, sales
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.database import Database
from boxoffice.services.notification.usecases.keep_contact import CONSUMER, keep_contact
from boxoffice.services.notification.usecases.queue_link_mail import queue_link_mail
from boxoffice.services.notification.usecases.queue_order_mail import queue_order_mail

TAKERS = {
    identity.TOPIC: keep_contact,
    identity.MAIL_TOPIC: queue_link_mail,
    sales.ORDER_TOPIC: queue_order_mail,
}


def consumer(database: Database) -> Consumer:
    """Build the consumer of everything that people are told."""

    async def take(envelope: Envelope) -> None:
        await TAKERS[envelope.topic](database, envelope)

    return Consumer(name=CONSUMER, topics=list(TAKERS), take=take)
