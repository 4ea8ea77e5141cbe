"""Erase one's account: what tells who it was goes, here at once, elsewhere by the message; its id stays in orders."""

from uuid import UUID

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain.account import Action, State, after, email_key
from boxoffice.services.identity.domain.organisation import LastOwnerError
from boxoffice.services.identity.store import links, logins, organisations, users
from boxoffice.services.identity.usecases.register import principal
from boxoffice.services.identity.usecases.tell_user import tell_user


async def erase_account(database: Database, user_id: UUID) -> None:
    """Erase an account; erasing it again is no error.

    :raises LastOwnerError: when an organisation would be left without an owner.
    """
    async with database.transaction() as tx:
        account = await users.lock(tx, user_id)
        if account is None or account.state is State.ERASED:
            return
        if orphaned := await organisations.only_owner_of(tx, user_id):
            raise LastOwnerError(
                "Make somebody else an owner first.", organisationIds=[str(found) for found in orphaned]
            )
        await organisations.leave_all(tx, user_id)
        await logins.erase(tx, user_id)
        await links.erase(tx, user_id)
        erased = await users.erase(
            tx, user_id, after(account.state, Action.ERASE), principals=[user_id, principal(email_key(account.email))]
        )
        await tell_user(tx, erased, "identity.user.erased")
