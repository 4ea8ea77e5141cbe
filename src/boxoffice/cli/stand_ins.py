"""Stand-ins for the outside world as children of a shop: PayPal's simulator, and the mailbox where it runs alone."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from boxoffice.runtime.embedded import child, ports, secrets
from boxoffice.runtime.embedded.folder import DataFolder

READY_S = 600.0
"""They need two seconds, and more on a machine that starts a whole shop at once."""
STOP_S = 5.0
PAYPAL_CLIENT = "boxoffice-simulator"
PAYPAL_WEBHOOK = "SIMULATORWEBHOOK1"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One running stand-in: where it answers, and the settings that reach it."""

    process: child.Child
    port: int
    settings: dict[str, Any]

    def wait(self) -> None:
        """Wait until it answers.

        :raises EngineError: when it does not.
        """
        self.process.wait_until(partial(ports.answers, self.port), seconds=READY_S)

    def stop(self) -> None:
        """End it."""
        self.process.stop(seconds=STOP_S)


def begin_paypal(folder: DataFolder, environment: Mapping[str, str], *, shop: str) -> StandIn:
    """Begin to start PayPal's simulator, which tells ``shop`` (an address) of payments by webhooks."""
    place = _place(folder, "paypal")
    secret = secrets.ensure(folder.path, ["paypal"])["paypal"]
    url = remembered_url(folder.path, "paypal")
    process = _start(
        "paypal", folder, environment={**environment, "PAYPAL_SIMULATOR_SECRET": secret},
        arguments=[
            "--port", url.rpartition(":")[2], "--data-dir", str(place), "--client-id", PAYPAL_CLIENT,
            "--webhook-id", PAYPAL_WEBHOOK, "--webhook-url", f"{shop}/api/v1/payments/webhooks/paypal",
        ],
    )  # fmt: skip
    reached = {
        "paypal_api_url": url,
        "paypal_client_id": PAYPAL_CLIENT,
        "paypal_client_secret": secret,
        "paypal_webhook_id": PAYPAL_WEBHOOK,
        "paypal_webhook_ca_file": str(place / "webhook-ca.pem"),
    }
    return StandIn(process=process, port=int(url.rpartition(":")[2]), settings=reached)


def begin_mailbox(folder: DataFolder, environment: Mapping[str, str]) -> StandIn:
    """Begin to start the mailbox: SMTP in, pages out."""
    place = _place(folder, "mail")
    url, smtp = (remembered_url(folder.path, name) for name in ("mailbox", "smtp"))
    process = _start(
        "mailbox", folder, place=place, environment=environment,
        arguments=[
            "--http-port", url.rpartition(":")[2], "--smtp-port", smtp.rpartition(":")[2], "--data-dir", str(place),
        ],
    )  # fmt: skip
    reached = {"mailbox_url": url, "smtp_host": ports.LOOPBACK, "smtp_port": int(smtp.rpartition(":")[2])}
    return StandIn(process=process, port=int(url.rpartition(":")[2]), settings=reached)


def remembered_url(folder: Path, name: str) -> str:
    """Keep an address over restarts, so that links that people have still work."""
    file = folder / f"{name}.url"
    port = int(file.read_text().rpartition(":")[2]) if file.exists() else 0
    if port == 0 or ports.in_use(ports.LOOPBACK, port):
        port = ports.free_port()
    url = f"http://{ports.LOOPBACK}:{port}"
    file.write_text(url + "\n")
    return url


def _place(folder: DataFolder, name: str) -> Path:
    place = folder.path / name
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _start(
    name: str, folder: DataFolder, *, arguments: list[str], environment: Mapping[str, str], place: Path | None = None
) -> child.Child:
    place = place or folder.path / name
    child.end_leftovers(place, stop_signal=signal.SIGTERM, seconds=STOP_S)
    return child.start(
        [sys.executable, "-m", f"boxoffice.simulators.{name}", *arguments],
        name={"paypal": "The PayPal simulator", "mailbox": "The mailbox"}[name],
        log=folder.logs / f"{name}.log",
        folder=place,
        environment=environment,
    )
