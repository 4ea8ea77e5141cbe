"""A whole shop on one machine, every part a process of its own: engines, Kafka, Debezium, stand-ins, nine processes.

A search server, a server of documents, Zipkin and Prometheus run beside them (``beside.py``). The engines written in
Java start first, because they take longest; everything stops in reverse of the way of a message, so that what was
written is delivered. Whatever happens, no child is left behind.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx

from boxoffice.apps import PROCESSES
from boxoffice.apps.starting import share_of
from boxoffice.cli import addresses, connecting, console, demo, stand_ins
from boxoffice.cli.beside import Beside, memory_mb
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.schemas import migrate_all
from boxoffice.cli.serving import GRACE_S, listen
from boxoffice.cli.shop import told
from boxoffice.cli.signals import AskedToStopError, StopSignals
from boxoffice.runtime.embedded import child, ports, postgres, secrets
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.errors import EngineError
from boxoffice.runtime.embedded.folder import DataFolder, Running
from boxoffice.runtime.engines import connect, kafka
from boxoffice.runtime.engines.java import java
from boxoffice.runtime.settings import PREFIX, Settings, load
from boxoffice.services.notification.app import keep_preferences_where_told

READY_S = 600.0
"""Nine processes that start at once take half a minute on two cores that have nothing else to do."""
STOP_S = GRACE_S + 5.0
WATCH_S = 0.2
POOL_SIZE = 5
"""Connections of each process to its database: six processes have one, and the server takes 200."""
CDC_USER = "cdc"

Engine = TypeVar("Engine")


class ManyProcesses:
    """One shop of many processes, from the first file to the last child."""

    def __init__(self, data_dir: Path, *, port: int, concerts: int | None = None) -> None:
        self.folder = DataFolder(data_dir)
        self._port = port
        self._concerts = concerts
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(PREFIX) and name != "DATABASE_URL"
        }  # fmt: skip
        self._engines = Engines(self.folder, {})
        self._kafka: kafka.Kafka | None = None
        self._connect: connect.Connect | None = None
        self._beside = Beside(self.folder)
        self._stand_ins: list[stand_ins.StandIn] = []
        self._processes: dict[str, child.Child] = {}
        self._urls: dict[str, str] = {}
        self._signals = StopSignals(self._kill)
        self._started = time.monotonic()

    def run(self) -> None:
        """Start everything, watch it until somebody asks to stop, stop everything.

        :raises EngineError: when there is no Java or engine, or one of them does not come up or ends by itself.
        :raises CommandError: when a process does not come up or ends by itself, or the port is not free.
        """
        self._signals.install()
        try:
            java(max(kafka.JAVA, connect.JAVA))  # before anything is fetched for it
            self._open()
            settings = self._start()
            self._signals.finish = _nothing  # from here on the loop below looks whether somebody asked
            console.done(f"Up in {time.monotonic() - self._started:.1f} s")
            self._tell(settings)
            self._watch()
            console.done("Stopping: processes, then what they run on")
        except AskedToStopError:
            console.done("Stopped before it was up")
        finally:
            self._stop()

    def _open(self) -> None:
        """Take the folder, and find that the port is free before anything is started."""
        used = self.folder.exists() and not (self.folder.path / "kafka").exists()
        if used:
            raise CommandError(
                f"{self.folder.path} is the folder of a shop whose messages did not travel over Kafka, and what went "
                "before would be missing there. Choose another --data-dir.",
                Exit.FOLDER_UNUSABLE,
            )
        self.folder.open()
        (self.folder.path / "kafka").mkdir(mode=0o700, exist_ok=True)  # also when the start fails after this
        with listen(ports.LOOPBACK, self._port) as listener:
            self._port = listener.getsockname()[1]
        self._urls["gateway"] = f"http://{ports.LOOPBACK}:{self._port}"

    def _start(self) -> Settings:
        with console.step("Start the engines"):
            known = self._begin()
        settings = load({}, defaults=known)
        with console.step("Bring the databases to this version"):
            migrate_all(settings)
        with console.step("Start the nine processes"):
            _there(self._kafka).wait_ready()
            self._beside.wait()
            asyncio.run(keep_preferences_where_told(settings))
            for name in PROCESSES:
                self._processes[name] = self._serve(name, known)
        self.folder.announce(Running(pid=os.getpid(), address=settings.public_url, settings=told(settings)))
        with console.step("Wait for Kafka Connect"):
            _there(self._connect).wait_ready()
        connecting.apply_all(settings)
        asyncio.run(demo.prepare(settings, folder=self.folder.path, concerts=self._concerts))
        with console.step("Wait until every process is ready"):
            for name in PROCESSES:
                self._wait_for(name)
        return settings

    def _begin(self) -> dict[str, Any]:
        """Start the engines and the stand-ins; returns all settings of the shop."""
        folder, logs = self.folder.path, self.folder.logs
        cdc = secrets.ensure(folder, [CDC_USER])[CDC_USER]
        self._kafka = kafka.start(folder / "kafka", log=logs / "kafka.log", port=self._remembered("kafka"))
        self._connect = connect.start(
            folder / "connect", servers=self._kafka.servers, log=logs / "connect.log",
            port=self._remembered("connect"), secrets={"CDC_PASSWORD": cdc},
        )  # fmt: skip
        self._engines.begin()
        for name in PROCESSES:
            self._urls.setdefault(name, f"http://{ports.LOOPBACK}:{self._remembered(name)}")
        self._beside.begin(self._remembered, self._urls)
        self._stand_ins.append(
            stand_ins.begin_paypal(self.folder, self._environment, shop=self._urls["gateway"])
        )  # fmt: skip
        self._stand_ins.append(stand_ins.begin_mailbox(self.folder, self._environment))
        known = self._engines.wait()
        postgres.make_replicating_role(_there(self._engines.postgres).admin_url, CDC_USER, cdc)
        for one in self._stand_ins:
            one.wait()
            known |= one.settings
        return (
            known
            | self._beside.settings
            | {
                **{f"{name}_url": url for name, url in self._urls.items()},
                "public_url": self._urls["gateway"],
                "bus_url": self._kafka.url,
                "outbox_carrier": "connect",
                "connect_url": self._connect.url,
                "cdc_user": CDC_USER,
                "database_pool_size": POOL_SIZE,
                "signing_key_file": str(self.folder.keys / "tokens.pem"),
                "ticket_key_file": str(self.folder.keys / "tickets.pem"),
                "search_index_dir": str(self.folder.search),
                "demo": True,
            }
        )

    def _serve(self, name: str, known: dict[str, Any]) -> child.Child:
        place = self.folder.path / "processes" / name
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        child.end_leftovers(place, stop_signal=signal.SIGTERM, seconds=STOP_S)
        return child.start(
            [sys.executable, "-m", "boxoffice.cli", "serve", name, "--port", self._urls[name].rpartition(":")[2]],
            name=f"The process {name}",
            log=self.folder.logs / f"{name}.log",
            folder=place,
            environment={**self._environment, **share_of(name, known)},
        )

    def _wait_for(self, name: str) -> None:
        def ready() -> bool:
            try:
                # The gateway asks all others first, which takes a while when the machine is busy.
                return httpx.get(f"{self._urls[name]}/health/ready", timeout=10, trust_env=False).is_success
            except httpx.HTTPError:
                return False

        try:
            self._processes[name].wait_until(ready, seconds=READY_S)
        except EngineError as error:
            raise CommandError(str(error), Exit.PART_FAILED) from error

    def _remembered(self, name: str) -> int:
        return int(stand_ins.remembered_url(self.folder.path, name).rpartition(":")[2])

    def _watch(self) -> None:
        while not self._signals.asked:
            broken = self._broken()
            if broken is not None:
                raise broken
            time.sleep(WATCH_S)

    def _broken(self) -> Exception | None:
        """Tell who ended by itself, if somebody did."""
        for process in self._others():
            if not process.running():
                return process.failure(f"{process.name} ended by itself")
        for process in self._processes.values():
            if not process.running():
                return CommandError(str(process.failure(f"{process.name} ended by itself")), Exit.PART_FAILED)
        return self._engines.broken()

    def _tell(self, settings: Settings) -> None:
        console.out.print(addresses.table(settings, self._urls, self.folder, self._beside, self._memory()))

    def _memory(self) -> dict[str, float]:
        """Tell what each part takes, in MB, as far as the system says."""
        children = {process.name: process for process in (*self._others(), *self._processes.values())}
        for engine in (self._engines.postgres, self._engines.valkey):
            if engine is not None:
                children[engine.process.name] = engine.process
        found = {name: memory_mb(process) for name, process in children.items()}
        return {name: megabytes for name, megabytes in found.items() if megabytes is not None}

    def _others(self) -> list[child.Child]:
        """Give what runs beside the processes and their databases."""
        started = (self._kafka, self._connect, *self._stand_ins)
        return [*(one.process for one in started if one is not None), *self._beside.processes]

    def _stop(self) -> None:
        for process in self._processes.values():
            process.ask()
        for process in self._processes.values():
            process.stop(seconds=STOP_S)
        for one in self._stand_ins:
            one.process.ask()
        if self._connect is not None:
            self._connect.stop()
        for one in self._stand_ins:
            one.stop()
        if self._kafka is not None:
            self._kafka.stop()
        self._beside.stop()
        self._engines.stop()
        self.folder.close()

    def _kill(self) -> None:
        for process in (*self._processes.values(), *self._others()):
            with suppress(OSError):
                process.kill()
        self._engines.kill()


def _there(engine: Engine | None) -> Engine:
    assert engine is not None, "it was started before"
    return engine


def _nothing() -> None:
    """Go on."""
