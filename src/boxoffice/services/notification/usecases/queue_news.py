"""Queue a mail that staff or another service wrote to one user who wants such mail."""

from uuid import UUID

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Connection
from boxoffice.services.notification.domain import letter
from boxoffice.services.notification.domain.letter import Template
from boxoffice.services.notification.domain.mail_job import NewMail
from boxoffice.services.notification.domain.refusals import (
    BadNotificationError,
    ChannelNotAvailableError,
    RecipientDeclinesError,
    RecipientUnknownError,
)
from boxoffice.services.notification.store import contacts, mail_jobs

EMAIL = "email"
CHANNELS = frozenset({EMAIL, "sms", "push"})
MAX_MESSAGE = 10_000
"""Characters; a longer text is a document, not a notification."""


async def queue_news(
    tx: Connection, *, notification_id: UUID, user_id: UserId, wanted: bool, channel: str, subject: str, message: str
) -> NewMail:
    """Queue one mail to a user who wants such mail; the same ``notification_id`` queues it once.

    ``wanted`` is what the user chose; it is looked at again when the mail leaves.

    :raises BadNotificationError: when the subject or the message is empty or too long, or the channel is no channel.
    :raises ChannelNotAvailableError: for SMS and push.
    :raises RecipientUnknownError: when nobody of that id can be reached.
    :raises RecipientDeclinesError: when the user wants no mail.
    """
    if channel not in CHANNELS:
        raise BadNotificationError("The channel is email, sms or push.", field="channel")
    if channel != EMAIL:
        raise ChannelNotAvailableError(f"This installation does not send {channel} yet.", channel=channel)
    mail = NewMail(
        aggregate=str(notification_id),
        template=Template.NEWS,
        user_id=user_id,
        title=letter.title(Template.NEWS, subject),
        facts={"message": _paragraphs(message)},
    )
    if not mail.title:
        raise BadNotificationError("Write a subject.", field="subject")
    contact = (await contacts.of_users(tx, [user_id])).get(user_id)
    if contact is None or contact.erased or not contact.email:
        raise RecipientUnknownError("Nobody with this id can be reached.", userId=str(user_id))
    if not wanted:
        raise RecipientDeclinesError("The user turned such mail off.", userId=str(user_id))
    await mail_jobs.add(tx, mail)
    return mail


def _paragraphs(message: str) -> list[str]:
    if len(message) > MAX_MESSAGE:
        raise BadNotificationError(f"A message has at most {MAX_MESSAGE} characters.", field="message")
    found = [text for line in message.splitlines() if (text := letter.one_line(line))]
    if not found:
        raise BadNotificationError("Write a message.", field="message")
    return found
