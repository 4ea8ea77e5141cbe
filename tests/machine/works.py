"""The full machine as separate processes on real engines, every part of which can be stopped, killed and started again.

PostgreSQL, Valkey, Kafka, Connect with Debezium, OpenSearch, the provider's stand-in, the mailbox, and every process of
the shop, bookings twice: the gateway balances over the two.
"""

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from tests.support.commands import BOXOFFICE, environment
from tests.support.processes import SIMULATORS, Deployment, Program
from tests.support.shop import free_port

from boxoffice.apps import PROCESSES
from boxoffice.cli import connecting
from boxoffice.cli.exits import CommandError
from boxoffice.runtime.connectors import ConnectRefusedError
from boxoffice.runtime.embedded import postgres, valkey
from boxoffice.runtime.embedded.engines import SERVICES
from boxoffice.runtime.engines import connect, kafka, search_servers
from boxoffice.runtime.settings import load

PASSWORD = "of-a-throw-away-machine"
CDC = "cdc"
READY_S = 240.0
OPEN_S = 600.0
"""For all of it to come up on a machine that has other things to do."""
ENGINES = ("postgres", "valkey", "kafka", "connect", "opensearch")
TWO = ("bookings-1", "bookings-2")
EXTRA = {
    "BOXOFFICE_LOG_LEVEL": "warning",
    "BOXOFFICE_DATABASE_POOL_SIZE": "5",
    "BOXOFFICE_PAYMENT_MINUTES": "1",
}
"""A minute at the provider, so that a run sees what comes after it."""
NO_LIMITS = {"BOXOFFICE_RATE_LIMIT_PER_SECOND": "0", "BOXOFFICE_AUTH_RATE_LIMIT_PER_SECOND": "0"}
"""Everybody comes from one address here."""


