"""Fetch an engine's files once, by a list of their paths and sums; nothing else is trusted.

A lock file (``deploy/engines/*.lock``) has lines ``<sha256>  <path in the Maven repository>``.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from boxoffice.runtime.embedded.errors import EngineMissingError

REPOSITORY = "https://repo.maven.apache.org/maven2"
AT_ONCE = 4
CHUNK = 1 << 16
TIMEOUT_S = 60.0
TOLD_EVERY = 32 << 20
"""Bytes of a large file between two lines of progress."""

Say = Callable[[str], None]


def cache() -> Path:
    """Tell where engines are kept: ``BOXOFFICE_ENGINES_CACHE``, else ``~/.cache/boxoffice/engines``."""
    named = os.environ.get("BOXOFFICE_ENGINES_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "boxoffice" / "engines"


def folder_of(lock: Path) -> Path:
    """Tell where an engine's files are, or will be."""
    return cache() / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


def fetched(lock: Path, *, say: Say = print, only: str = "") -> Path:
    """Return the folder with an engine's files, flat by their base names; fetches those that are missing.

    ``only``: how the base names of those that are needed begin.

    :raises EngineMissingError: when one cannot be had, or is not what the lock file says.
    """
    folder, lines = folder_of(lock), lock.read_text().splitlines()
    listed = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    needed = [(digest, path) for digest, path in listed if Path(path).name.startswith(only)]
    missing = [(digest, path) for digest, path in needed if not (folder / Path(path).name).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        say(f"Fetching {lock.stem}: {len(missing)} of {len(needed)} files …")
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client, ThreadPoolExecutor(AT_ONCE) as hands:
            for done, _ in enumerate(hands.map(lambda one: _fetch(client, folder, *one, say=say), missing), 1):
                if done % 10 == 0 or done == len(missing):
                    say(f"  {done} of {len(missing)}")
    return folder


def _fetch(client: httpx.Client, folder: Path, digest: str, path: str, *, say: Say) -> None:
    """Fetch one file under another name, and give it its own when its sum is right."""
    url = f"{os.environ.get('MAVEN_REPOSITORY', REPOSITORY).rstrip('/')}/{path}"
    part = folder / f"{Path(path).name}.{os.getpid()}.part"
    summed = hashlib.sha256()
    try:
        with client.stream("GET", url) as answer, part.open("wb") as file:
            answer.raise_for_status()
            for chunk in answer.iter_bytes(CHUNK):
                summed.update(chunk)
                if (file.tell() + len(chunk)) // TOLD_EVERY > file.tell() // TOLD_EVERY:
                    say(f"  {Path(path).name}: {file.tell() >> 20} MB")
                file.write(chunk)
    except (httpx.HTTPError, OSError) as error:
        part.unlink(missing_ok=True)
        raise EngineMissingError(
            f"{url} could not be fetched ({error}). Go online once, or set MAVEN_REPOSITORY to a mirror; what was "
            f"fetched stays in {folder.parent}."
        ) from error
    if summed.hexdigest() != digest:
        part.unlink()
        raise EngineMissingError(
            f"{url} has SHA-256 {summed.hexdigest()}, not {digest}: it was changed on the way. Fetch it from elsewhere "
            "by MAVEN_REPOSITORY."
        )
    part.rename(folder / Path(path).name)
