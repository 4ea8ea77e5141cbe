"""Erase what sales keeps of a person beyond the books: whom they named on tickets. Orders stay, under an id alone."""

from uuid import UUID

from boxoffice.kernel.ids import UserId
from boxoffice.runtime import inbox
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import attendees

CONSUMER = "sales-erasure"


async def erase_customer(database: Database, *, message_id: UUID, user_id: UserId) -> None:
    """Take one ``identity.user.erased``."""
    async with database.transaction() as tx:
        if await inbox.first_time(tx, consumer=CONSUMER, message_id=message_id):
            await attendees.forget_of_user(tx, user_id)
