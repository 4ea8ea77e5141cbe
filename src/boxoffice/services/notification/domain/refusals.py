"""What notification says no with."""

from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError


class RecipientUnknownError(DomainError):
    """Nobody of that id can be reached: never registered, or erased."""

    code: ClassVar[str] = "notification.recipient_unknown"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is nobody to send this to"


class RecipientDeclinesError(DomainError):
    """The user wants no news on that way; tickets and refunds are told all the same."""

    code: ClassVar[str] = "notification.recipient_declines"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "This user does not want news by mail"


class ChannelNotAvailableError(DomainError):
    """A way of sending that this installation does not have yet."""

    code: ClassVar[str] = "notification.channel_not_available"
    category: ClassVar[Category] = Category.NOT_IMPLEMENTED
    title: ClassVar[str] = "This way of sending is not available"


class BadNotificationError(DomainError):
    """A notification that cannot be sent as written."""

    code: ClassVar[str] = "notification.malformed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The notification cannot be sent as written"


class LiveNotAvailableError(DomainError):
    """The live stream of notifications comes with a later version."""

    code: ClassVar[str] = "notification.live_not_available"
    category: ClassVar[Category] = Category.NOT_IMPLEMENTED
    title: ClassVar[str] = "Live notifications are not available yet"
