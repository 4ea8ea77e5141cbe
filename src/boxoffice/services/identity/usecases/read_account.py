"""Read one's own account, with the roles and organisations of now (a token has those of its issue)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain.account import AccountClosedError, State, roles
from boxoffice.services.identity.store import logins, organisations, users
from boxoffice.services.identity.store.organisations import Organisation
from boxoffice.services.identity.store.users import Account

CLOSED = "The account of this token was closed."


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccount:
    """An account as its owner sees it."""

    account: Account
    roles: list[str]
    organisations: Sequence[Organisation]


async def read_account(database: Database, user_id: UUID) -> OwnAccount:
    """Read an account.

    :raises AccountClosedError: when it was erased.
    """
    async with database.connection() as connection:
        account = await users.by_id(connection, user_id)
        if account is None or account.state is State.ERASED:
            raise AccountClosedError(CLOSED)
        found = await organisations.of_user(connection, user_id)
    memberships = {entry.organisation_id: entry.role or "" for entry in found}
    return OwnAccount(
        account=account, roles=roles(staff_roles=account.staff_roles, memberships=memberships), organisations=found
    )


async def list_logins(database: Database, user_id: UUID) -> Sequence[tuple[datetime, str, datetime | None]]:
    """List a user's logins, newest first: begun, state, closed."""
    async with database.connection() as connection:
        return await logins.of_user(connection, user_id)
