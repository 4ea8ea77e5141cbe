"""Reset a password by the mailed link: the new one replaces the old, and every login of the account ends."""

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain import account as accounts
from boxoffice.services.identity.domain import login
from boxoffice.services.identity.domain import password as passwords
from boxoffice.services.identity.domain.account import State
from boxoffice.services.identity.domain.link import LinkOverError, Purpose
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import links, logins, users
from boxoffice.services.identity.usecases.tell_user import tell_user

OVER = "Ask for a new mail: a link works once, and for half an hour."


async def reset_password(database: Database, hasher: Hasher, *, token: str, password: str) -> None:
    """Set a new password. The link also proves the address, so it verifies it.

    :raises LinkOverError: when the link works no more.
    :raises WeakPasswordError: when the password would be guessed; the link still works then.
    """
    token_hash = secrets.digest(token)
    async with database.connection() as connection:
        user_id = await links.open_for(connection, token_hash, Purpose.RESET_PASSWORD)
        account = await users.by_id(connection, user_id) if user_id else None
    if account is None or account.state is State.ERASED:
        raise LinkOverError(OVER)
    plain = passwords.normal(password)
    passwords.check(plain, email=account.email, name=account.name)
    hashed = await hasher.hash(plain)
    async with database.transaction() as tx:
        # Used up only now, by compare-and-set: of two calls with one link one sets the password.
        used_by = await links.use(tx, token_hash, Purpose.RESET_PASSWORD)
        current = await users.lock(tx, used_by) if used_by else None
        if current is None or current.state is State.ERASED:
            raise LinkOverError(OVER)
        await users.set_password(tx, current.user_id, hashed)
        revoked = login.after(login.State.OPEN, login.Action.REVOKE)
        await logins.close_all(tx, current.user_id, revoked, because="password_reset")
        if current.state is State.UNVERIFIED:
            verified = await users.verify(tx, current.user_id, accounts.after(current.state, accounts.Action.VERIFY))
            await tell_user(tx, verified, "identity.user.changed")
