"""A folder of backups: copies of the databases' files, and the log that came after them (invariant I22).

``base/<instant>/`` holds one copy each: ``postgres`` as ``pg_basebackup`` wrote it, ``shop`` with the keys and secrets
that belong to it, ``backup.json``. ``wal/`` holds PostgreSQL's write-ahead log in segments, the newest as ``.partial``.
One data folder writes here; two would write over one another's log.
"""

import itertools
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from boxoffice.runtime.embedded.errors import BackupUnusableError, from_os_error
from boxoffice.runtime.embedded.secrets import write_private

FORMAT = 1
SHOP_ID = "shop-id"
"""In a data folder: by this its backups know it. It is not part of a backup, so that a restored folder is another."""
SEGMENT_BYTES = 16 * 1024 * 1024
"""PostgreSQL's own default, which our clusters have."""
SEGMENTS_A_LOG = 2**32 // SEGMENT_BYTES
SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial)?")
NAME_FORMAT = "%Y%m%dT%H%M%S%fZ"
"""Down to the microsecond: two that are begun in one second have names of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One copy. ``begun_at`` and ``done_at`` in UTC; it can be brought to any instant from ``done_at`` on.

    ``first_segment`` is the file of the log that it needs first; ``size_bytes`` is what it takes on disk.
    """

    name: str
    begun_at: datetime
    done_at: datetime
    first_segment: str
    size_bytes: int
    postgres_major: int

    def write(self, folder: Path) -> None:
        """Write ``backup.json``."""
        said = {
            "format": FORMAT,
            **asdict(self),
            "begun_at": self.begun_at.isoformat(),
            "done_at": self.done_at.isoformat(),
        }
        write_private(folder / "backup.json", json.dumps(said, indent=2) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is kept of the log: its segments in order, gaps between them, and when the newest was written to."""

    segments: tuple[str, ...]
    gaps: tuple[tuple[str, str], ...]
    written_at: datetime | None
    size_bytes: int


class BackupFolder:
    """Where one shop's backups are."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def log(self) -> Path:
        """The write-ahead log."""
        return self.path / "wal"

    def base(self, name: str) -> Path:
        """One copy's folder."""
        return self.path / "base" / name

    def claim(self, shop: Path) -> None:
        """Make the folder this shop's; it is made when missing.

        :raises BackupUnusableError: when it is another shop's.
        :raises EngineError: when it cannot be written.
        """
        own = shop / SHOP_ID
        owner = self.path / "OWNER"
        try:
            for folder in (self.path, self.log, self.path / "base"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not own.exists():
                write_private(own, f"{uuid4()}\n")
            if not owner.exists():
                write_private(owner, own.read_text())
            if owner.read_text() != own.read_text():
                raise BackupUnusableError(
                    f"{self.path} keeps the backups of another shop (a restored shop is another one). "
                    "Name an empty folder with --backup-dir or BOXOFFICE_BACKUP_DIR; the old one stays as it is."
                )
        except OSError as error:
            raise from_os_error(error, doing=f"opening the backups in {self.path}") from error

    def backups(self) -> list[Backup]:
        """List the copies, oldest first; unfinished ones are not in it.

        :raises BackupUnusableError: when one says nothing readable of itself.
        """
        return [_read(file) for file in sorted((self.path / "base").glob("*Z/backup.json"))]

    def for_instant(self, until: datetime | None, *, name: str | None = None) -> Backup:
        """Choose the copy to begin with: the named one, else the newest that was done before an instant (none: now).

        :raises BackupUnusableError: when there is none.
        """
        known = self.backups()
        if not known:
            raise BackupUnusableError(f"There is no backup in {self.path}. `boxoffice backup create` makes one.")
        if name is not None and name not in {one.name for one in known}:
            raise BackupUnusableError(f"There is no backup {name} in {self.path}; `boxoffice backup list` shows which.")
        fitting = [
            one for one in known if name in {None, one.name} and (until is None or one.done_at <= until)
        ]  # fmt: skip
        if not fitting:
            first = next(one for one in known if name in {None, one.name})
            raise BackupUnusableError(
                f"The backup {first.name} was complete at {first.done_at.isoformat()}, and cannot be brought to an "
                "instant before that. Choose a later one."
            )
        return fitting[-1]

    def read_log(self) -> Log:
        """Look at what is kept of the log."""
        files = {
            file.name.removesuffix(".partial"): file for file in self.log.glob("*") if SEGMENT.fullmatch(file.name)
        }
        names = sorted(files)
        gaps = [(one, two) for one, two in itertools.pairwise(names) if not follows(one, two)]
        stats = [file.stat() for file in files.values()]
        written = max((stat.st_mtime for stat in stats), default=None)
        return Log(
            segments=tuple(names), gaps=tuple(gaps), size_bytes=sum(stat.st_size for stat in stats),
            written_at=None if written is None else datetime.fromtimestamp(written, UTC),
        )  # fmt: skip

    def forget(self, *, keep: int) -> list[str]:
        """Remove all copies but the newest ``keep``, unfinished ones, and log that no copy needs; names those removed.

        :raises EngineError: when one cannot be removed.
        """
        known = self.backups()
        old = known[:-keep]
        try:
            for one in old:
                shutil.rmtree(self.base(one.name))
            for draft in (self.path / "base").glob("*.new"):
                shutil.rmtree(draft)
            for name in needless(self.read_log().segments, known[-keep:]):
                for file in self.log.glob(name + "*"):
                    file.unlink()
        except OSError as error:
            raise from_os_error(error, doing=f"removing old backups in {self.path}") from error
        return [one.name for one in old]


def segment_of(timeline: int, position: str) -> str:
    """Name the segment that a position of the log (``16/B374D848``) is in."""
    log, _, offset = position.partition("/")
    return f"{timeline:08X}{int(log, 16):08X}{int(offset, 16) // SEGMENT_BYTES:08X}"


def follows(one: str, two: str) -> bool:
    """Whether a segment is the next after another; on a later timeline it may begin anew from any point before."""
    first, second = _number(one), _number(two)
    return second == first + 1 if one[:8] == two[:8] else second <= first + 1


def needless(segments: Sequence[str], backups: Sequence[Backup]) -> list[str]:
    """Pick the segments that are older than what every one of these copies needs."""
    if not backups:
        return []
    first = min(_number(one.first_segment) for one in backups)
    return [name for name in segments if _number(name) < first]


def _number(segment: str) -> int:
    return int(segment[8:16], 16) * SEGMENTS_A_LOG + int(segment[16:24], 16)


def _read(file: Path) -> Backup:
    try:
        said = json.loads(file.read_text())
        if said["format"] != FORMAT:
            raise BackupUnusableError(f"{file.parent} was written by another version of Boxoffice; use that one.")
        return Backup(
            name=said["name"], begun_at=datetime.fromisoformat(said["begun_at"]),
            done_at=datetime.fromisoformat(said["done_at"]), first_segment=said["first_segment"],
            size_bytes=said["size_bytes"], postgres_major=said["postgres_major"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupUnusableError(f"{file} cannot be read ({error}); move {file.parent} away.") from error