class Works(Deployment):
    """A deployment that starts its own engines; from the main thread only, since children live as long as a thread."""

    def __init__(self, folder: Path) -> None:
        self.frozen: dict[str, list[psutil.Process]] = {}
        logs = folder / "logs"
        logs.mkdir(parents=True)
        self._logs = logs
        self.kafka = kafka.start(folder / "kafka", log=logs / "kafka.log")
        (folder / "opensearch").mkdir()
        self.opensearch = search_servers.start("opensearch", folder / "opensearch", log=logs / "opensearch.log")
        self.connect = self._start_connect(folder, None)
        self.postgres = postgres.start_ready(folder / "pg", password=PASSWORD, log=logs / "postgres.log")
        urls = postgres.provision(self.postgres.admin_url, dict.fromkeys(SERVICES, PASSWORD))
        postgres.make_replicating_role(self.postgres.admin_url, CDC, PASSWORD)
        self.valkey = valkey.start_ready(folder / "valkey", password=PASSWORD, log=logs / "valkey.log")
        super().__init__(folder, urls, self.valkey.url)
        self._ports |= {name: free_port() for name in TWO}
        self._more = {
            "bus_url": self.kafka.url,
            "outbox_carrier": "connect",
            "search_engine_url": self.opensearch.url,
            "search_cache": "off",  # kept answers would hide for half a minute that the server is away
            "bookings_url": ",".join(self.url(name) for name in TWO),
        }

    def _start_connect(self, folder: Path, port: int | None) -> connect.Connect:
        return connect.start(
            folder / "connect", servers=self.kafka.servers, log=self._logs / "connect.log", port=port,
            secrets={"CDC_PASSWORD": PASSWORD},
        )  # fmt: skip

    def open(self) -> None:
        """Bring the databases to this version, start every process, and wait until all answer."""
        self._start_simulators()
        self.migrate()
        for engine in (self.kafka, self.opensearch, self.connect):
            engine.wait_ready()
        self._apply_connectors()
        for name in (*(name for name in PROCESSES if name != "bookings"), *TWO):
            self.launch(name)
        deadline = time.monotonic() + OPEN_S
        while waiting := [one for one in self.programs.values() if one.ready_s is None and not one.answers()]:
            assert time.monotonic() < deadline, "\n".join(f"{one.name} is not ready:\n{one.said()}" for one in waiting)
            time.sleep(0.2)

    def _apply_connectors(self) -> None:
        """Before the processes start, and again while Connect is too busy to answer."""
        settings = load(
            {},
            defaults={f"{name}_database_url": url for name, url in self._database_urls.items()},
            bus_url=self.kafka.url, connect_url=self.connect.url, cdc_user=CDC, outbox_carrier="connect",
        )  # fmt: skip
        deadline = time.monotonic() + OPEN_S
        while True:
            try:
                connecting.apply_all(settings)
            except (ConnectRefusedError, CommandError):
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def launch(self, name: str) -> None:
        """Start one process or simulator at its address."""
        if name in SIMULATORS:
            self._start_simulator(name)
            return
        kind = name.partition("-")[0]
        settings = {**self.settings(kind), **EXTRA, **(NO_LIMITS if kind == "gateway" else {})}
        command = [BOXOFFICE, "serve", kind, "--port", str(self._ports[name])]
        self._start(name, command, ready_path="/health/ready", settings=settings)

    def _start(self, name: str, command: Any, *, ready_path: str, settings: Any) -> None:
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(**settings),
                start_new_session=True,
            )  # fmt: skip
        self.programs[name] = Program(name, self.url(name), ready_path, process, log)

    def freeze(self, part: str) -> None:
        """SIGSTOP of a part and of all that it started: it keeps its connections and says nothing."""
        root = psutil.Process(self._pid(part))
        root.suspend()  # so that it starts nothing meanwhile
        self.frozen[part] = [root, *root.children(recursive=True)]
        for process in self.frozen[part]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self, part: str) -> None:
        """SIGCONT."""
        for process in reversed(self.frozen.pop(part, [])):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def kill(self, part: str) -> None:  # type: ignore[override] # of one part, not of all
        """kill -9 of a part and of what it started; of PostgreSQL the postmaster, whose children notice."""
        if part == "postgres":
            os.kill(self.postgres.process.pid, signal.SIGKILL)
            self.postgres.process.wait()
        elif part in ENGINES:
            getattr(self, part).process.kill()
        else:
            process = self.programs[part].process
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_again(self, part: str) -> None:
        """Start a killed part at its old address."""
        match part:
            case "postgres":
                self.postgres = postgres.start(
                    self.folder / "pg", password=PASSWORD, log=self._logs / "postgres.log", port=self.postgres.port
                )
            case "valkey":
                self.valkey = valkey.start(
                    self.folder / "valkey", password=PASSWORD, log=self._logs / "valkey.log", port=self.valkey.port
                )
            case "kafka":
                self.kafka = kafka.start(self.folder / "kafka", log=self._logs / "kafka.log", port=self.kafka.port)
            case "connect":
                self.connect = self._start_connect(self.folder, self.connect.port)
            case "opensearch":
                self.opensearch = search_servers.start(
                    "opensearch", self.folder / "opensearch", log=self._logs / "opensearch.log",
                    port=self.opensearch.port,
                )  # fmt: skip
            case _:
                self.launch(part)

    async def until_ready(self, part: str) -> None:
        """Wait until a part answers again."""
        if part in ENGINES:
            await asyncio.to_thread(getattr(self, part).wait_ready)
            return
        program, deadline = self.programs[part], time.monotonic() + READY_S
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{program.url}{program.ready_path}")).is_success:
                        return
                assert program.process.poll() is None, f"{part} ended:\n{program.said()}"
                assert time.monotonic() < deadline, f"{part} is not ready:\n{program.said()}"
                await asyncio.sleep(0.1)

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for part in list(self.frozen):
            self.thaw(part)
        for name in list(self.programs):
            self.kill(name)
        for engine in ENGINES:
            if (started := getattr(self, engine, None)) is not None:
                with suppress(OSError):
                    started.process.kill()

    def _pid(self, part: str) -> int:
        if part in ENGINES:
            return int(getattr(self, part).process.pid)
        return self.programs[part].process.pid
