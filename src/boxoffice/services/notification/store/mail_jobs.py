"""Mail jobs: written once per aggregate and template, taken with a lease, ended once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.runtime.database import Connection
from boxoffice.runtime.telemetry import current_trace
from boxoffice.services.notification.domain.letter import Template
from boxoffice.services.notification.domain.mail_job import DueMail, JobState, NewMail
from boxoffice.services.notification.store import contacts

ADD = """
INSERT INTO mail_jobs (job_id, aggregate, template, user_id, booking_id, title, facts, give_up_at, trace)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8, $9)
ON CONFLICT (aggregate, template) DO NOTHING
RETURNING true
"""
LEASE_S = 120
"""A sender that crashed or hangs gives its mails up after this; one attempt is bounded to half of it."""
# Taking moves the due time ahead instead of marking a state: a crashed sender needs no cleaning up after.
TAKE = """
WITH due AS (
  SELECT job_id FROM mail_jobs WHERE state = 'waiting' AND due_at <= clock_timestamp()
  ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE mail_jobs job SET attempts = job.attempts + 1, last_error = NULL,
                         due_at = clock_timestamp() + make_interval(secs => $2)
FROM due WHERE job.job_id = due.job_id
RETURNING job.job_id, job.template, job.user_id, job.title, job.facts, job.attempts, job.created_at, job.trace,
          job.give_up_at <= clock_timestamp() AS too_late
"""
# What a mail carried (barcodes, one-time links) is forgotten with its end.
END = """
UPDATE mail_jobs SET state = $2, facts = '{}', last_error = $3,
                     sent_at = CASE WHEN $2 = 'sent' THEN clock_timestamp() END
WHERE job_id = $1 AND state = 'waiting'
"""
# The attempt is compared, so that a sender whose lease ran out does not push back the one that took over.
TRY_LATER = """
UPDATE mail_jobs SET due_at = clock_timestamp() + make_interval(secs => $3), last_error = $4
WHERE job_id = $1 AND attempts = $2 AND state = 'waiting'
"""
# A mail without an error is with a sender right now: waking it would send it twice.
WAKE = """
UPDATE mail_jobs SET due_at = clock_timestamp()
WHERE user_id = $1 AND state = 'waiting' AND last_error IS NOT NULL AND due_at > clock_timestamp()
"""
DROP_OF_USER = "UPDATE mail_jobs SET state = 'dropped', facts = '{}' WHERE user_id = $1 AND state = 'waiting'"
WAITING = """
SELECT job_id, facts FROM mail_jobs
WHERE user_id = $1 AND booking_id = $2 AND template = ANY ($3::text[]) AND state = 'waiting'
ORDER BY job_id FOR UPDATE
"""
REPLACE_FACTS = "UPDATE mail_jobs SET facts = $2 WHERE job_id = $1 AND state = 'waiting'"
OF_USER = """
SELECT job_id, template, title, state, created_at, sent_at, booking_id, count(*) OVER () AS total
FROM mail_jobs WHERE user_id = $1 ORDER BY created_at DESC, job_id LIMIT $2 OFFSET $3
"""
COUNT_OF_USER = "SELECT count(*) FROM mail_jobs WHERE user_id = $1"
FORGET = "DELETE FROM mail_jobs WHERE state <> 'waiting' AND created_at < clock_timestamp() - make_interval(days => $1)"
FORGET_INBOX = "DELETE FROM inbox WHERE taken_at < clock_timestamp() - make_interval(days => $1)"


async def add(tx: Connection, mail: NewMail) -> bool:
    """Write a job; false when there is one for the same aggregate and template."""
    added = await tx.fetchval(
        ADD, mail.job_id, mail.aggregate, mail.template.value, mail.user_id, mail.booking_id, mail.title, mail.facts,
        mail.patience, current_trace(),
    )  # fmt: skip
    return added is True


async def take_due(tx: Connection, *, limit: int) -> list[DueMail]:
    """Take mails whose time has come, each with its reader's contact; nobody else gets them until the lease ends."""
    records = await tx.fetch(TAKE, limit, LEASE_S)
    known = await contacts.of_users(tx, [record["user_id"] for record in records])
    return [
        DueMail(
            job_id=record["job_id"], user_id=UserId(record["user_id"]), template=Template(record["template"]),
            title=record["title"], facts=record["facts"], attempts=record["attempts"], too_late=record["too_late"],
            created_at=record["created_at"], contact=known.get(record["user_id"]), trace=record["trace"],
        )
        for record in records
    ]  # fmt: skip


async def end(tx: Connection, job_id: UUID, state: JobState, *, error: str | None = None) -> None:
    """End a mail; one that ended already stays as it is."""
    await tx.execute(END, job_id, state.value, error)


async def try_later(tx: Connection, mail: DueMail, *, pause_s: float, error: str) -> None:
    """Give a mail back for another attempt after a pause."""
    await tx.execute(TRY_LATER, mail.job_id, mail.attempts, pause_s, error)


async def wake(tx: Connection, user_id: UserId) -> None:
    """Make a user's waiting mails due now: the address is known at last, or is a better one."""
    await tx.execute(WAKE, user_id)


async def drop_of_user(tx: Connection, user_id: UserId) -> None:
    """Drop what waits for a user who is gone."""
    await tx.execute(DROP_OF_USER, user_id)


async def waiting(
    tx: Connection, user_id: UserId, booking_id: OrderId, templates: Sequence[Template]
) -> list[tuple[UUID, dict[str, Any]]]:
    """Lock the mails about a user's order that still wait; each is its job's id and its facts."""
    found = await tx.fetch(WAITING, user_id, booking_id, [template.value for template in templates])
    return [(record["job_id"], record["facts"]) for record in found]


async def replace_facts(tx: Connection, job_id: UUID, facts: dict[str, Any]) -> None:
    """Give a waiting mail other facts."""
    await tx.execute(REPLACE_FACTS, job_id, facts)


async def of_user(tx: Connection, user_id: UserId, *, limit: int, skip: int) -> tuple[Sequence[Any], int]:
    """Read a page of what was sent to a user, newest first, and how much there is in all."""
    records = await tx.fetch(OF_USER, user_id, limit, skip)
    total = records[0]["total"] if records else await tx.fetchval(COUNT_OF_USER, user_id)
    return records, total


async def forget(tx: Connection, *, mail_days: int, inbox_days: int) -> None:
    """Delete mails that ended long ago, and inbox records that no message can repeat any more."""
    await tx.execute(FORGET, mail_days)
    await tx.execute(FORGET_INBOX, inbox_days)
