"""Verify an address by the link that was mailed to it; opening it twice is no error, mail programs do it."""

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain.account import Action, State, after
from boxoffice.services.identity.domain.link import LinkOverError, Purpose
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.store import links, users
from boxoffice.services.identity.usecases.tell_user import tell_user


async def verify_email(database: Database, *, token: str) -> None:
    """Note that the address of an account is its owner's.

    :raises LinkOverError: when the link is unknown, withdrawn or expired.
    """
    token_hash = secrets.digest(token)
    async with database.transaction() as tx:
        user_id = await links.use(tx, token_hash, Purpose.VERIFY_EMAIL)
        if user_id is None:
            if await links.was_used(tx, token_hash, Purpose.VERIFY_EMAIL) is not None:
                return
            raise LinkOverError("Ask for a new mail on your account page.")
        account = await users.lock(tx, user_id)
        if account is None or account.state is State.ERASED:
            raise LinkOverError("Ask for a new mail on your account page.")
        verified = await users.verify(tx, user_id, after(account.state, Action.VERIFY))
        await tell_user(tx, verified, "identity.user.changed")
