"""Files that hold a private key: nobody but their owner may read them, and a process that finds otherwise refuses."""

from pathlib import Path

READABLE_BY_OTHERS = 0o077


class BadKeyFileError(Exception):
    """A key file cannot be used: it holds no key of ours, or others may read it; the text says what to do."""


def refuse_when_others_may_read(path: Path) -> None:
    """Look at who may read or write a key file.

    :raises BadKeyFileError: when that is anybody but its owner.
    """
    if path.stat().st_mode & READABLE_BY_OTHERS:
        raise BadKeyFileError(f"{path} may be read by others; run: chmod 600 {path}")
