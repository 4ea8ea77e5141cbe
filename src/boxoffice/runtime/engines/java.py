"""Find a Java of at least some version."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineMissingError

HOMES = Path("/usr/lib/jvm")


def java(at_least: int) -> Path:
    """Return ``bin/java`` of the oldest Java that is new enough, in JAVA_HOME, ``/usr/lib/jvm`` or on the PATH.

    :raises EngineMissingError: when there is none.
    """
    found = {path.resolve(): version for path in _candidates() if (version := _version(path)) >= at_least}
    if not found:
        raise EngineMissingError(
            f"No Java {at_least} or newer in JAVA_HOME, {HOMES} or on the PATH. Install one (a JRE is enough), such as "
            "Debian's default-jre-headless or Temurin, or name it in JAVA_HOME."
        )
    return min(found, key=lambda path: (found[path], str(path)))


def _candidates() -> Iterator[Path]:
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    for home in [*homes, *sorted(HOMES.glob("*"))]:
        if (home / "bin" / "java").is_file():
            yield home / "bin" / "java"
    if (on_path := shutil.which("java")) is not None:
        yield Path(on_path)


def _version(path: Path) -> int:
    """Read the major version; 0 when it cannot be run."""
    try:
        said = subprocess.run([str(path), "-version"], capture_output=True, text=True, timeout=30, check=False).stderr  # noqa: S603 - a Java of this machine
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', said)
    return int(match[1]) if match else 0
