"""Run the command line as people do: as processes of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

BOXOFFICE = str(Path(sys.executable).parent / "boxoffice")
READY_S = 60.0
STOP_S = 40.0
OURS = "BOXOFFICE_"


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of the machine that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name != "DATABASE_URL"}
    return {**kept, "COLUMNS": "200", **more}


def run(
    *arguments: str | Path, stdin: str = "", timeout: float = 120, **more: str
) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [BOXOFFICE, *map(str, arguments)],
        input=stdin, capture_output=True, text=True, timeout=timeout, check=False, env=environment(**more),
    )  # fmt: skip


@dataclass
class Up:
    """A running ``boxoffice up``."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    log: Path

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return found

    @property
    def address(self) -> str:
        return str(self.told["address"])

    def family(self) -> list[psutil.Process]:
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; every child must be gone too."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(STOP_S)
        assert not alive(family)
        return code

    def kill_everything(self) -> None:
        family = self.family()
        for process in family:
            process.suspend()
        for process in family:
            process.kill()
        self.process.wait(STOP_S)
        psutil.wait_procs(family, timeout=STOP_S)

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.address}/health/ready", timeout=5, trust_env=False).is_success:
                    return
            except (OSError, ValueError, httpx.TransportError):
                pass
            time.sleep(0.05)
        pytest.fail(f"the shop is not up (code {self.process.poll()}):\n{self.log.read_text()[-3000:]}")


def alive(family: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended shortly after; one that its new parent has yet to bury has."""
    return [one for one in psutil.wait_procs(family, timeout=2)[1] if one.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def up(folder: Path, *arguments: str, wait: bool = True, **more: str) -> Iterator[Up]:
    """Keep a shop up while inside, on any free port."""
    log = folder.with_name(folder.name + ".log")
    with log.open("ab") as out:
        process = subprocess.Popen(
            [BOXOFFICE, "up", "--port", "0", "--data-dir", str(folder), *arguments],
            stdout=out, stderr=out, env=environment(**more), start_new_session=True,
        )  # fmt: skip
    shop = Up(process, folder, log)
    try:
        if wait:
            shop.wait_until_it_answers()
        yield shop
    finally:
        if process.poll() is None:
            shop.kill_everything()


def in_a_small_disk(
    megabytes: int, command: Sequence[str], *, readonly: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run a command whose ``/mnt`` is a disk of its own, seen by nobody else; skip where that is not allowed."""
    mount = f"mount -t tmpfs -o size={megabytes}m,mode=0777 none /mnt" + (
        " && mount -o remount,ro /mnt" if readonly else ""
    )
    prefix = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    allowed = (
        shutil.which("unshare")
        and subprocess.run([*prefix, "sh", "-c", mount], capture_output=True, check=False).returncode == 0
    )
    if not allowed:
        reason = "no private mount namespace on this machine"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return subprocess.run(
        [*prefix, "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
        capture_output=True, text=True, timeout=120, check=False, env=environment(),
    )  # fmt: skip
