"""The mail server, by SMTP (RFC 5321). A refusal for good and a trouble that passes are told apart."""

import asyncio
from dataclasses import dataclass

import aiosmtplib

TIMEOUT_S = 20.0
"""For each step of the dialogue."""
TOTAL_TIMEOUT_S = 60.0
"""For a whole mail; less than the lease of a job, so that no other sender takes it meanwhile."""
PERMANENT = 500
"""SMTP replies from here on say: do not try this again."""


class MailRefusedError(Exception):
    """The server will never take this mail: no such mailbox, or a content that it does not want."""


class MailDelayedError(Exception):
    """The server is away or busy; the same mail may be taken later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and as whom."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    starttls: bool = False

    async def send(self, mail: bytes, *, sender: str, recipient: str) -> None:
        """Hand one mail in; when this returns, the server has taken it.

        :raises MailRefusedError: when trying again is of no use.
        :raises MailDelayedError: when it is.
        """
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                await aiosmtplib.send(
                    mail, sender=sender, recipients=[recipient], hostname=self.host, port=self.port,
                    username=self.user or None, password=self.password or None, start_tls=self.starttls,
                    timeout=TIMEOUT_S,
                )  # fmt: skip
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(min(refusal.code for refusal in error.recipients), "the address was refused") from error
        except aiosmtplib.SMTPDataError as error:
            raise _judged(error.code, "the content was refused") from error
        except UnicodeError as error:
            raise MailRefusedError("the address cannot be written") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailDelayedError(type(error).__name__) from error


def _judged(code: int, what: str) -> MailRefusedError | MailDelayedError:
    return (MailRefusedError if code >= PERMANENT else MailDelayedError)(f"{what} ({code})")
