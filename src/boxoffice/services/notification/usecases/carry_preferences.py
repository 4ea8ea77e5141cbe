"""Carry what users chose from one store to the other, and note where it is kept then.

While it is on its way it is nowhere at home: nobody can change it, and mails by choice wait. A carrying that broke off
is begun again; what arrived already is left alone.
"""

import asyncio

from boxoffice.runtime.database import Database
from boxoffice.services.notification.domain.preferences import Home, PreferenceStore
from boxoffice.services.notification.store import preferences as records

AT_ONCE = 500
ON_THE_WAY = "carrying"
DRAIN_S = 10.0
"""Who asked where preferences are before this began may write for so long; what they write is carried too."""


async def adopt_home(database: Database, store: PreferenceStore) -> None:
    """Make MongoDB the home of a shop that has kept nothing anywhere yet."""
    if store.home is Home.MONGODB:
        async with database.transaction() as tx:
            await records.adopt(tx, store.home)


async def carry_preferences(
    database: Database, *, here: PreferenceStore, there: PreferenceStore, drain_s: float = DRAIN_S
) -> int | None:
    """Carry everything from ``here`` to ``there``; returns how many users' it was, none when it is there already."""
    async with database.transaction() as tx:
        if await records.home(tx) == there.home:
            return None
        await records.settle(tx, ON_THE_WAY)
    await asyncio.sleep(drain_s)
    carried, last = 0, None
    while page := await here.page(last, limit=AT_ONCE):
        for user_id, chosen in page:
            await there.carry(user_id, chosen)
            last = user_id
        carried += len(page)
    async with database.transaction() as tx:
        await records.settle(tx, there.home.value)
    await here.clear()
    return carried
