"""Forgot a password: note the wish, and say the same to everybody. A job looks later whether the address is known.

Noting is one insert whether there is an account or not; the answer tells nothing, neither by its words nor by its time.
"""

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain import account as rules
from boxoffice.services.identity.domain.account import State
from boxoffice.services.identity.domain.link import PAUSE_S, Purpose
from boxoffice.services.identity.store import links, users
from boxoffice.services.identity.usecases.mail_link import mail_link

BATCH = 50
"""Wishes answered in one transaction; each is three short statements."""


async def forgot_password(database: Database, *, email: str) -> None:
    """Note that somebody forgot the password of an address.

    :raises BadAccountError: when it is no address at all.
    """
    key = rules.email_key(rules.read_email(email))
    async with database.connection() as connection:
        await links.ask(connection, key)


async def answer_wishes(database: Database, *, public_url: str) -> int:
    """Have reset links mailed to the addresses that have an account; returns how many wishes were taken."""
    async with database.transaction() as tx:
        keys = await links.take_asked(tx, at_most=BATCH)
        for key in keys:
            account = await users.by_email(tx, key)
            if account is None or account.state is State.ERASED:
                continue
            if await links.issued_within(tx, account.user_id, Purpose.RESET_PASSWORD, seconds=PAUSE_S):
                continue
            await mail_link(tx, account, Purpose.RESET_PASSWORD, public_url=public_url)
        return len(keys)
