"""The mails as files, newest last by name: written, synced and renamed into place before anybody is told (durable)."""

import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boxoffice.simulators.mailbox.reading import Headers, read_headers

KEPT_MAILS = 10_000
"""The oldest go first; a demo is read by a person, a test looks at the newest."""
MAIL_ID = re.compile(r"\d{20}-[0-9a-f]{8}")
SUFFIX = ".eml"
HEADER_BYTES = 64 * 1024
"""Enough for the headers of any sane mail; the rest is read when somebody opens it."""
SENDER, RECIPIENTS = "X-Mailbox-From", "X-Mailbox-To"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A mail in the list."""

    mail_id: str
    received_at: datetime
    recipients: tuple[str, ...]
    headers: Headers


class MailFolder:
    """One folder of mails with its list in memory; threads may use it together."""

    def __init__(self, path: Path, *, kept: int = KEPT_MAILS) -> None:
        self.path = path
        self._kept = kept
        self._guard = threading.Lock()
        self._list: dict[str, Summary] = {}

    def open(self) -> None:
        """Make the folder when missing, and list what is in it.

        :raises OSError: when it cannot be used.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.glob(".*.part"):
            leftover.unlink(missing_ok=True)
        with self._guard:
            self._list = {
                path.stem: _summary(path)
                for path in sorted(self.path.glob(f"*{SUFFIX}"))
                if MAIL_ID.fullmatch(path.stem)
            }
            self._forget_oldest()

    def save(self, raw: bytes, *, sender: str, recipients: list[str]) -> str:
        """Keep one mail for good; returns its id.

        :raises OSError: when it could not be made durable; nothing is kept then.
        """
        mail_id = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        part, path = self.path / f".{mail_id}.part", self._file(mail_id)
        envelope = f"{SENDER}: {_one_line(sender)}\r\n{RECIPIENTS}: {_one_line(', '.join(recipients))}\r\n"
        try:
            with part.open("wb") as file:
                file.write(envelope.encode("utf-8", "replace") + raw)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            _sync(self.path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        with self._guard:
            self._list[mail_id] = _summary(path)
            self._forget_oldest()
        return mail_id

    def newest(self, *, to: str | None = None) -> Iterator[Summary]:
        """Walk through the mails, newest first; ``to`` keeps those whose envelope names that address."""
        with self._guard:
            listed = list(self._list.values())
        for summary in reversed(listed):
            if to is None or to.casefold() in (recipient.casefold() for recipient in summary.recipients):
                yield summary

    def find(self, mail_id: str) -> tuple[Summary, bytes] | None:
        """Give a mail's summary and its file's bytes; none when there is no such mail."""
        with self._guard:
            summary = self._list.get(mail_id)
        try:
            return (summary, self._file(mail_id).read_bytes()) if summary else None
        except FileNotFoundError:
            return None

    def clear(self) -> int:
        """Delete every mail; returns how many there were."""
        with self._guard:
            gone, self._list = list(self._list), {}
        for mail_id in gone:
            self._file(mail_id).unlink(missing_ok=True)
        return len(gone)

    def _forget_oldest(self) -> None:
        while len(self._list) > self._kept:
            oldest = next(iter(self._list))
            del self._list[oldest]
            self._file(oldest).unlink(missing_ok=True)

    def _file(self, mail_id: str) -> Path:
        return self.path / f"{mail_id}{SUFFIX}"


def _summary(path: Path) -> Summary:
    with path.open("rb") as file:
        headers = read_headers(file.read(HEADER_BYTES))
    return Summary(
        mail_id=path.stem,
        received_at=datetime.fromtimestamp(int(path.stem[:20]) / 1e9, UTC),
        recipients=tuple(part.strip() for part in headers.first(RECIPIENTS).split(",") if part.strip()),
        headers=headers,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
