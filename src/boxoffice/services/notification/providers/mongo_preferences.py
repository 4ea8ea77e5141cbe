"""Preferences in MongoDB: one document a user, changed by compare and set on its version.

``_id`` is the user's id, so two first writes are one document; an erased user's document has ``erasedAt`` and nothing
that was chosen.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.mongodb import Documents, MongoUnavailableError, speaking_plainly
from boxoffice.services.notification.domain.preferences import Chosen, Home, Preferences
from boxoffice.services.notification.domain.refusals import (
    AccountGoneError,
    PreferencesChangedError,
    PreferencesUnreadableError,
)

COLLECTION = "preferences"
TRIES = 5
"""Two first writes of one user may collide; whoever lost finds the other's document when trying again."""
ALIVE = {"erasedAt": {"$exists": False}}
FORGOTTEN = {"chosen": "", "changedAt": ""}


class MongoPreferences:
    """Preferences in a collection."""

    home: ClassVar[Home] = Home.MONGODB

    def __init__(self, documents: Documents) -> None:
        self._users = documents.get_collection(COLLECTION)

    async def read(self, user_ids: Collection[UserId]) -> Mapping[UserId, Chosen]:
        """Read what some users chose; who never chose is left out."""
        with speaking_plainly():
            found = await self._users.find({"_id": {"$in": list(user_ids)}}).to_list()
        return {UserId(document["_id"]): _chosen(document) for document in found}

    async def write(self, user_id: UserId, preferences: Preferences, *, expected: int | None = None) -> Chosen:
        """Write what a user chose, if the version is still the one that was expected.

        :raises PreferencesChangedError: when the version is not ``expected``.
        :raises AccountGoneError: when the user was erased.
        """
        for _ in range(TRIES):
            written = await self._written(user_id, preferences, expected)
            if written is not None:
                return _chosen(written)
            present = (await self.read([user_id])).get(user_id, Chosen())
            if present.erased:
                raise AccountGoneError("The account of this token was closed.")
            if expected is not None:
                raise PreferencesChangedError("Read them again, and change what is there now.", version=present.version)
        raise MongoUnavailableError("Try again in a moment.", retryAfterSeconds=1)

    async def erase(self, user_id: UserId) -> None:
        """Forget what a user chose, and keep only that they are gone."""
        gone = {"$set": {"erasedAt": datetime.now(UTC)}, "$unset": FORGOTTEN, "$inc": {"version": 1}}
        await self._upsert({"_id": user_id, **ALIVE}, gone)

    async def page(self, after: UserId | None, *, limit: int) -> Sequence[tuple[UserId, Chosen]]:
        """Read everything bit by bit, in the order of the users' ids."""
        which = {} if after is None else {"_id": {"$gt": after}}
        with speaking_plainly():
            found = await self._users.find(which).sort("_id", ASCENDING).limit(limit).to_list()
        return [(UserId(document["_id"]), _chosen(document)) for document in found]

    async def carry(self, user_id: UserId, chosen: Chosen) -> None:
        """Keep what another store had, unless this one has something as new."""
        now = datetime.now(UTC)
        if chosen.preferences is None:
            gone = {"$set": {"erasedAt": now, "version": chosen.version}, "$unset": FORGOTTEN}
            await self._upsert({"_id": user_id, **ALIVE}, gone)
            return
        newer = {"chosen": chosen.preferences.document(), "changedAt": now, "version": chosen.version}
        await self._upsert({"_id": user_id, "version": {"$lt": chosen.version}, **ALIVE}, {"$set": newer})

    async def clear(self) -> None:
        """Forget everything: it was carried elsewhere."""
        with speaking_plainly():
            await self._users.delete_many({})

    async def _written(self, user_id: UserId, preferences: Preferences, expected: int | None) -> Any | None:
        """Try to write; none when what is there is not what was expected, or was made meanwhile."""
        fields = {"chosen": preferences.document(), "changedAt": datetime.now(UTC)}
        which = {"_id": user_id, **ALIVE, **({} if expected is None else {"version": expected})}
        with speaking_plainly():
            if expected != 0:
                changed = await self._users.find_one_and_update(
                    which, {"$set": fields, "$inc": {"version": 1}}, return_document=ReturnDocument.AFTER
                )
                if changed is not None or expected is not None:
                    return changed
            first = {"_id": user_id, "version": 1, **fields}
            try:
                await self._users.insert_one(first)
            except DuplicateKeyError:
                return None
            return first

    async def _upsert(self, which: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        """Change the document that ``which`` means, or make it; one that is there and not meant stays as it is."""
        for _ in range(TRIES):
            try:
                with speaking_plainly():
                    await self._users.update_one(which, change, upsert=True)
            except DuplicateKeyError:
                with speaking_plainly():
                    if await self._users.find_one(which) is None:
                        return
            else:
                return
        raise MongoUnavailableError("Try again in a moment.", retryAfterSeconds=1)


def _chosen(document: Mapping[str, Any]) -> Chosen:
    version = document.get("version")
    if not isinstance(version, int):
        raise PreferencesUnreadableError("What is stored of these preferences cannot be read.", retryAfterSeconds=60)
    erased = document.get("erasedAt") is not None
    return Chosen(version=version, preferences=None if erased else Preferences.of(document.get("chosen")))
