"""What the gateway itself refuses."""

from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class NothingHereError(DomainError):
    """A path below /api that no service has, or one written so that two readers could understand it differently."""

    code: ClassVar[str] = "request.not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is nothing at this address"


class MethodNotTakenError(DomainError):
    """A method that no address takes: TRACE says back what it was sent, CONNECT asks for a way through."""

    code: ClassVar[str] = "gateway.method_not_taken"
    category: ClassVar[Category] = Category.NOT_IMPLEMENTED
    title: ClassVar[str] = "No address takes this method"


class BodyTooLargeError(DomainError):
    """A body beyond the limit of its path."""

    code: ClassVar[str] = "request.too_large"
    category: ClassVar[Category] = Category.TOO_LARGE
    title: ClassVar[str] = "The body is larger than this call takes"


class BodyTooSlowError(DomainError):
    """A body that did not come in time, or whose length cannot be read."""

    code: ClassVar[str] = "request.body_unreadable"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The body cannot be read"


class TooManyRequestsError(DomainError):
    """More calls than one client may make."""

    code: ClassVar[str] = "gateway.too_many_requests"
    category: ClassVar[Category] = Category.TOO_MANY
    title: ClassVar[str] = "Too many requests"


class ServiceAwayError(DomainError):
    """The service behind a path does not answer."""

    code: ClassVar[str] = "gateway.service_away"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "A part of the platform does not answer"
