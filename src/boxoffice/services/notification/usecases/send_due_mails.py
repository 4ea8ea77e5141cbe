"""Send the mails whose time has come: take them with a lease, hand each to the mail server, record what came of it.

Mails by choice leave only while it is known that their readers want them; all others need nobody's preferences.

The one duplicate that remains: the server said 250 and we died before our commit. The lease ends, the mail is sent
again under the same Message-ID.
"""

import asyncio
import random
from dataclasses import dataclass

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.runtime.tracing import doing
from boxoffice.services.notification.domain.letter import BY_CHOICE
from boxoffice.services.notification.domain.mail_job import DueMail, JobState, pause_s
from boxoffice.services.notification.providers.letters import UnreachableAddressError
from boxoffice.services.notification.providers.smtp import MailDelayedError, MailRefusedError, MailServer
from boxoffice.services.notification.store import mail_jobs
from boxoffice.services.notification.usecases.read_preferences import Choices, wanting_mail
from boxoffice.services.notification.usecases.write_letter import Sender, write_letter

AT_ONCE = 8
"""Mails in hand, each with its own connection: few enough for any server, and all well within one lease."""
NO_CONTACT = "the address is not known yet"
NO_CHOICE = "whether it is wanted is not known"
NOT_WANTED = "the reader turned such mail off"

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What sending needs."""

    database: Database
    server: MailServer
    sender: Sender
    choices: Choices


async def send_due_mails(post: Post) -> int:
    """Send at most eight mails; returns how many were due, so that the timer comes back at once for more.

    :raises ExceptionGroup: when letters could not be written; the others were sent, and these are tried again.
    """
    async with post.database.transaction() as tx:
        due = await mail_jobs.take_due(tx, limit=AT_ONCE)
    # Gathered and not in a task group: one that fails must not cancel another between its 250 and its commit.
    outcomes = await asyncio.gather(*(_send(post, mail) for mail in due), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failed:
        raise ExceptionGroup("letters that could not be sent", failed)
    return len(due)


async def _send(post: Post, mail: DueMail) -> None:
    with doing(f"mail {mail.template.value}", parent=mail.trace):
        await _try(post, mail)


async def _try(post: Post, mail: DueMail) -> None:
    if mail.contact is not None and mail.contact.erased:
        await _end(post, mail, JobState.DROPPED)
    elif mail.too_late:
        await _end(post, mail, JobState.UNDELIVERABLE, "not delivered in time")
    elif mail.contact is None and "email" not in mail.facts:
        await _later(post, mail, NO_CONTACT)
    elif mail.template in BY_CHOICE:
        await _deliver_if_wanted(post, mail)
    else:
        await _deliver(post, mail)


async def _deliver_if_wanted(post: Post, mail: DueMail) -> None:
    """Ask at the last moment: somebody may have turned such mail off since it was queued."""
    try:
        wanted = mail.user_id in await wanting_mail(post.choices, [mail.user_id])
    except DomainError as error:
        if error.category is not Category.UNAVAILABLE:
            raise
        _log.info("mail.choice_unknown", job=str(mail.job_id), code=error.code)
        await _later(post, mail, NO_CHOICE)
        return
    if wanted:
        await _deliver(post, mail)
    else:
        await _end(post, mail, JobState.DROPPED, NOT_WANTED)


async def _deliver(post: Post, mail: DueMail) -> None:
    try:
        written = await asyncio.to_thread(write_letter, mail, post.sender)
        with doing("hand mail in", kind="client", peer="smtp"):
            await post.server.send(written.content, sender=post.sender.address, recipient=written.recipient)
    except (MailRefusedError, UnreachableAddressError) as error:
        _log.warning("mail.refused", job=str(mail.job_id), template=mail.template.value, error=str(error))
        await _end(post, mail, JobState.UNDELIVERABLE, str(error))
    except MailDelayedError as error:
        _log.info("mail.delayed", job=str(mail.job_id), attempts=mail.attempts, error=str(error))
        await _later(post, mail, str(error))
    else:
        await _end(post, mail, JobState.SENT)
        _log.info("mail.sent", job=str(mail.job_id), template=mail.template.value)


async def _end(post: Post, mail: DueMail, state: JobState, error: str | None = None) -> None:
    async with post.database.transaction() as tx:
        await mail_jobs.end(tx, mail.job_id, state, error=error)


async def _later(post: Post, mail: DueMail, error: str) -> None:
    spread = random.random()  # noqa: S311 - no secret, only keeps mails from coming back together
    async with post.database.transaction() as tx:
        await mail_jobs.try_later(tx, mail, pause_s=pause_s(mail.attempts, spread), error=error)
