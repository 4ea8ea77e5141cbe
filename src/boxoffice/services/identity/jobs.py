"""Timers: answer the wishes of those who forgot a password, and forget what ended long ago."""

from boxoffice.runtime.database import Database
from boxoffice.runtime.jobs import Job
from boxoffice.services.identity.store import links, logins
from boxoffice.services.identity.usecases.forgot_password import answer_wishes

ANSWER_EVERY_S = 0.5
"""A person waits for this mail."""
TIDY_EVERY_S = 3_600.0
KEEP_DAYS = 30
"""Ended logins and links stay this long, for questions about who was where."""
AT_MOST = 1_000
"""Deleted in one go; more are left for the next round, so that no statement is long."""


def jobs(database: Database, *, public_url: str) -> list[Job]:
    """List the timers of identity."""

    async def answer() -> int:
        return await answer_wishes(database, public_url=public_url)

    async def tidy() -> int:
        async with database.connection() as connection:
            gone = await logins.forget_old(connection, days=KEEP_DAYS, at_most=AT_MOST)
            gone += await links.forget_old(connection, days=KEEP_DAYS, at_most=AT_MOST)
        return gone // AT_MOST

    return [
        Job(name="identity.reset_mails", every_seconds=ANSWER_EVERY_S, run=answer),
        Job(name="identity.tidy", every_seconds=TIDY_EVERY_S, run=tidy),
    ]
