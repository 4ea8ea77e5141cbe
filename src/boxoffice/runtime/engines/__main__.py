"""Fetch the files of every engine of the full profile, once: ``python -m boxoffice.runtime.engines``."""

import sys

from boxoffice.runtime.embedded.errors import EngineError
from boxoffice.runtime.engines import mongodb
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.locks import every_lock


def main() -> int:
    """Fetch them, and return the exit code."""
    try:
        for lock in every_lock():
            fetched(lock)
        mongodb.home()
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for who runs it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
