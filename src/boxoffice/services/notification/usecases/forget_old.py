"""Forget mails that ended long ago, and inbox records that no message can repeat any more."""

from boxoffice.runtime.database import Database
from boxoffice.services.notification.store import mail_jobs

KEPT_MAIL_DAYS = 400
"""Somebody who asks about last season's mail still finds that it was sent."""
KEPT_INBOX_DAYS = 30
"""Senders forget what they told after 7 days, so nothing older can come again."""


async def forget_old(database: Database) -> int:
    """Forget; returns 0, since there is no more to do at once."""
    async with database.transaction() as tx:
        await mail_jobs.forget(tx, mail_days=KEPT_MAIL_DAYS, inbox_days=KEPT_INBOX_DAYS)
    return 0
