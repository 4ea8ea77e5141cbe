"""Read what users chose, from the store that the settings name and only if it is kept there.

Nothing is guessed: when it cannot be known, everybody hears that, and mails by choice wait.
"""

from collections.abc import Collection
from dataclasses import dataclass

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.notification.domain.preferences import NOT_CHOSEN, Chosen, PreferenceStore
from boxoffice.services.notification.domain.refusals import AccountGoneError, PreferencesElsewhereError
from boxoffice.services.notification.store import contacts
from boxoffice.services.notification.store import preferences as records


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The store of what users chose, and the database that notes where that is."""

    database: Database
    store: PreferenceStore


async def read_preferences(choices: Choices, user_id: UserId) -> Chosen:
    """Read what a user chose; the defaults, as version 0, when they never did.

    :raises AccountGoneError: when the user was erased.
    :raises DomainError: of category unavailable, when it cannot be known.
    """
    async with choices.database.transaction(readonly=True) as tx:
        await may_use(tx, choices.store, user_id)
    found = (await choices.store.read([user_id])).get(user_id, NOT_CHOSEN)
    if found.erased:
        raise AccountGoneError("The account of this token was closed.")
    return found


async def wanting_mail(choices: Choices, user_ids: Collection[UserId]) -> set[UserId]:
    """Tell which of some users take news by mail.

    :raises DomainError: of category unavailable, when it cannot be known.
    """
    async with choices.database.transaction(readonly=True) as tx:
        await check_home(tx, choices.store)
    found = await choices.store.read(user_ids)
    chosen = {user_id: found.get(user_id, NOT_CHOSEN).preferences for user_id in user_ids}
    return {user_id for user_id, wish in chosen.items() if wish is not None and wish.receive_email}


async def may_use(tx: Connection, store: PreferenceStore, user_id: UserId) -> None:
    """Refuse a user who is gone, and a store that is not the home.

    :raises AccountGoneError: for the first.
    :raises PreferencesElsewhereError: for the second.
    """
    await check_home(tx, store)
    if await contacts.is_erased(tx, user_id):
        raise AccountGoneError("The account of this token was closed.")


async def check_home(tx: Connection, store: PreferenceStore) -> None:
    """Refuse a store that is not the home: what it has, or lacks, says nothing.

    :raises PreferencesElsewhereError: saying where they are.
    """
    home = await records.home(tx)
    if home != store.home:
        raise PreferencesElsewhereError(
            f"They are kept in {home}, and this process looks in {store.home}: see `boxoffice preferences`.",
            home=home, retryAfterSeconds=60,
        )  # fmt: skip
