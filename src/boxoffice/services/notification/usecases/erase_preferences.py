"""Erase what users chose who are gone.

Their erasure is noted with their contact, in the message's transaction; the store, which may be another server, is told
here, again and again until it has answered. So a store that is away holds up no other message.
"""

from boxoffice.services.notification.store import contacts
from boxoffice.services.notification.usecases.read_preferences import Choices, check_home

AT_ONCE = 100


async def erase_preferences(choices: Choices) -> int:
    """Erase some; returns how many.

    :raises DomainError: of category unavailable, when the store is away; they stay noted.
    """
    async with choices.database.transaction(readonly=True) as tx:
        gone = await contacts.to_erase(tx, limit=AT_ONCE)
        if not gone:
            return 0
        await check_home(tx, choices.store)
    for user_id in gone:
        await choices.store.erase(user_id)
    async with choices.database.transaction() as tx:
        await contacts.note_erased(tx, gone)
    return len(gone)
