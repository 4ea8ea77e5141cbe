"""Keep how to reach a user, as identity told it; forget it when the user is gone. Preferences are erased by a job."""

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages.identity import UserFact
from boxoffice.kernel.ids import UserId
from boxoffice.runtime import inbox
from boxoffice.runtime.database import Database
from boxoffice.services.notification.store import contacts, mail_jobs

CONSUMER = "notification"
ERASED = "identity.user.erased"


async def keep_contact(database: Database, envelope: Envelope) -> None:
    """Take one message of ``identity.user.v1``; mails that waited for the address become due."""
    fact = envelope.read(UserFact)
    user_id = UserId(fact.user_id)
    async with database.transaction() as tx:
        if not await inbox.first_time(tx, consumer=CONSUMER, message_id=envelope.message_id):
            return
        if envelope.type_ == ERASED:
            await contacts.erase(tx, user_id, version=envelope.version)
            await mail_jobs.drop_of_user(tx, user_id)
        else:
            await contacts.keep(tx, fact, version=envelope.version)
            await mail_jobs.wake(tx, user_id)
