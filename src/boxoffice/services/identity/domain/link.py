"""A one-time link: it proves that its reader reads the mail of an address. It works once and not for long."""

from enum import StrEnum
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class Purpose(StrEnum):
    """What a link is good for; one purpose never opens another."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - the name of a purpose


class State(StrEnum):
    """A newer link of the same purpose withdraws the older ones."""

    ISSUED = "issued"
    USED = "used"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    """What can be done to a link."""

    USE = "use"
    WITHDRAW = "withdraw"


TRANSITIONS: dict[tuple[State, Action], State] = {
    (State.ISSUED, Action.USE): State.USED,
    (State.ISSUED, Action.WITHDRAW): State.WITHDRAWN,
}

LIFE_MINUTES: dict[Purpose, int] = {Purpose.VERIFY_EMAIL: 3 * 24 * 60, Purpose.RESET_PASSWORD: 30}
"""A reset link is worth an account: short. A verification proves little: people read mail on Monday."""

PAGES: dict[Purpose, str] = {Purpose.VERIFY_EMAIL: "/verify-email", Purpose.RESET_PASSWORD: "/reset-password"}
"""The storefront's pages that take ``?token=``."""

PAUSE_S = 60
"""At most one reset mail a minute for one account: a form must not become a mail bomb."""


class LinkOverError(DomainError):
    """A link that works no more: unknown, used, withdrawn by a newer one, or expired."""

    code: ClassVar[str] = "identity.link_over"
    category: ClassVar[Category] = Category.GONE
    title: ClassVar[str] = "This link works no more"


def address(public_url: str, purpose: Purpose, token: str) -> str:
    """Write the link that goes into the mail."""
    return f"{public_url.rstrip('/')}{PAGES[purpose]}?token={token}"
