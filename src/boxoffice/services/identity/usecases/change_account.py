"""Change one's name or phone number. The address is not changed here: a new one would have to be verified first."""

from dataclasses import dataclass
from uuid import UUID

from boxoffice.runtime.database import Database
from boxoffice.services.identity.domain import account as rules
from boxoffice.services.identity.domain.account import AccountClosedError, State
from boxoffice.services.identity.store import users
from boxoffice.services.identity.usecases.read_account import CLOSED
from boxoffice.services.identity.usecases.tell_user import tell_user


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The new values; none leaves a field as it is, an empty phone number takes it away."""

    name: str | None = None
    phone: str | None = None


async def change_account(database: Database, user_id: UUID, change: Change) -> None:
    """Write the new values.

    :raises BadAccountError: when a value cannot be one.
    :raises AccountClosedError: when the account was erased.
    """
    name = rules.read_name(change.name) if change.name is not None else None
    phone = rules.read_phone(change.phone) if change.phone else None
    async with database.transaction() as tx:
        account = await users.lock(tx, user_id)
        if account is None or account.state is State.ERASED:
            raise AccountClosedError(CLOSED)
        changed = await users.change(
            tx,
            user_id,
            name=account.name if name is None else name,
            phone=account.phone if change.phone is None else phone,
        )
        if changed is not None:
            await tell_user(tx, changed, "identity.user.changed")
