"""The mailbox as one object: the SMTP server and the application with its pages over the same folder."""

from pathlib import Path

from litestar import Litestar

from boxoffice.simulators.mailbox.folder import MailFolder
from boxoffice.simulators.mailbox.pages import make_pages
from boxoffice.simulators.mailbox.sink import MailSink


class Mailbox:
    """``app`` serves the pages under /mailbox; mail is taken between ``start`` and ``stop``.

    ``smtp_port`` 0 picks a free port, which stands in ``smtp_port`` after ``start``.
    """

    def __init__(self, *, folder: Path, host: str = "127.0.0.1", smtp_port: int = 0) -> None:
        self.folder = MailFolder(folder)
        self._sink = MailSink(self.folder, host=host, port=smtp_port)
        self.app: Litestar = make_pages(self.folder)

    @property
    def smtp_port(self) -> int:
        """The port that takes mail."""
        return self._sink.port

    def start(self) -> None:
        """Take mail from now on, in a thread of its own.

        :raises OSError: when the port is in use or the folder cannot be used.
        """
        self.folder.open()
        self._sink.start()

    def stop(self) -> None:
        """Take no more mail; what was taken stays in the folder."""
        self._sink.stop()
