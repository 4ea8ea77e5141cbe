"""Queue the mail with a one-time link that identity asked for; it is not sent once the link has expired."""

from datetime import timedelta

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages.identity import MailRequest
from boxoffice.kernel.ids import UserId
from boxoffice.runtime import inbox
from boxoffice.runtime.database import Database
from boxoffice.services.notification.domain import letter
from boxoffice.services.notification.domain.letter import Template
from boxoffice.services.notification.domain.mail_job import PATIENCE, NewMail
from boxoffice.services.notification.store import mail_jobs
from boxoffice.services.notification.usecases.keep_contact import CONSUMER

TEMPLATES: dict[str, Template] = {
    "identity.mail.verify_email": Template.VERIFY_EMAIL,
    "identity.mail.reset_password": Template.RESET_PASSWORD,
}


async def queue_link_mail(database: Database, envelope: Envelope) -> None:
    """Take one message of ``identity.mail.v1``; a type that is not known needs no mail of ours."""
    template = TEMPLATES.get(envelope.type_)
    if template is None:
        return
    request = envelope.read(MailRequest)
    async with database.transaction() as tx:
        if not await inbox.first_time(tx, consumer=CONSUMER, message_id=envelope.message_id):
            return
        await mail_jobs.add(
            tx,
            NewMail(
                aggregate=str(envelope.message_id),
                template=template,
                user_id=UserId(request.user_id),
                title=letter.title(template),
                facts=msgspec.to_builtins(request),
                patience=min(PATIENCE, timedelta(minutes=request.expires_in_minutes)),
            ),
        )
