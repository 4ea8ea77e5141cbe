"""Timers of notification: send what is due, forget what is old, erase what is left of users who are gone."""

from boxoffice.runtime.jobs import Job
from boxoffice.services.notification.usecases.erase_preferences import erase_preferences
from boxoffice.services.notification.usecases.forget_old import forget_old
from boxoffice.services.notification.usecases.send_due_mails import Post, send_due_mails

SEND_EVERY_S = 0.5
"""How late a mail may leave when nothing else is going on; one indexed query."""
FORGET_EVERY_S = 6 * 3600.0
ERASE_EVERY_S = 5.0


def jobs(post: Post) -> list[Job]:
    """Build the timers."""

    async def send() -> int:
        return await send_due_mails(post)

    async def forget() -> int:
        return await forget_old(post.database)

    async def erase() -> int:
        return await erase_preferences(post.choices)

    return [
        Job(name="notification.send", every_seconds=SEND_EVERY_S, run=send),
        Job(name="notification.forget", every_seconds=FORGET_EVERY_S, run=forget),
        Job(name="notification.erase_preferences", every_seconds=ERASE_EVERY_S, run=erase),
    ]
