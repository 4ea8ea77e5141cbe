"""Start the simulator as a child process and wait until it answers; for ``boxoffice up`` and for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from boxoffice.simulators.paypal.certificates import CA_FILE

READY_S = 60.0
STOP_S = 5.0
POLL_S = 0.05
CLIENT_ID = "boxoffice-simulator"
CLIENT_SECRET = "only-the-simulator-knows-this"  # noqa: S105 - it opens a simulator on the loopback address, no money
WEBHOOK_ID = "SIMULATORWEBHOOK1"


class SimulatorDidNotStartError(Exception):
    """The simulator ended or stayed silent; the text carries the end of its log."""


@dataclass(slots=True, kw_only=True)
class Simulator:
    """A simulator in a process of its own."""

    url: str
    data_dir: Path
    client_id: str
    client_secret: str
    webhook_id: str
    process: "subprocess.Popen[bytes]"

    @property
    def ca_file(self) -> Path:
        """The CA that signs its webhook certificate (setting ``paypal_webhook_ca_file``)."""
        return self.data_dir / CA_FILE

    def stop(self) -> None:
        """Ask it to stop; kill it when it does not within 5 s."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kill it, as a crash does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(
    data_dir: Path,
    *,
    port: int = 0,
    webhook_url: str = "",
    other_client: str = "",
    client_id: str = CLIENT_ID,
    client_secret: str = CLIENT_SECRET,
) -> Simulator:
    """Start a simulator on a loopback port (0: any free one) and wait until it answers.

    :raises SimulatorDidNotStartError: when it does not answer within 15 s.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    port = port or _free_port()
    command = [
        sys.executable, "-m", "boxoffice.simulators.paypal", "--port", str(port), "--data-dir", str(data_dir),
        "--client-id", client_id, "--webhook-url", webhook_url, "--webhook-id", WEBHOOK_ID,
        *(["--other-client", other_client] if other_client else []),
    ]  # fmt: skip
    log = data_dir / "simulator.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PAYPAL_SIMULATOR_SECRET": client_secret},
        )  # fmt: skip
    simulator = Simulator(
        url=f"http://127.0.0.1:{port}", data_dir=data_dir, client_id=client_id, client_secret=client_secret,
        webhook_id=WEBHOOK_ID, process=process,
    )  # fmt: skip
    with ExitStack() as leaving_in_anger:
        leaving_in_anger.callback(simulator.kill)
        _wait(simulator, log)
        leaving_in_anger.pop_all()
    return simulator


@contextmanager
def running(data_dir: Path, *, port: int = 0, webhook_url: str = "", other_client: str = "") -> Iterator[Simulator]:
    """Keep a simulator while inside."""
    simulator = start(data_dir, port=port, webhook_url=webhook_url, other_client=other_client)
    try:
        yield simulator
    finally:
        simulator.stop()


def _wait(simulator: Simulator, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if simulator.process.poll() is not None:
            break
        try:
            if httpx.get(f"{simulator.url}/health/live", timeout=1.0, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(POLL_S)
    tail = log.read_text(errors="replace")[-2000:]
    raise SimulatorDidNotStartError(f"The PayPal simulator did not start on {simulator.url}.\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
