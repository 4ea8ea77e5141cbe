"""A shop of many processes: each ``boxoffice serve`` on a port of its own, with only the settings that it needs."""

import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import redis
from tests.support.commands import BOXOFFICE, alive, environment, run
from tests.support.engines import Engines
from tests.support.shop import free_port

from boxoffice.apps import PROCESSES
from boxoffice.apps.starting import share_of
from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded.engines import SERVICES as DATABASES
from boxoffice.runtime.settings import env_name

READY_S = 120.0
STOP_S = 40.0
SIMULATORS = ("paypal", "mailbox")
PAYPAL_CLIENT = "many-processes"
PAYPAL_WEBHOOK = "MANYPROCESSES1"


@dataclass
class Program:
    """One process and where it answers."""

    name: str
    url: str
    ready_path: str
    process: "subprocess.Popen[bytes]"
    log: Path
    began: float = field(default_factory=time.monotonic)
    ready_s: float | None = None

    def answers(self) -> bool:
        """Whether it is ready; how long that took is kept."""
        try:
            answer = httpx.get(f"{self.url}{self.ready_path}", timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        if answer.is_success and self.ready_s is None:
            self.ready_s = time.monotonic() - self.began
        return answer.is_success

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]


class Deployment:
    """Engines from the fixture; simulators, migration and processes as an operator starts them."""

    def __init__(
        self, folder: Path, databases: Mapping[str, str], redis_url: str, more: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._more = dict(more or {})
        self.programs: dict[str, Program] = {}
        self._ports = {name: free_port() for name in (*PROCESSES, *SIMULATORS, "smtp")}
        self._database_urls = dict(databases)
        self._databases = {env_name(f"{name}_database_url"): url for name, url in databases.items()}
        self._redis_url = redis_url
        self._paypal_secret = secrets.token_urlsafe(16)
        self._session_secret = secrets.token_urlsafe(32)

    def url(self, name: str) -> str:
        """Where a process or simulator is reached."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self) -> None:
        """Start everything and wait until all are ready.

        The simulators come up while the databases are migrated; the processes start all at once, in no order.
        """
        self._start_simulators()
        self.migrate()
        for name in PROCESSES:
            command = [BOXOFFICE, "serve", name, "--port", str(self._ports[name])]
            self._start(name, command, ready_path="/health/ready", settings=self.settings(name))
        self._wait()

    def migrate(self) -> None:
        """Bring the empty databases to this version."""
        ended = run("migrate", **self._databases)
        assert ended.returncode == Exit.OK, ended.stderr

    def make_administrator(self, email: str, password: str) -> None:
        """Make an account of the platform's own people, the only one that no call of the API can make."""
        ended = run("admin", "create", "--email", email, "--password-stdin", stdin=f"{password}\n", **self._databases)
        assert ended.returncode == Exit.OK, ended.stderr

    def audit(self) -> str:
        """What the auditor finds in the sale; "" for nothing."""
        ended = run("audit", **self._databases)
        return "" if ended.returncode == Exit.OK else ended.stdout + ended.stderr

    async def look(self, sql: str, *arguments: Any, service: str = "sales") -> Sequence[Any]:
        """Ask a database as its owner."""
        connection = await asyncpg.connect(self._database_urls[service], timeout=10)
        try:
            found: Sequence[Any] = await connection.fetch(sql, *arguments, timeout=120)
            return found
        finally:
            connection.terminate()

    def database_url(self, service: str) -> str:
        """Where a service's database is."""
        return self._database_urls[service]

    def settings(self, name: str) -> dict[str, str]:
        """The environment of one process: what it needs by the program's own list, and a few things that it may have."""
        return share_of(name, self._all_settings())

    def _all_settings(self) -> dict[str, str]:
        return {f"{name}_url": self.url(name) for name in PROCESSES} | {
            "public_url": self.url("gateway"),
            "redis_url": self._redis_url,
            "database_pool_size": "3",
            "signing_key_file": str(self.folder / "tokens.pem"),
            "ticket_key_file": str(self.folder / "tickets.pem"),
            "search_index_dir": str(self.folder / "index"),
            "session_secret": self._session_secret,
            "smtp_port": str(self._ports["smtp"]),
            "paypal_api_url": self.url("paypal"),
            "paypal_client_id": PAYPAL_CLIENT,
            "paypal_client_secret": self._paypal_secret,
            "paypal_webhook_id": PAYPAL_WEBHOOK,
            "paypal_webhook_ca_file": str(self.folder / "paypal" / "webhook-ca.pem"),
            **{f"{name}_database_url": url for name, url in self._database_urls.items()},
            **self._more,
        }

    def memory_mb(self) -> dict[str, float]:
        """Memory of each process, its share of what several use counted by part (PSS), in MB."""
        return {name: _pss_mb(program.process.pid) for name, program in self.programs.items()}

    def stop(self) -> dict[str, int]:
        """Ask all at once with SIGTERM; the exit code of each. No child may be left."""
        families = [one for program in self.programs.values() for one in _family(program.process.pid)]
        for program in self.programs.values():
            program.process.send_signal(signal.SIGTERM)
        codes = {name: program.process.wait(STOP_S) for name, program in self.programs.items()}
        left = alive(families)
        assert not left, f"left behind: {left}"
        return codes

    def kill(self) -> None:
        """End what still runs, whatever happened."""
        for program in self.programs.values():
            for process in _family(program.process.pid) if program.process.poll() is None else []:
                process.kill()
            program.process.wait(STOP_S)

    def _start_simulators(self) -> None:
        for name in SIMULATORS:
            (self.folder / name).mkdir()
            self._start_simulator(name)

    def _start_simulator(self, name: str) -> None:
        if name == "paypal":
            more = [
                "--port", str(self._ports["paypal"]), "--client-id", PAYPAL_CLIENT, "--webhook-id", PAYPAL_WEBHOOK,
                "--webhook-url", f"{self.url('gateway')}/api/v1/payments/webhooks/paypal",
            ]  # fmt: skip
            ready_path, settings = "/health/live", {"PAYPAL_SIMULATOR_SECRET": self._paypal_secret}
        else:
            more = ["--smtp-port", str(self._ports["smtp"]), "--http-port", str(self._ports["mailbox"])]
            ready_path, settings = "/health/ready", {}
        command = [BOXOFFICE, "simulate", name, "--data-dir", str(self.folder / name), *more]
        self._start(name, command, ready_path=ready_path, settings=settings)

    def _start(self, name: str, command: Sequence[str], *, ready_path: str, settings: Mapping[str, str]) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(**settings),
                start_new_session=True,
            )  # fmt: skip
        self.programs[name] = Program(name, self.url(name), ready_path, process, log)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while waiting := [one for one in self.programs.values() if one.ready_s is None and not one.answers()]:
            for one in waiting:
                assert one.process.poll() is None, f"{one.name} ended with {one.process.returncode}:\n{one.said()}"
            assert time.monotonic() < deadline, "\n".join(f"{one.name} is not ready:\n{one.said()}" for one in waiting)
            time.sleep(0.1)


def _family(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _pss_mb(pid: int) -> float:
    return sum(process.memory_full_info().pss for process in _family(pid)) / 2**20


@contextmanager
def running_deployment(folder: Path, engines: Engines, more: Mapping[str, str] | None = None) -> Iterator[Deployment]:
    """Every process up and ready while inside, on empty databases of their own; ``more`` settings by their names."""
    with redis.Redis.from_url(engines.redis_url) as client:
        client.flushall()
    with ExitStack() as stack:
        databases = {name: stack.enter_context(engines.empty_database()) for name in DATABASES}
        deployment = Deployment(folder, databases, engines.redis_url, more)
        stack.callback(deployment.kill)
        deployment.start()
        yield deployment
