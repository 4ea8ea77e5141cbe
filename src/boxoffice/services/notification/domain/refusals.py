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


class BadPreferencesError(DomainError):
    """Preferences that cannot be."""

    code: ClassVar[str] = "notification.preferences_malformed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "The preferences cannot be kept as written"


class BadPreconditionError(DomainError):
    """An If-Match that is none of our ETags."""

    code: ClassVar[str] = "notification.if_match_malformed"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "If-Match is none of our ETags"


class PreferencesChangedError(DomainError):
    """If-Match names a version that is not the present one."""

    code: ClassVar[str] = "notification.changed_meanwhile"
    category: ClassVar[Category] = Category.PRECONDITION
    title: ClassVar[str] = "The preferences were changed meanwhile"


class PreferencesUnreadableError(DomainError):
    """What is stored of a user's preferences is not what we write; nothing is guessed from it."""

    code: ClassVar[str] = "notification.preferences_unreadable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The preferences cannot be read"


class PreferencesElsewhereError(DomainError):
    """Preferences are kept in another store than the one that is set, or are being carried."""

    code: ClassVar[str] = "notification.preferences_elsewhere"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The preferences are kept elsewhere"


class AccountGoneError(DomainError):
    """The account of a token that is still valid for some minutes was erased."""

    code: ClassVar[str] = "notification.account_gone"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "This account was closed"
