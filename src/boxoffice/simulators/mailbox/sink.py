"""The SMTP server of the mailbox: takes every mail for everybody, and answers 250 once the mail is durable."""

import asyncio
import socket

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from boxoffice.runtime.telemetry import log
from boxoffice.simulators.mailbox.folder import MailFolder

MAX_MAIL_BYTES = 10 * 1024 * 1024
"""More than any ticket mail; aiosmtpd answers 552 beyond it."""
IDLE_S = 60.0
"""A sender that says nothing for so long is gone."""

_log = log(__name__)


class _Keeper:
    """Puts each mail into the folder."""

    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            mail_id = self._folder.save(raw, sender=envelope.mail_from or "", recipients=envelope.rcpt_tos)
        except OSError as error:
            _log.warning("mail.not_kept", error=str(error))
            return "452 4.3.1 The mail cannot be stored now, try again later"
        return f"250 2.0.0 kept as {mail_id}"


class _Listener(Controller):
    """Serves on a socket that was bound before, so that port 0 works and a port in use is told to the caller."""

    def __init__(self, keeper: _Keeper, bound: socket.socket) -> None:
        host, port = bound.getsockname()[:2]
        super().__init__(
            keeper, hostname=host, port=port, data_size_limit=MAX_MAIL_BYTES, enable_SMTPUTF8=True, timeout=IDLE_S,
            ident="Boxoffice mailbox",
        )  # fmt: skip
        self._bound = bound

    async def _create_server(self) -> asyncio.AbstractServer:
        server: asyncio.AbstractServer = await self.loop.create_server(self._factory_invoker, sock=self._bound)
        return server


class MailSink:
    """Listens for mail in a thread of its own."""

    def __init__(self, folder: MailFolder, *, host: str, port: int) -> None:
        self.port = port
        self._host = host
        self._folder = folder
        self._listener: _Listener | None = None

    def start(self) -> None:
        """Bind and listen.

        :raises OSError: when the port is in use.
        """
        bound = socket.create_server((self._host, self.port))
        self.port = bound.getsockname()[1]
        self._listener = _Listener(_Keeper(self._folder), bound)
        self._listener.start()

    def stop(self) -> None:
        """Stop listening; doing it twice is fine."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
