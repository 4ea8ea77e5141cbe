"""Close the demo's accounts where a shop is none any more: everybody knows their password."""

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain import login
from boxoffice.services.identity.providers.hashing import Hasher
from boxoffice.services.identity.store import logins, users
from boxoffice.services.identity.usecases.ensure_demo_accounts import CLOSED, EMAILS, PASSWORD, demo_id


async def close_demo_accounts(database: Database) -> int:
    """Close those of the demo's accounts that have its password still, and end their logins; tells how many.

    One whose password was changed is somebody's own by now and stays.
    """
    hasher, closed = Hasher(), 0
    for user_id in (UserId(demo_id(email)) for email in EMAILS):
        async with database.connection() as connection:
            account = await users.by_id(connection, user_id)
        known = account.password_hash if account is not None else None
        if known is None or known == CLOSED or not await hasher.matches(known, PASSWORD):
            continue
        async with database.transaction() as tx:
            now = await users.lock(tx, user_id)
            if now is None or now.password_hash != known:  # changed while it was compared
                continue
            await users.set_password(tx, user_id, CLOSED)
            after = login.after(login.State.OPEN, login.Action.REVOKE)
            await logins.close_all(tx, user_id, after, because="demo_over")
        closed += 1
    return closed
