"""Preferences in PostgreSQL: one JSON document a user, with its version beside it. And where preferences are kept."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.notification.domain.preferences import Chosen, Home, Preferences
from boxoffice.services.notification.domain.refusals import AccountGoneError, PreferencesChangedError

READ = "SELECT user_id, version, chosen FROM preferences WHERE user_id = ANY ($1)"
# The source of the INSERT is empty when a version is expected that cannot be there; else the conflict compares it.
WRITE = """
INSERT INTO preferences (user_id, version, chosen)
SELECT $1, 1, $2::jsonb
WHERE $3::bigint IS NULL OR $3 = 0 OR EXISTS (SELECT FROM preferences WHERE user_id = $1)
ON CONFLICT (user_id) DO UPDATE
SET chosen = excluded.chosen, version = preferences.version + 1, changed_at = clock_timestamp()
WHERE preferences.erased_at IS NULL AND ($3::bigint IS NULL OR preferences.version = $3)
RETURNING user_id, version, chosen
"""
ERASE = """
INSERT INTO preferences (user_id, version, erased_at) VALUES ($1, 1, clock_timestamp())
ON CONFLICT (user_id) DO UPDATE
SET chosen = NULL, version = preferences.version + 1, erased_at = clock_timestamp(), changed_at = clock_timestamp()
WHERE preferences.erased_at IS NULL
"""
PAGE = """
SELECT user_id, version, chosen FROM preferences
WHERE $1::uuid IS NULL OR user_id > $1 ORDER BY user_id LIMIT $2
"""
CARRY = """
INSERT INTO preferences (user_id, version, chosen, erased_at)
VALUES ($1, $2, $3::jsonb, CASE WHEN $3::jsonb IS NULL THEN clock_timestamp() END)
ON CONFLICT (user_id) DO UPDATE
SET chosen = excluded.chosen, version = excluded.version, erased_at = excluded.erased_at, changed_at = clock_timestamp()
WHERE preferences.erased_at IS NULL AND (excluded.erased_at IS NOT NULL OR preferences.version < excluded.version)
"""
CLEAR = "DELETE FROM preferences"

HOME = "SELECT home FROM preference_home"
SETTLE = "UPDATE preference_home SET home = $1"
# A shop that starts with MongoDB has nothing to carry.
ADOPT = "UPDATE preference_home SET home = $1 WHERE home = 'postgresql' AND NOT EXISTS (SELECT FROM preferences)"


class PostgresPreferences:
    """Preferences in the database of notification."""

    home: ClassVar[Home] = Home.POSTGRESQL

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user_ids: Collection[UserId]) -> Mapping[UserId, Chosen]:
        """Read what some users chose; who never chose is left out."""
        found = await self._database.fetch(READ, list(user_ids))
        return {UserId(record["user_id"]): _chosen(record) for record in found}

    async def write(self, user_id: UserId, preferences: Preferences, *, expected: int | None = None) -> Chosen:
        """Write what a user chose, in one statement that compares the version.

        :raises PreferencesChangedError: when the version is not ``expected``.
        :raises AccountGoneError: when the user was erased.
        """
        async with self._database.transaction() as tx:
            written = await tx.fetchrow(WRITE, user_id, preferences.document(), expected)
        if written is not None:
            return _chosen(written)
        present = (await self.read([user_id])).get(user_id, Chosen())
        if present.erased:
            raise AccountGoneError("The account of this token was closed.")
        raise PreferencesChangedError("Read them again, and change what is there now.", version=present.version)

    async def erase(self, user_id: UserId) -> None:
        """Forget what a user chose, and keep only that they are gone."""
        async with self._database.transaction() as tx:
            await tx.execute(ERASE, user_id)

    async def page(self, after: UserId | None, *, limit: int) -> Sequence[tuple[UserId, Chosen]]:
        """Read everything bit by bit, in the order of the users' ids."""
        return [(UserId(one["user_id"]), _chosen(one)) for one in await self._database.fetch(PAGE, after, limit)]

    async def carry(self, user_id: UserId, chosen: Chosen) -> None:
        """Keep what another store had, unless this one has something as new."""
        document = None if chosen.preferences is None else chosen.preferences.document()
        async with self._database.transaction() as tx:
            await tx.execute(CARRY, user_id, chosen.version, document)

    async def clear(self) -> None:
        """Forget everything: it was carried elsewhere."""
        async with self._database.transaction() as tx:
            await tx.execute(CLEAR)


async def home(tx: Connection) -> str:
    """Tell where preferences are kept: a value of ``Home``, or ``carrying`` while they are on their way."""
    return str(await tx.fetchval(HOME))


async def settle(tx: Connection, where: str) -> None:
    """Note where preferences are kept."""
    await tx.execute(SETTLE, where)


async def adopt(tx: Connection, where: Home) -> None:
    """Note a new home when nothing is kept in the one so far."""
    await tx.execute(ADOPT, where.value)


def _chosen(record: Any) -> Chosen:
    erased = record["chosen"] is None
    return Chosen(version=record["version"], preferences=None if erased else Preferences.of(record["chosen"]))
