"""Preferences: which ways somebody wants news on, and in which language; and what a store of them must do.

What a buyer must have (tickets, refunds, links that they asked for) is no news and is mailed whatever is chosen here.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from boxoffice.kernel.ids import UserId
from boxoffice.services.notification.domain.refusals import BadPreferencesError, PreferencesUnreadableError

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
"""A BCP 47 tag as far as a translation table needs it: en, zh-HK, zh-Hant-HK."""


class Home(StrEnum):
    """Where preferences are kept; the database of notification notes which."""

    POSTGRESQL = "postgresql"
    MONGODB = "mongodb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """Which ways somebody wants news on, and in which language (BCP 47); the defaults are those of a new account."""

    receive_email: bool = True
    receive_sms: bool = False
    receive_push: bool = False
    language: str = "en"

    def document(self) -> dict[str, object]:
        """Write them as both stores keep them."""
        return {name: getattr(self, field) for name, (field, _) in FIELDS.items()}

    @classmethod
    def of(cls, document: object) -> "Preferences":
        """Read them from a store. What is missing there is no default: nobody is sent news by accident.

        :raises PreferencesUnreadableError: when it is not what ``document`` writes.
        """
        if (
            not isinstance(document, Mapping)
            or set(document) != set(FIELDS)
            or any(type(document[name]) is not kind for name, (_, kind) in FIELDS.items())
        ):
            raise PreferencesUnreadableError(
                "What is stored of these preferences cannot be read.", retryAfterSeconds=60
            )
        values: dict[str, Any] = {field: document[name] for name, (field, _) in FIELDS.items()}
        return cls(**values)


FIELDS: Mapping[str, tuple[str, type]] = {
    "receiveEmail": ("receive_email", bool),
    "receiveSms": ("receive_sms", bool),
    "receivePush": ("receive_push", bool),
    "language": ("language", str),
}
"""The document's fields: each with the attribute and the type that it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a store has of one user: a version that only grows, and the preferences; none once the user was erased."""

    version: int = 0
    preferences: Preferences | None = Preferences()

    @property
    def erased(self) -> bool:
        """Whether the user is gone for good."""
        return self.preferences is None


NOT_CHOSEN = Chosen()
"""What counts for somebody who never chose."""


class PreferenceStore(Protocol):
    """Keeps what users chose. Each call raises a refusal of category unavailable while the store is away.

    A store never guesses: of a record that cannot be read it says that it is unavailable.
    """

    home: ClassVar[Home]

    async def read(self, user_ids: Collection[UserId]) -> Mapping[UserId, Chosen]:
        """Read what some users chose; who never chose is left out."""

    async def write(self, user_id: UserId, preferences: Preferences, *, expected: int | None = None) -> Chosen:
        """Write what a user chose, if its version is still ``expected`` (0: never chosen; none: whatever it is).

        :raises PreferencesChangedError: when it is another one.
        :raises AccountGoneError: when the user was erased.
        """

    async def erase(self, user_id: UserId) -> None:
        """Forget what a user chose, and keep only that they are gone, so that nothing brings them back."""

    async def page(self, after: UserId | None, *, limit: int) -> Sequence[tuple[UserId, Chosen]]:
        """Read everything bit by bit, in the order of the users' ids."""

    async def carry(self, user_id: UserId, chosen: Chosen) -> None:
        """Keep what another store had, unless this one has something as new; an erased user stays erased."""

    async def clear(self) -> None:
        """Forget everything: it was carried elsewhere."""


def read_language(text: str) -> str:
    """Read a language tag.

    :raises BadPreferencesError: when it is none.
    """
    if not LANGUAGE.fullmatch(text):
        message = "Write a language tag such as en or zh-HK."
        raise BadPreferencesError(message, errors=[{"field": "preferredLanguage", "message": message}])
    return text
