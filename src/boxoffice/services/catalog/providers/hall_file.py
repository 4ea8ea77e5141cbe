"""A seat map in a file, format ``hall/1``."""

from pathlib import Path

import msgspec

from boxoffice.contracts.hall import Hall
from boxoffice.services.catalog.domain.refusals import UnreadableSeatMapError

MAX_BYTES = 1024 * 1024
"""As over HTTP: the largest halls take some 100 kB."""


def read(file: Path) -> Hall:
    """Read a hall.

    :raises UnreadableSeatMapError: when the file is missing, too large or no seat map.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableSeatMapError(f"{file}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise UnreadableSeatMapError(f"{file} is larger than {MAX_BYTES} bytes.")
    try:
        return msgspec.json.decode(content, type=Hall)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableSeatMapError(f"{file} is no seat map of the format hall/1: {error}") from error
