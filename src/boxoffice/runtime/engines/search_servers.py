"""A real OpenSearch or Elasticsearch on loopback with its files in a folder: for tests and for trying them out.

One node without security, as a child that ends with us. Elasticsearch's archive is the server without most of its
modules (no folding of accents, no edge n-grams, no page at ``/``); OpenSearch's is whole.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal, get_args

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.binaries import NAMESPACE
from boxoffice.runtime.embedded.errors import EngineError, EngineFailedError, EngineMissingError, from_os_error
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.engines.fetching import fetched, folder_of
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.engines.locks import lock

Kind = Literal["opensearch", "elasticsearch"]

JAVA_AT_LEAST = 21
HEAP = "256m"
"""Enough for some ten thousand events; the process takes about 460 MB with it."""
SMALL = (f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:-UseG1GC", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For tests: little memory, few threads, a quick start."""
READY_S = 600.0
"""20 seconds alone on two cores; a busy machine may need minutes."""
STOP_S = 30.0
PROBE_S = 2.0
STARTS = 3
"""Another program may take the port between our looking and the server's binding."""
PORT_TAKEN = re.compile(r"BindHttpException|BindTransportException|Address already in use")
UNWRITABLE_OPTIONS = re.compile(r"Xlog:gc|Xloggc|HeapDump|ErrorFile")
"""Of the stock options: what writes below the program's own folder, which may belong to somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchServer:
    """One running server; ``url`` is its address with the kind in the scheme, as the setting takes it."""

    process: child.Child
    kind: Kind
    port: int

    @property
    def url(self) -> str:
        """What ``BOXOFFICE_SEARCH_ENGINE_URL`` takes."""
        return f"{self.kind}+http://{LOOPBACK}:{self.port}"

    def wait_ready(self) -> None:
        """Wait until it answers.

        :raises EngineFailedError: when it does not.
        """
        self.process.wait_until(lambda: _answers(self.port), seconds=READY_S)

    def stop(self) -> None:
        """Write everything and end."""
        self.process.stop(seconds=STOP_S)


def fetched_already() -> bool:
    """Tell whether both archives were fetched, without fetching anything."""
    folder = folder_of(lock("search"))
    return all((folder / _archive(kind)).exists() for kind in get_args(Kind))


def home(kind: Kind, *, say: Callable[[str], None] = print) -> Path:
    """Give the unpacked programs of a kind, fetching and unpacking them the first time.

    :raises EngineError: when they cannot be fetched.
    """
    archive = fetched(lock("search"), say=say, only=f"{kind}-") / _archive(kind)
    folder = archive.parent
    target = folder / archive.stem
    if not target.exists():
        say(f"{archive.name}: unpacking")
        try:
            _unpack(archive, target)
        except OSError as error:
            raise from_os_error(error, doing=f"unpacking {archive.name}") from error
    return target


def start_ready(
    kind: Kind, folder: Path, *, log: Path, say: Callable[[str], None] = print, options: Sequence[str] = SMALL
) -> SearchServer:
    """Start a server whose data, logs and settings are in ``folder``, and wait for it; ``options`` are Java's.

    :raises EngineError: when it cannot be fetched, there is no Java for it, or it does not come up.
    """
    server = start(kind, folder, log=log, say=say, options=options)
    for _ in range(1, STARTS):
        try:
            _wait(server)
        except EngineFailedError as error:
            if not PORT_TAKEN.search(str(error)):
                raise
            server = start(kind, folder, log=log, say=say, options=options)
        else:
            return server
    _wait(server)
    return server


def start(
    kind: Kind,
    folder: Path,
    *,
    log: Path,
    port: int | None = None,
    say: Callable[[str], None] = print,
    options: Sequence[str] = SMALL,
) -> SearchServer:
    """Begin to start a server whose data, logs and settings are in ``folder``; ``wait_ready`` is yours.

    :raises EngineError: when it cannot be fetched, there is no Java for it, or the folder cannot be used.
    """
    programs, runtime = home(kind, say=say), java(JAVA_AT_LEAST)
    folder.mkdir(parents=True, exist_ok=True)
    child.end_leftovers(folder, stop_signal=signal.SIGTERM, seconds=STOP_S)
    return _start(kind, programs, runtime, folder, log=log, port=port or free_port(), options=options)


def _wait(server: SearchServer) -> None:
    try:
        server.wait_ready()
    except BaseException:
        server.process.kill()
        raise


def main(arguments: Sequence[str]) -> int:
    """Fetch and unpack both servers, or ``run KIND FOLDER`` until a signal ends it; returns the exit code."""
    try:
        match arguments:
            case []:
                for kind in get_args(Kind):
                    home(kind)
            case ["run", ("opensearch" | "elasticsearch") as kind, folder]:
                _run_until_stopped(kind, Path(folder))
            case _:
                print("usage: search_servers [run opensearch|elasticsearch FOLDER]", file=sys.stderr)  # noqa: T201 - for who runs it
                return 2
    except EngineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for who runs it
        return 1
    return 0


def _run_until_stopped(kind: Kind, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = start_ready(kind, folder.resolve(), log=folder.resolve() / "output.log")
    print(server.url, flush=True)  # noqa: T201 - for who runs it
    try:
        server.process.wait()
    except KeyboardInterrupt:
        server.stop()


def _archive(kind: Kind) -> str:
    names = [line.rpartition("/")[2].strip() for line in lock("search").read_text().splitlines()]
    return next(name for name in names if name.startswith(f"{kind}-"))


def _start(
    kind: Kind, programs: Path, runtime: Path, folder: Path, *, log: Path, port: int, options: Sequence[str]
) -> SearchServer:
    transport = free_port()
    try:
        _prepare(
            programs, runtime, folder, settings=_settings(kind, folder, port=port, transport=transport), options=options
        )
    except OSError as error:
        raise from_os_error(error, doing=f"preparing {folder}") from error
    process = child.start(
        [*_not_as_root(), programs / "bin" / kind],
        name=kind,
        log=log,
        folder=folder,
        stop_signal=signal.SIGTERM,
        environment=_environment(kind, runtime, folder),
    )
    return SearchServer(process=process, kind=kind, port=port)


def _settings(kind: Kind, folder: Path, *, port: int, transport: int) -> str:
    lines = {
        "cluster.name": "boxoffice", "node.name": "one", "discovery.type": "single-node", "network.host": LOOPBACK,
        "http.port": port, "transport.port": transport, "path.data": folder / "data", "path.logs": folder / "logs",
        "cluster.routing.allocation.disk.threshold_enabled": "false",  # a developer's disk is often nearly full
    }  # fmt: skip
    if kind == "elasticsearch":
        lines["xpack.security.enabled"] = "false"
    return "\n".join(f"{name}: {value}" for name, value in lines.items()) + "\n"


def _prepare(programs: Path, runtime: Path, folder: Path, *, settings: str, options: Sequence[str]) -> None:
    for part in ("data", "logs", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "config", ignore_errors=True)
    shutil.copytree(programs / "config", folder / "config")
    stock = folder / "config" / "jvm.options"
    lines = [line for line in stock.read_text().splitlines() if not UNWRITABLE_OPTIONS.search(line)]
    if "jdk.incubator.vector" not in _modules(runtime):  # a cut-down runtime: the server does without it
        lines = [line for line in lines if "jdk.incubator.vector" not in line]
    stock.write_text("\n".join(lines) + "\n")
    own = folder / "config" / "jvm.options.d"
    own.mkdir(exist_ok=True)
    (own / "boxoffice.options").write_text("\n".join(options) + "\n")
    programs_file = "elasticsearch.yml" if (folder / "config" / "elasticsearch.yml").exists() else "opensearch.yml"
    (folder / "config" / programs_file).write_text(settings)


def _environment(kind: Kind, runtime: Path, folder: Path) -> Mapping[str, str]:
    prefix = {"elasticsearch": "ES", "opensearch": "OPENSEARCH"}[kind]
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL"}}
    return {
        **kept,
        "HOME": str(folder),
        f"{prefix}_JAVA_HOME": str(runtime.parents[1]),
        f"{prefix}_PATH_CONF": str(folder / "config"),
        f"{prefix}_TMPDIR": str(folder / "tmp"),
    }


def _not_as_root() -> Sequence[str]:
    """Both servers refuse root; in a user namespace they see another user, and nothing needs another owner."""
    if os.geteuid() != 0:
        return ()
    works = shutil.which(NAMESPACE[0]) is not None and _run([*NAMESPACE, "true"]) is not None
    if not works:
        raise EngineMissingError(
            "Search servers do not run as root, and `unshare --user` does not work here. Run as an ordinary user, or "
            "set BOXOFFICE_SEARCH_ENGINE_URL to a server."
        )
    return NAMESPACE


def _unpack(archive: Path, target: Path) -> None:
    """Unpack with the files' permissions (``zipfile`` leaves them out), whole or not at all."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as packed:
            for item in packed.infolist():
                mode = item.external_attr >> 16 & 0o777
                written = Path(packed.extract(item, draft))
                if mode and not item.is_dir():
                    written.chmod(mode)
        if not target.exists():  # else another process was quicker
            (draft / archive.stem).rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _modules(runtime: Path) -> str:
    return _run([str(runtime), "--list-modules"]) or ""


def _run(command: Sequence[str]) -> str | None:
    """Give what a command said; none when it failed."""
    try:
        ran = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own command lines, no shell
    except OSError:
        return None
    return ran.stdout if ran.returncode == 0 else None


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/_cluster/health", timeout=PROBE_S) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
