"""The secrets file of a data folder: passwords made by us, readable by the owner only, written whole or not at all."""

import json
import os
import secrets
from pathlib import Path

from boxoffice.runtime.embedded.errors import FolderUnusableError, from_os_error

FILE = "secrets.json"
SECRET_BYTES = 24
"""192 bits: nobody guesses it, and it fits in any URL."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only the owner reads, so that a crash leaves the old or the new one.

    :raises EngineError: when it cannot be written.
    """
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o600)  # a draft left by a crash keeps its old mode otherwise
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise from_os_error(error, doing=f"writing {path}") from error


def ensure(data_dir: Path, names: list[str]) -> dict[str, str]:
    """Read the secrets of a data folder; those that are missing are made.

    :raises EngineError: when the file cannot be read or written.
    """
    path = data_dir / FILE
    try:
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    except OSError as error:
        raise from_os_error(error, doing=f"reading {path}") from error
    except ValueError as error:
        raise FolderUnusableError(f"{path} is not readable as JSON; restore it from a backup.") from error
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(SECRET_BYTES) for name in missing}
        write_private(path, json.dumps(known, indent=2) + "\n")
    return known
