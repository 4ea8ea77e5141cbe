"""``boxoffice full`` as somebody at a terminal has it: every engine, every process, one data folder."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.support.commands import environment
from tests.support.shop import Shop

from boxoffice.cli.exits import Exit

READY_S = 300.0
STOP_S = 90.0
CONCERTS = 6
RUNNING = "FULL_MACHINE_FOLDER"
"""Names the data folder of one that somebody else started and will stop (``tests/machine/whole.py``)."""


class FullShop(Shop):
    """A running ``boxoffice full``; the same for the tests of a shop of one process."""

    def command(self) -> list[str]:
        return [
            str(Path(sys.executable).parent / "boxoffice"), "full", "--demo-concerts", str(self.concerts),
            "--port", str(self.port), "--data-dir", str(self.folder),
        ]  # fmt: skip

    def start(self) -> "FullShop":
        self.environment = environment()
        super().start()
        deadline = time.monotonic() + READY_S
        while "Stop " not in self.said():  # the last line of the table: the demo is there, and every process is ready
            assert self.process is not None
            assert self.process.poll() is None, self.said()[-4000:]
            assert time.monotonic() < deadline, self.said()[-4000:]
            time.sleep(0.2)
        return self

    def said(self) -> str:
        """What it wrote on the screen."""
        return self.log.read_text()

    @property
    def told(self) -> dict[str, Any]:
        """What it tells other commands: how to reach everything."""
        found: dict[str, Any] = json.loads((self.folder / "run.json").read_text())["settings"]
        return found

    def where(self) -> "Where":
        """Where each part is."""
        return Where(self)

    def stop_whole(self) -> None:
        """Stop it as an operator does; nothing may be left of it."""
        assert self.process is not None
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == Exit.OK, self.said()[-3000:]
        assert not psutil.wait_procs(family, timeout=5)[1]


class Where:
    """The addresses of a running one, as ``tests/support/buying.py`` asks for them."""

    def __init__(self, full: FullShop) -> None:
        self._full = full

    def url(self, name: str, /) -> str:
        return str(self._full.told["paypal_api_url" if name == "paypal" else f"{name}_url"])

    def part(self, name: str) -> str:
        """Where a part beside the shop answers: its port is kept in the data folder."""
        return (self._full.folder / f"{name}.url").read_text().strip()


@contextmanager
def running_full(folder: Path) -> Iterator[FullShop]:
    """Keep one up while inside, or use the one that runs already."""
    if (running := os.environ.get(RUNNING)) is not None:
        told = json.loads((Path(running) / "run.json").read_text())
        yield FullShop(folder=Path(running), port=int(told["address"].rpartition(":")[2]), concerts=CONCERTS)
        return
    full = FullShop(folder=folder, concerts=CONCERTS, ready_s=READY_S)
    try:
        full.start()
        yield full
        full.stop_whole()
    finally:
        if full.process is not None and full.process.poll() is None:
            full.kill()
