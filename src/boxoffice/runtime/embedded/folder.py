"""The data folder of a shop: who works in it, which version wrote it, where everything is.

One process at a time works in it (a file lock, which the kernel takes back when that process dies); while it does,
``run.json`` tells other commands how to reach its engines.
"""

import fcntl
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxoffice.runtime.embedded.errors import (
    AlreadyRunningError,
    DiskFullError,
    FolderUnusableError,
    NewerFolderError,
    from_os_error,
)
from boxoffice.runtime.embedded.secrets import write_private

FORMAT = 1
"""Raised when a version lays the folder out in a way that older ones would not understand."""
NEEDED_FIRST_MB = 300
"""PostgreSQL's first files take 60 MB, its log up to 64 MB at once, the demo about 100 MB."""
NEEDED_MB = 100
"""Room for two WAL segments and a checkpoint; below that the first busy minute stops the shop."""
LOCK_PATIENCE_S = 0.3
"""A command that only asks who works here holds the lock for a moment."""
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The process that works in a folder: its id, the address that people open, how its engines are reached."""

    pid: int
    address: str
    settings: dict[str, Any]


class DataFolder:
    """One shop's folder. ``open`` takes the lock; ``close`` gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def postgres(self) -> Path:
        """PostgreSQL's cluster."""
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's files."""
        return self.path / "valkey"

    @property
    def keys(self) -> Path:
        """Private keys that sign tokens and tickets."""
        return self.path / "keys"

    @property
    def search(self) -> Path:
        """The search index; it can be made again from the messages."""
        return self.path / "search"

    @property
    def logs(self) -> Path:
        """What the engines print."""
        return self.path / "logs"

    def exists(self) -> bool:
        """Whether a shop was ever started here."""
        return (self.path / "VERSION").exists()

    def open(self) -> None:
        """Take the folder for this process; it is made when missing.

        :raises AlreadyRunningError: when another process works in it, with its pid and address.
        :raises NewerFolderError: when a newer version wrote it.
        :raises DiskFullError: when there is less free space than a start needs.
        :raises FolderUnusableError: when it cannot be written.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            self._check_version()
            self._check_space()
            for folder in (self.keys, self.search, self.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not self.exists():
                write_private(self.path / "VERSION", f"{FORMAT}\n")
        except OSError as error:
            self.close()
            raise from_os_error(error, doing=f"opening the data folder {self.path}") from error
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            (self.path / "run.json").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def announce(self, running: Running) -> None:
        """Tell other commands how to reach this shop; only the owner of the folder can read it."""
        said = {"pid": running.pid, "address": running.address, "settings": running.settings}
        write_private(self.path / "run.json", json.dumps(said, indent=2) + "\n")

    def running(self) -> Running | None:
        """Tell who works in the folder; none when nobody does, or not for long enough to have said how."""
        try:
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._announced()
        except OSError:
            return None
        return None

    def _announced(self) -> Running | None:
        try:
            said = json.loads((self.path / "run.json").read_text())
            return Running(pid=said["pid"], address=said["address"], settings=said["settings"])
        except (OSError, ValueError, KeyError):
            return None

    def _take_lock(self) -> None:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not _locked_within(lock, LOCK_PATIENCE_S):
            pid = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            other = self._announced()
            where = f" at {other.address}" if other else ""
            raise AlreadyRunningError(
                f"A shop is running on {self.path} already{where} (process {pid}). "
                "Open it there, stop it first, or choose another --data-dir."
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _check_version(self) -> None:
        version = self.path / "VERSION"
        if not version.exists():
            return
        said = version.read_text().strip()
        if not said.isdigit():
            raise FolderUnusableError(f"{version} should hold a number; restore the folder from a backup.")
        if int(said) > FORMAT:
            raise NewerFolderError(
                f"The data folder {self.path} was written by a newer version of Boxoffice "
                f"(format {said}, this one knows {FORMAT}). Run that version, or choose another --data-dir."
            )

    def _check_space(self) -> None:
        needed = NEEDED_MB if self.exists() else NEEDED_FIRST_MB
        free = shutil.disk_usage(self.path).free // MEGABYTE
        if free < needed:
            raise DiskFullError(
                f"The disk of {self.path} is full: {free} MB are free and {needed} MB are needed. "
                "Free some space, or choose another --data-dir."
            )


def _locked_within(lock: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(seconds / 10)
        else:
            return True
