"""Files of engines, fetched once from a Maven repository by a lock file of ours: each by its path and SHA-256.

A file that is there was checked when it came; a download that was cut short is begun again.
"""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineError, from_os_error

REPOSITORY = "https://repo.maven.apache.org/maven2"
CHUNK_BYTES = 1 << 20
TOLD_EVERY_BYTES = 16 << 20
"""A line of progress about every second on a common line."""
SILENT_S = 60.0
"""A repository that says nothing for so long is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One file of a lock: its SHA-256 in hexadecimal and its path in the repository."""

    sha256: str
    path: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


def fetched(lock: Path, *, say: Callable[[str], None] = print) -> Path:
    """Give the folder with a lock's files, flat by their base names, downloading what is missing.

    ``lock`` has lines ``<sha256>  <path in the Maven repository>``. The folder is named by the lock's stem and the
    first 12 hexadecimal digits of the lock's own SHA-256. ``say`` is told the progress, a line each time.

    :raises EngineError: when the repository cannot be reached, or sends something else than what is locked.
    """
    folder = _folder_of(lock)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in _entries(lock):
            if not (folder / entry.name).exists():
                _download(entry, folder / entry.name, say=say)
    except urllib.error.URLError as error:
        raise EngineError(
            f"{_repository()} cannot be reached ({error.reason}). Fetch the files while online once, name a mirror in "
            f"MAVEN_REPOSITORY, or put what {lock.name} lists into {folder}."
        ) from error
    except OSError as error:
        raise from_os_error(error, doing=f"fetching the files of {lock.name}") from error
    return folder


def _folder_of(lock: Path) -> Path:
    named = os.environ.get("BOXOFFICE_ENGINES_CACHE")
    cache = Path(named) if named else Path.home() / ".cache" / "boxoffice" / "engines"
    return cache / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


def _entries(lock: Path) -> Sequence[Locked]:
    """Read a lock file; empty lines and those that begin with ``#`` say nothing."""
    lines = [line.split() for line in lock.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [Locked(sha256=sha256, path=path) for sha256, path in lines]


def _download(entry: Locked, target: Path, *, say: Callable[[str], None]) -> None:
    """Download to a draft of this process's own, check it, and rename it."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest, done, told = hashlib.sha256(), 0, 0
    try:
        with (
            urllib.request.urlopen(f"{_repository()}/{entry.path}", timeout=SILENT_S) as answer,  # noqa: S310 - http(s), named by the operator
            draft.open("wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if done - told >= TOLD_EVERY_BYTES or done == total:
                    told = done
                    say(f"{entry.name}: {done >> 20} of {total >> 20} MiB")
        if digest.hexdigest() != entry.sha256:
            raise EngineError(
                f"{_repository()}/{entry.path} is not the file that is locked (its SHA-256 is {digest.hexdigest()}). "
                "Try again; if it stays so, the repository or a proxy before it changes files: use another one."
            )
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


def _repository() -> str:
    return os.environ.get("MAVEN_REPOSITORY", REPOSITORY).rstrip("/")
