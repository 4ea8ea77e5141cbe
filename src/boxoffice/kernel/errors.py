"""Refusals: what the domain says no with. A refusal has a stable code, a category and typed context."""

from enum import StrEnum
from typing import ClassVar


class Category(StrEnum):
    """Why something is refused; ``runtime/problems.py`` maps each category to one HTTP status."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    GONE = "gone"
    PAYMENT_REQUIRED = "payment_required"
    PRECONDITION = "precondition"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"
    NOT_IMPLEMENTED = "not_implemented"
    UPGRADE_NEEDED = "upgrade_needed"


class DomainError(Exception):
    """An expected refusal. Subclasses set ``code``, ``category`` and ``title``; context is what a client can act on.

    ``context`` holds JSON-able values under camelCase names; it is rendered beside ``code`` and ``detail``.
    """

    code: ClassVar[str]
    category: ClassVar[Category]
    title: ClassVar[str]

    def __init__(self, detail: str, **context: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.context = context
