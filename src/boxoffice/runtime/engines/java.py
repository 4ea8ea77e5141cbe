"""Where a Java runtime is that an engine can run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineMissingError

INSTALLED = Path("/usr/lib/jvm")
ASKED_S = 30.0
"""A Java runtime tells its version in a tenth of a second; a busy machine may need seconds."""


def java(at_least: int) -> Path:
    """Find ``bin/java`` of a runtime of at least a major version: JAVA_HOME, then ``/usr/lib/jvm``, then PATH.

    :raises EngineMissingError: when there is none; it says what to install.
    """
    for program in _candidates():
        if _major(program) >= at_least:
            return program
    raise EngineMissingError(
        f"There is no Java {at_least} or newer in JAVA_HOME, {INSTALLED} or PATH. Install one (on Debian and Ubuntu: "
        f"apt install openjdk-{at_least}-jre-headless, or any newer one), or name it in JAVA_HOME."
    )


def _candidates() -> Iterator[Path]:
    homes = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    for home in [*homes, *sorted(INSTALLED.glob("*"))]:
        if (home / "bin" / "java").is_file():
            yield home / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve()


@cache
def _major(program: Path) -> int:
    try:
        asked = subprocess.run([program, "-version"], capture_output=True, check=False, text=True, timeout=ASKED_S)  # noqa: S603 - a Java runtime, no shell
    except (OSError, subprocess.TimeoutExpired):
        return 0
    said = re.search(r'version "(\d+)', asked.stderr + asked.stdout)
    return int(said[1]) if said else 0
