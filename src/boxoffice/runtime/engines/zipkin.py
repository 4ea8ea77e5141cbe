"""One Zipkin on loopback: takes spans, keeps the newest in memory, shows traces on its page."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock
from boxoffice.runtime.engines.served import ServedEngine

JAVA = 17
HEAP = "256m"
MOST_SPANS = 100_000
"""The oldest go beyond that: some 100 MB of the heap."""


class Zipkin(ServedEngine):
    """One running server; ``url`` is the value of ``BOXOFFICE_ZIPKIN_URL``. What it kept ends with it."""

    READY_PATH = "/health"
    STOP_S = 15.0


def start(folder: Path, *, log: Path, port: int | None = None, say: Callable[[str], None] = print) -> Zipkin:
    """Begin to start a server that works in ``folder``; ``wait_ready`` is yours.

    :raises EngineError: when there is no Java or Zipkin, or the folder cannot be used.
    """
    files, program = fetched(lock("zipkin"), say=say), java(JAVA)
    [archive] = files.glob("zipkin-server-*-exec.jar")
    folder.mkdir(parents=True, exist_ok=True)
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=Zipkin.STOP_S)
    port = port or free_port()
    command: list[str | Path] = [
        program, f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", archive,
        # Its documented variables set the port only, and then it listens on every address.
        f"--armeria.ports[0].ip={LOOPBACK}", f"--armeria.ports[0].port={port}", "--armeria.ports[0].protocols[0]=http",
    ]  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "HOME"}}
    environment = {**kept, "STORAGE_TYPE": "mem", "MEM_MAX_SPANS": str(MOST_SPANS)}
    return Zipkin(child.start(command, name="Zipkin", log=log, folder=folder, environment=environment), port=port)


def start_ready(folder: Path, *, log: Path, say: Callable[[str], None] = print) -> Zipkin:
    """Start a server and wait until it takes spans."""
    server = start(folder, log=log, say=say)
    server.wait_ready()
    return server
