"""A whole shop as a user starts it: ``boxoffice up`` in a process of its own, with its own data folder and port."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

DEMO_PASSWORD = "boxoffice-demo"
READY_S = 180.0
STOP_S = 30.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Shop:
    """One data folder, started and stopped as often as a test likes."""

    folder: Path
    port: int = field(default_factory=free_port)
    concerts: int = 6
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    ready_s: float = READY_S

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    def command(self) -> list[str]:
        return [
            str(Path(sys.executable).parent / "boxoffice"), "up", "--demo", "--demo-concerts", str(self.concerts),
            "--port", str(self.port), "--data-dir", str(self.folder),
        ]  # fmt: skip

    def start(self) -> "Shop":
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdout=out, stderr=out, env={**os.environ, **self.environment}, start_new_session=True
            )
        deadline = time.monotonic() + self.ready_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the shop ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == httpx.codes.OK:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"the shop is not ready after {self.ready_s} s:\n{self.log.read_text()[-4000:]}")

    def family(self) -> list[psutil.Process]:
        """The shop's process and every descendant."""
        assert self.process is not None
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> int:
        """kill -9 every process at once; returns how many there were."""
        family = self.family()
        for process in family:
            process.suspend()
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=STOP_S)
        assert self.process is not None
        self.process.wait(STOP_S)
        return len(family)

    def stop(self) -> int:
        """SIGTERM, as an operator does; returns the exit code."""
        assert self.process is not None
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S)
        left = psutil.wait_procs(family, timeout=STOP_S)[1]
        assert not left, f"left behind: {left}"
        return code

    def audit(self) -> tuple[int, str]:
        """Run ``boxoffice audit`` beside the running shop; its exit code and what it found ("" for nothing)."""
        command = [str(Path(sys.executable).parent / "boxoffice"), "audit", "--data-dir", str(self.folder)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return run.returncode, "" if run.returncode == 0 else run.stdout + run.stderr

    def client(self, email: str | None = None, password: str = DEMO_PASSWORD) -> httpx.Client:
        """An HTTP client for the API, logged in when an e-mail address is given."""
        client = httpx.Client(base_url=f"{self.url}/api/v1", timeout=30)
        if email is not None:
            answer = client.post("/auth/login", json={"email": email, "password": password})
            assert answer.status_code == httpx.codes.OK, answer.text
            client.headers["authorization"] = f"Bearer {answer.json()['accessToken']}"
        return client

    def new_customer(self, name: str) -> tuple[httpx.Client, dict[str, Any]]:
        """Register a customer and log in; the address has a part of its own, so tests may name theirs alike."""
        email = f"{name}-{secrets.token_hex(4)}@example.org"
        body = {"name": name, "email": email, "password": f"{name}-long-enough-1"}
        with self.client() as anyone:
            answer = anyone.post("/auth/register", json=body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return self.client(email, body["password"]), answer.json()


@contextmanager
def running_shop(folder: Path, **options: Any) -> Iterator[Shop]:
    """A shop that is up while inside."""
    shop = Shop(folder=folder, **options).start()
    try:
        yield shop
    finally:
        if shop.process is not None and shop.process.poll() is None:
            try:
                shop.stop()
            finally:
                if shop.process.poll() is None:
                    shop.kill()
