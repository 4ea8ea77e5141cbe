"""An account: its states, its roles, and what a name, an address and a phone number may look like."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class State(StrEnum):
    """An account may buy before its address is verified; an erased one is only an id that orders still name."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    ERASED = "erased"


class Action(StrEnum):
    """What can be done to an account."""

    VERIFY = "verify"
    ERASE = "erase"


TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.UNVERIFIED, Action.VERIFY): State.VERIFIED,
    (State.VERIFIED, Action.VERIFY): State.VERIFIED,
    (State.UNVERIFIED, Action.ERASE): State.ERASED,
    (State.VERIFIED, Action.ERASE): State.ERASED,
}

MAX_NAME = 200
MAX_EMAIL = 254
"""RFC 5321, section 4.5.3.1.3, less the brackets around a path."""
MAX_PHONE = 30
PHONE = re.compile(r"\+?[0-9][0-9 ().\-/]{3,28}")
EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
"""What browsers take for ``<input type=email>`` (WHATWG HTML), with at least one dot in the domain."""

CUSTOMER, ORGANISER = "customer", "organiser"
ADMINISTRATOR = "administrator"


class BadAccountError(DomainError):
    """A name, address or phone number that cannot be one."""

    code: ClassVar[str] = "identity.account_invalid"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The account cannot be made from this"


class EmailTakenError(DomainError):
    """Somebody has an account with that address."""

    code: ClassVar[str] = "identity.email_taken"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "There is an account with this e-mail address"


class AccountClosedError(DomainError):
    """The account of a token that is still valid for some minutes is gone."""

    code: ClassVar[str] = "identity.account_closed"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "This account was closed"


class AccountMoveError(DomainError):
    """A move that the state table does not list."""

    code: ClassVar[str] = "identity.account_move_refused"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The account is not in a state for that"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a person gives of themselves, checked; ``email_key`` is the same for every spelling of one address."""

    name: str
    email: str
    phone: str | None

    @property
    def email_key(self) -> str:
        """The address as the unique index compares it."""
        return email_key(self.email)


def after(state: State, action: Action) -> State:
    """Tell the state after an action.

    :raises AccountMoveError: when the table does not list the move.
    """
    if (state, action) not in TRANSITIONS:
        raise AccountMoveError(f"A {state.value} account does not take {action.value}.", state=state.value)
    return TRANSITIONS[state, action]


def person(*, name: str, email: str, phone: str | None) -> Person:
    """Check what somebody registers with.

    :raises BadAccountError: naming every field that is wrong.
    """
    wrong: dict[str, str] = {}
    checked_name = _checked(wrong, "name", name, read_name)
    checked_email = _checked(wrong, "email", email, read_email)
    checked_phone = _checked(wrong, "phone", phone, read_phone) if phone else ""
    if wrong:
        raise BadAccountError("Correct the fields named in errors.", errors=_errors(wrong))
    return Person(name=checked_name, email=checked_email, phone=checked_phone or None)


def read_name(text: str) -> str:
    """Read a person's name: 1 to 200 characters of any script, no control characters (a name goes into mail headers).

    :raises BadAccountError: when it is none.
    """
    name = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(name) <= MAX_NAME or any(
        unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in name
    ):
        raise _bad("name", f"A name has 1 to {MAX_NAME} characters and no line breaks.")
    return name


def read_email(text: str) -> str:
    """Read an e-mail address, kept as it was written.

    :raises BadAccountError: when it is none.
    """
    email = text.strip()
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email):
        raise _bad("email", "Write an address such as ada@example.org.")
    return email


def read_phone(text: str) -> str:
    """Read a phone number as people write it, with or without a country code.

    :raises BadAccountError: when it is none.
    """
    phone = text.strip()
    if len(phone) > MAX_PHONE or not PHONE.fullmatch(phone):
        raise _bad("phone", "Write a number such as +852 2734 9009.")
    return phone


def email_key(email: str) -> str:
    """Give the form in which two spellings of one address are equal. The part before the @ is folded too.

    RFC 5321 allows mailboxes that differ only in case; no provider has them, and two accounts for one person cost more.
    """
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def roles(*, staff_roles: Iterable[str], memberships: Collection[object]) -> list[str]:
    """List the roles of an account: everybody is a customer, a member of an organisation is an organiser."""
    return [CUSTOMER, *([ORGANISER] if memberships else []), *sorted(staff_roles)]


def _bad(field: str, message: str) -> BadAccountError:
    return BadAccountError(message, errors=_errors({field: message}))


def _errors(wrong: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"field": field, "message": message} for field, message in wrong.items()]


def _checked(wrong: dict[str, str], field: str, text: str, read: Callable[[str], str]) -> str:
    try:
        return read(text)
    except BadAccountError as error:
        wrong[field] = error.detail
        return ""
