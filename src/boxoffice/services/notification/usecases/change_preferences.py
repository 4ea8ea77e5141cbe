"""Change which ways one wants news on, and in which language."""

from boxoffice.kernel.ids import UserId
from boxoffice.services.notification.domain.preferences import Chosen, Preferences, read_language
from boxoffice.services.notification.usecases.read_preferences import Choices, may_use


async def change_preferences(
    choices: Choices, user_id: UserId, wanted: Preferences, *, expected: int | None = None
) -> Chosen:
    """Write what a user wants; with an ``expected`` version only over that one, so that no change undoes another.

    :raises BadPreferencesError: when the language is no language tag.
    :raises PreferencesChangedError: when the version is not the expected one.
    :raises AccountGoneError: when the user was erased.
    :raises DomainError: of category unavailable, when the store is away.
    """
    read_language(wanted.language)
    async with choices.database.transaction(readonly=True) as tx:
        await may_use(tx, choices.store, user_id)
    return await choices.store.write(user_id, wanted, expected=expected)
