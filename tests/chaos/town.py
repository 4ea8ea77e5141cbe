"""The town: PostgreSQL, Valkey, the simulators and every process of the shop (bookings twice), on wires of ours.

Everything can be killed, stopped and started again at its old address. Where private mount namespaces are allowed,
PostgreSQL's files are on a small disk of their own that can be filled.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from tests.chaos.wire import Wire
from tests.support.commands import BOXOFFICE, environment
from tests.support.processes import SIMULATORS, Deployment, Program
from tests.support.shop import free_port

from boxoffice.apps import PROCESSES
from boxoffice.runtime.embedded import postgres, valkey
from boxoffice.runtime.embedded.engines import SERVICES

PASSWORD = "of-a-town-of-chaos"
READY_S = 240.0
DISK_MB = 1_500
SKEWS_S = (240, -25)
"""Ahead by less than a token's life, behind by less than the leeway for clocks: beyond, a node refuses every token."""
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
SHIM = Path(__file__).parent / "skewed"
SKEWED = "bookings-2"
EXTRA = {
    "BOXOFFICE_PAYMENT_MINUTES": "1",
    "BOXOFFICE_DATABASE_POOL_SIZE": "5",
    "BOXOFFICE_LOG_LEVEL": "warning",
}
ONE_LIMIT_LESS = {"BOXOFFICE_RATE_LIMIT_PER_SECOND": "0", "BOXOFFICE_AUTH_RATE_LIMIT_PER_SECOND": "0"}


