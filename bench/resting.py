"""Memory of the whole shop at rest: what its processes have in memory, shared pages counted once (PSS)."""

import asyncio
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

READY_S = 240.0
SETTLE_S = 5.0
MB = 1024 * 1024
ENGINES = ("postgres", "valkey")


@dataclass(frozen=True)
class Rest:
    """Megabytes of everything, and of the engines alone."""

    everything: float
    engines: float
    processes: int


async def memory_at_rest(folder: Path) -> Rest:
    """Start the shop with its demo, wait until it has settled, and count."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        str(Path(sys.executable).parent / "boxoffice"), "up", "--demo", "--demo-concerts", "20", "--port", str(port),
        "--data-dir", str(folder / "shop"),
    ]  # fmt: skip
    with (folder / "shop.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            await _ready(f"http://127.0.0.1:{port}/health/ready", process, folder / "shop.log")
            await asyncio.sleep(SETTLE_S)
            return _count(process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline and process.returncode is None:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.3)
    raise RuntimeError(f"the shop does not come up:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:]


def _count(pid: int) -> Rest:
    root = psutil.Process(pid)
    everything = engines = 0.0
    family = [root, *root.children(recursive=True)]
    for process in family:
        try:
            pss = process.memory_full_info().pss / MB
            everything += pss
            engines += pss if process.name().startswith(ENGINES) else 0
        except psutil.NoSuchProcess:
            continue
    return Rest(everything=everything, engines=engines, processes=len(family))
