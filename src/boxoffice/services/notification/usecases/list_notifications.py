"""List what was or is to be sent to a user, newest first; nobody sees another's (I14: the user is in the WHERE)."""

from collections.abc import Sequence
from typing import Any

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Database
from boxoffice.services.notification.store import mail_jobs


async def list_notifications(
    database: Database, user_id: UserId, *, page_number: int, page_size: int
) -> tuple[Sequence[Any], int]:
    """Give one page (numbered from 0) and the count of all."""
    async with database.transaction(readonly=True) as tx:
        return await mail_jobs.of_user(tx, user_id, limit=page_size, skip=page_number * page_size)
