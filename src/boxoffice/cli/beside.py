"""What ``boxoffice full`` runs beside the shop and its bus: a search server, documents, Zipkin, Prometheus.

One function a part: it begins to start it, and says which settings reach it and where people look. What a part lacks
on this machine is named, and the shop does without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.engines import mongodb, prometheus, search_servers, zipkin


class Server(Protocol):
    """An engine that is a child of ours."""

    @property
    def process(self) -> child.Child:
        """Its process."""

    def wait_ready(self) -> None:
        """Wait until it serves."""

    def stop(self) -> None:
        """End it in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: what it is called on the screen, where people look, and the settings of the shop that reach it."""

    title: str
    server: Server
    address: str
    settings: Mapping[str, Any] = field(default_factory=dict)


Begin = Callable[[DataFolder, int, Mapping[str, str]], Part]
"""Begins to start a part on a port; it is told where the processes of the shop are, by their names."""


def search_server(folder: DataFolder, _port: int, _processes: Mapping[str, str]) -> Part:
    """Begin to start OpenSearch, which keeps the index of search."""
    place = (folder.path / "opensearch").resolve()
    server = search_servers.start("opensearch", place, log=folder.logs / "opensearch.log")
    return Part(title="OpenSearch", server=server, address=server.url.partition("+")[2],
                settings={"search_engine_url": server.url})  # fmt: skip


def documents(folder: DataFolder, port: int, _processes: Mapping[str, str]) -> Part:
    """Begin to start the server that speaks MongoDB's protocol: it keeps preferences and log records."""
    server = mongodb.start(folder.path / "mongodb", log=folder.logs / "mongodb.log", port=port)
    return Part(title="Documents (MongoDB's protocol)", server=server, address=server.url,
                settings={"mongodb_url": server.url, "log_archive_url": server.url})  # fmt: skip


def traces(folder: DataFolder, port: int, _processes: Mapping[str, str]) -> Part:
    """Begin to start Zipkin, which shows what was done for one purchase."""
    server = zipkin.start(folder.path / "zipkin", log=folder.logs / "zipkin.log", port=port)
    return Part(title="Zipkin", server=server, address=f"{server.url}/zipkin/", settings={"zipkin_url": server.url})


def metrics(folder: DataFolder, port: int, processes: Mapping[str, str]) -> Part:
    """Begin to start Prometheus, which asks the processes how they are."""
    place = folder.path / "prometheus"
    server = prometheus.start(place, targets=processes, log=folder.logs / "prometheus.log", port=port)
    return Part(title="Prometheus", server=server, address=server.url)


PARTS: Mapping[str, tuple[str, Begin]] = {
    "opensearch": ("OpenSearch", search_server),
    "mongodb": ("Documents (MongoDB's protocol)", documents),
    "zipkin": ("Zipkin", traces),
    "prometheus": ("Prometheus", metrics),
}
"""In the order in which they are started; they end after the processes, which use them."""


class Beside:
    """The parts of one shop that are there, and those that are not."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self.parts: dict[str, Part] = {}
        self.absent: dict[str, str] = {}
        """By title: why."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that reach them all."""
        return {name: value for part in self.parts.values() for name, value in part.settings.items()}

    @property
    def processes(self) -> list[child.Child]:
        """Their processes."""
        return [part.server.process for part in self.parts.values()]

    def begin(self, port_of: Callable[[str], int], processes: Mapping[str, str]) -> None:
        """Begin to start what this machine can run; from the main thread only (see ``child.py``).

        :raises EngineError: when one can be had but not be started.
        """
        for name, (title, begin) in PARTS.items():
            try:
                self.parts[name] = begin(self._folder, port_of(name), processes)
            except EngineMissingError as missing:
                self.absent[title] = str(missing)

    def wait(self) -> None:
        """Wait until all serve.

        :raises EngineError: when one does not.
        """
        for part in self.parts.values():
            part.server.wait_ready()

    def stop(self) -> None:
        """End them: all are asked at once, then awaited."""
        for process in self.processes:
            process.ask()
        for part in self.parts.values():
            part.server.stop()


def memory_mb(process: child.Child) -> float | None:
    """Tell what a child and all that it started take of memory, what is shared counted by part (PSS), in MB.

    None where the system does not tell (other systems than Linux).
    """
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: after the name, state, parent, group, session.
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session != process.pid:  # each child of ours began a session of its own
                continue
            lines = (entry / "smaps_rollup").read_text().splitlines()
        except (OSError, ValueError, IndexError):  # it ended meanwhile
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024 if total else None
