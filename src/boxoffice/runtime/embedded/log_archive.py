"""Keep PostgreSQL's write-ahead log as it is written: ``pg_receivewal`` follows the server and flushes what it got.

A replication slot has the server keep what was not taken yet: at most ``max_slot_wal_keep_size``, so that a full disk
of backups does not fill the shop's. What a commit wrote is here within moments of the commit, not with it: after the
loss of the shop's disk the last of them may be missing, and are found again at the provider (``recover_sales``).
"""

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.backup_folder import BackupFolder
from boxoffice.runtime.embedded.binaries import programs
from boxoffice.runtime.embedded.errors import EngineError, EngineFailedError, from_os_error
from boxoffice.runtime.telemetry import log

SLOT = "boxoffice_backup"
RESTART_S = 5.0
"""Between two tries to follow the log again, after a full disk, say: soon, and no loop."""
STOP_S = 10.0
STATUS_S = 1
"""How often the server is told at least what was flushed here."""

_log = log(__name__)


class LogArchive:
    """Follows one server into one folder, and goes on following while ``keep_running`` is called now and then."""

    def __init__(self, folder: BackupFolder, *, admin_url: str, log_file: Path) -> None:
        self._folder = folder
        self._admin_url = admin_url
        self._log_file = log_file
        self._process: child.Child | None = None
        self._tried_at = 0.0

    def start(self) -> None:
        """Begin to follow. From the main thread only (see ``child.py``).

        :raises EngineError: when it cannot be begun.
        """
        child.end_leftovers(self._folder.log, stop_signal=signal.SIGINT, seconds=STOP_S)
        _make_slot(self._admin_url)
        self._begin()

    def running(self) -> bool:
        """Whether it follows."""
        return self._process is not None and self._process.running()

    def keep_running(self) -> None:
        """Begin again where it ended by itself. The shop goes on selling without it; the log says so, as an alarm."""
        if self.running() or time.monotonic() - self._tried_at < RESTART_S:
            return
        if self._process is not None:
            _log.error("backup.log_not_followed", alarm=True, why=child.tail(self._log_file)[-500:])
        try:
            self._begin()
        except EngineError as error:
            _log.error("backup.log_not_followed", alarm=True, why=str(error))

    def stop(self) -> None:
        """Stop following; what was received is kept. After the server has ended, so that its last words are here."""
        if self._process is not None:
            self._process.stop(seconds=STOP_S)

    def kill(self) -> None:
        """End at once."""
        if self._process is not None:
            self._process.kill()

    def _begin(self) -> None:
        self._tried_at = time.monotonic()
        found = programs()
        address, environment = reached(self._admin_url)
        try:
            found.own(self._folder.path)
            found.own(self._folder.log)
        except OSError as error:
            raise from_os_error(error, doing=f"opening {self._folder.log}") from error
        self._process = child.start(
            found.command(
                "pg_receivewal", f"--directory={self._folder.log}", f"--slot={SLOT}", "--synchronous",
                f"--status-interval={STATUS_S}", f"--dbname={address}", "--no-password",
            ),
            name="pg_receivewal", log=self._log_file, folder=self._folder.log, stop_signal=signal.SIGINT,
            environment=environment,
        )  # fmt: skip


def reached(admin_url: str) -> tuple[str, dict[str, str]]:
    """Split a URL into one without its password, for a command line, and an environment that has it."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=f"{parts.username}@{place}"))
    return bare, {**os.environ, "PGPASSWORD": unquote(parts.password or "")}


def _make_slot(admin_url: str) -> None:
    import psycopg2

    try:
        with closing(psycopg2.connect(admin_url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_create_physical_replication_slot(%s, true)"
                    " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %s)", (SLOT, SLOT),
                )  # fmt: skip
    except psycopg2.Error as error:
        raise EngineFailedError(f"The log cannot be followed for backups: {str(error).strip()}") from error
