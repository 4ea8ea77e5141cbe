"""An organisation: who puts events on sale together. It has at least one owner as long as it has events to run."""

import re
import unicodedata
from enum import StrEnum
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError

MAX_NAME = 200
MAX_SLUG = 60
MAX_PER_PERSON = 20
"""Nobody runs more; a bound for tokens (each organisation is 60 bytes in them) and against floods."""
NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


class Role(StrEnum):
    """What a member may do in it."""

    OWNER = "owner"
    MANAGER = "manager"
    BOX_OFFICE = "box_office"
    SCANNER = "scanner"


class BadOrganisationError(DomainError):
    """A name that cannot be one."""

    code: ClassVar[str] = "identity.organisation_invalid"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The organisation cannot be made from this"


class UnknownOrganisationError(DomainError):
    """No such organisation, or none that the caller may see: the answer is the same."""

    code: ClassVar[str] = "identity.organisation_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such organisation"


class TooManyOrganisationsError(DomainError):
    """One person founds only so many."""

    code: ClassVar[str] = "identity.organisation_limit"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "You have as many organisations as one account may have"


class LastOwnerError(DomainError):
    """Erasing the only owner would leave an organisation without anybody."""

    code: ClassVar[str] = "identity.last_owner"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "You are the only owner of an organisation"


def read_name(text: str) -> str:
    """Read an organisation's name: 1 to 200 characters, no control characters.

    :raises BadOrganisationError: when it is none.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME or any(
        unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name
    ):
        message = f"A name has 1 to {MAX_NAME} characters and no line breaks."
        raise BadOrganisationError(message, errors=[{"field": "name", "message": message}])
    return name


def slug(name: str) -> str:
    """Make a name fit for addresses: "Hong Kong Philharmonic" becomes ``hong-kong-philharmonic``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return NOT_IN_SLUG.sub("-", plain).strip("-")[:MAX_SLUG].strip("-") or "organisation"