class Town(Deployment):
    """A deployment whose every part can break."""

    def __init__(self, folder: Path, rng: random.Random, *, small_disk: bool) -> None:
        self.rng = rng
        self.disk = folder / "disk"
        self.disk.mkdir(parents=True)
        self.has_small_disk = small_disk and self._mount()
        self.postgres: postgres.Postgres | None = None
        self.valkey: valkey.Valkey | None = None
        self.skew_s = 0
        self.lock_timeouts = 0
        self.faults_met: Counter[str] = Counter()
        self.starting: set[str] = set()
        edges = {name: free_port() for name in ("postgres", "valkey")}
        self._valkey_port = free_port()
        urls = {name: f"postgresql://{name}:{PASSWORD}@127.0.0.1:{edges['postgres']}/{name}" for name in SERVICES}
        super().__init__(folder, urls, f"redis://:{PASSWORD}@127.0.0.1:{edges['valkey']}/0")
        self._own = {name: free_port() for name in ("bookings-1", "bookings-2")}
        self.wires = {
            "postgres": Wire("postgres", edges["postgres"], lambda: [self.postgres.port] if self.postgres else []),
            "valkey": Wire("valkey", edges["valkey"], lambda: [self._valkey_port]),
            "bookings": Wire("bookings", self._ports["bookings"], lambda: list(self._own.values())),
        }

    @property
    def skew_is_real(self) -> bool:
        """Whether libfaketime is there to skew a whole process."""
        return FAKETIME.exists()

    def direct_url(self, service: str) -> str:
        """A database past the wire, for those who look on."""
        assert self.postgres is not None
        return self.postgres.url(service, service, PASSWORD)

    def direct_valkey(self) -> str:
        """Valkey past the wire."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self._valkey_port}/0"

    async def open(self) -> None:
        """Start everything, and wait until all answer."""
        for wire in self.wires.values():
            await wire.start()
        await self.start_postgres()
        assert self.postgres is not None
        await asyncio.to_thread(postgres.provision, self.postgres.admin_url, dict.fromkeys(SERVICES, PASSWORD))
        await self.start_valkey()
        self._start_simulators()
        await asyncio.to_thread(self.migrate)
        names = [name for name in PROCESSES if name != "bookings"] + ["bookings-1", "bookings-2"]
        for name in names:
            self.launch(name)
        await asyncio.gather(*(self.until_ready(name) for name in self.programs))

    def launch(self, name: str) -> None:
        """Start one process or simulator at its old address."""
        if name in SIMULATORS:
            self._start_simulator(name)
            return
        kind = name.partition("-")[0]
        port = self._own.get(name) or self._ports[name]
        settings = {**self.settings(kind), **EXTRA, **(ONE_LIMIT_LESS if kind == "gateway" else {})}
        if name == SKEWED:
            settings |= self._skewed()
        self._start(
            name, [BOXOFFICE, "serve", kind, "--port", str(port)], ready_path="/health/ready", settings=settings
        )
        self.programs[name].url = f"http://127.0.0.1:{port}"

    def _skewed(self) -> dict[str, str]:
        """An environment in which a process's clock is wrong; by how much changes with every start."""
        self.skew_s = self.rng.choice(SKEWS_S)
        if not self.skew_is_real:
            return {"PYTHONPATH": str(SHIM), "CHAOS_SKEW_S": str(self.skew_s)}
        return {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{self.skew_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }  # fmt: skip

    def _start(self, name: str, command: Any, *, ready_path: str, settings: Any) -> None:
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(**settings),
                start_new_session=True,
            )  # fmt: skip
        url = f"http://127.0.0.1:{self._ports.get(name, 0)}"
        self.programs[name] = Program(name, url, ready_path, process, log)

    async def until_ready(self, name: str) -> None:
        """Wait until a process answers; one that ended while starting is started again."""
        deadline = time.monotonic() + READY_S
        async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
            while True:
                program = self.programs[name]
                if program.process.poll() is not None:
                    self.launch(name)
                    continue
                with suppress(httpx.HTTPError):
                    if (await client.get(f"{program.url}{program.ready_path}")).is_success:
                        return
                assert time.monotonic() < deadline, f"{name} is not ready:\n{program.said()}"
                await asyncio.sleep(0.3)

    async def kill(self, name: str) -> None:  # type: ignore[override] # of one process, not of all
        """kill -9 of one process, and of what it started."""
        process = self.programs[name].process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    async def restart(self, name: str) -> None:
        """Start a killed process again and wait until it answers."""
        self.launch(name)
        await self.until_ready(name)

    def freeze(self, name: str) -> None:
        """SIGSTOP: it holds what it holds, and does nothing."""
        with suppress(ProcessLookupError):
            os.killpg(self.programs[name].process.pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        with suppress(ProcessLookupError):
            os.killpg(self.programs[name].process.pid, signal.SIGCONT)

    async def start_postgres(self) -> None:
        """Start PostgreSQL on its files; durable, as in production."""
        self.lock_timeouts += self.lock_timeouts_now()  # the log begins anew
        self.postgres = postgres.start(self.disk / "pg", password=PASSWORD, log=self.folder / "postgres.log")
        await asyncio.to_thread(self.postgres.wait_ready)

    def lock_timeouts_now(self) -> int:
        """Count lock timeouts since PostgreSQL's last start, by its log."""
        log = self.folder / "postgres.log"
        return log.read_text(errors="replace").count("due to lock timeout") if log.exists() else 0

    async def faults_met_now(self) -> Counter[str]:
        """Ask which faults the provider met since its last start."""
        with suppress(httpx.HTTPError, ValueError):
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                return Counter((await client.get(f"{self.url('paypal')}/simulator/faults/met")).json())
        return Counter()

    async def kill_postmaster(self) -> None:
        """kill -9 of the postmaster; its children notice and end."""
        assert self.postgres is not None
        with suppress(ProcessLookupError):
            os.kill(self.postgres.process.pid, signal.SIGKILL)
        await asyncio.to_thread(self.postgres.process.wait)

    def postgres_runs(self) -> bool:
        """Whether the postmaster is there."""
        return self.postgres is not None and self.postgres.process.running()

    async def start_valkey(self) -> None:
        """Start Valkey at its old port, on the files that it has."""
        self.valkey = valkey.start(
            self.folder / "valkey", password=PASSWORD, log=self.folder / "valkey.log", port=self._valkey_port
        )
        await asyncio.to_thread(self.valkey.wait_ready)

    async def kill_valkey(self) -> None:
        """kill -9 of Valkey: whatever changed since its last snapshot is gone."""
        assert self.valkey is not None
        await asyncio.to_thread(self.valkey.process.kill)

    def freeze_valkey(self, *, thaw: bool = False) -> None:
        """SIGSTOP, or SIGCONT."""
        assert self.valkey is not None
        with suppress(ProcessLookupError):
            os.kill(self.valkey.process.pid, signal.SIGCONT if thaw else signal.SIGSTOP)

    def fill_disk(self) -> None:
        """Leave PostgreSQL not one block."""
        free = shutil.disk_usage(self.disk).free
        ballast = os.open(self.disk / "ballast", os.O_WRONLY | os.O_CREAT)
        try:
            with suppress(OSError):
                os.posix_fallocate(ballast, 0, max(1, free - 65_536))
            os.lseek(ballast, 0, os.SEEK_END)
            with suppress(OSError):
                while True:
                    os.write(ballast, b"\0" * 4096)
        finally:
            os.close(ballast)

    def empty_disk(self) -> None:
        """Give the room back."""
        (self.disk / "ballast").unlink(missing_ok=True)

    async def look(self, sql: str, *arguments: Any, service: str = "sales") -> list[Any]:
        """Ask a database past the wire; raises when it is away."""
        connection = await asyncpg.connect(self.direct_url(service), timeout=5)
        try:
            found: list[Any] = await connection.fetch(sql, *arguments, timeout=60)
            return found
        finally:
            connection.terminate()

    async def close(self) -> None:
        """End everything, whatever state it is in."""
        for name in list(self.programs):
            self.thaw(name)
            await self.kill(name)
        for engine in (self.valkey, self.postgres):
            if engine is not None:
                with suppress(OSError):
                    engine.process.kill()
        for wire in self.wires.values():
            await wire.stop()
        if self.has_small_disk:
            await asyncio.to_thread(subprocess.run, ["umount", "-l", str(self.disk)], check=False, capture_output=True)

    def _mount(self) -> bool:
        options = f"size={DISK_MB}m,mode=0777"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(self.disk)], check=False, capture_output=True
        )
        return mounted.returncode == 0
