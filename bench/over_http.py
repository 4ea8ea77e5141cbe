"""Server processes for measurements through HTTP: one on core 0, the load from another process on the last core."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import OKPKey

from bench import cpu
from bench.house import HOUSE, House
from bench.rounds import Sample
from boxoffice.contracts.tokens import AUDIENCE

CONNECTIONS = 64
SECONDS = 2.5
BUYERS = 256
"""As many tokens as there are connections at most: everybody is somebody else."""
READY_S = 30.0
TOKEN_S = 3_600


class Buyers:
    """Tokens of some customers, and the key that a server checks them with."""

    def __init__(self) -> None:
        key = OKPKey.generate_key("Ed25519", parameters={"kid": "bench", "use": "sig", "alg": "EdDSA"})
        self.jwks = {"keys": [key.as_dict(private=False)]}
        now = int(time.time())
        claims = {"iss": "boxoffice", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + TOKEN_S, "orgs": []}
        header = {"alg": "EdDSA", "kid": "bench", "typ": "at+jwt"}
        self.tokens = [
            jwt.encode(
                header, {**claims, "sub": str(uuid4()), "jti": uuid4().hex, "roles": ["customer"]}, key,
                algorithms=["EdDSA"],
            )
            for _ in range(BUYERS)
        ]  # fmt: skip


@dataclass
class Served:
    """A running server."""

    house: House
    buyers: Buyers
    port: int
    pid: int

    async def drive(
        self,
        flow: str,
        *,
        wanted: frozenset[str],
        connections: int = CONNECTIONS,
        seconds: float = SECONDS,
        **more: Any,
    ) -> Sample:
        """Load this server; answers other than those wanted fail the measurement."""
        before, theirs = cpu.of_process(self.pid), cpu.of_server(self.house.postmaster)
        told = await load({
            "flow": flow, "ports": [self.port], "connections": connections, "seconds": seconds,
            "tokens": self.buyers.tokens, **more,
        })  # fmt: skip
        spent, database = cpu.of_process(self.pid).since(before), cpu.of_server(self.house.postmaster).since(theirs)
        return sample_of(told, wanted, {
            "process_cpu_us": spent.both / told["done"] * cpu.MICROSECONDS,
            "process_kernel_us": spent.system / told["done"] * cpu.MICROSECONDS,
            "server_cpu_us": database.both / told["done"] * cpu.MICROSECONDS,
            "memory_mb": cpu.memory_mb(self.pid),
        })  # fmt: skip


async def load(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Run the load in its own process, on the last core."""
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "bench.load"],
        input=json.dumps({"core": cpu.last_core(), **asked}).encode(), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    if run.returncode:
        raise RuntimeError(f"the load failed: {run.stderr.decode()[-2000:]}")
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def sample_of(told: Mapping[str, Any], wanted: frozenset[str], more: Mapping[str, float]) -> Sample:
    """Read what the load tells.

    :raises RuntimeError: when there were answers that nobody wanted.
    """
    if not told["answers"] or not set(told["answers"]) <= wanted:
        raise RuntimeError(f"answered {told['answers']}, wanted {sorted(wanted)}")
    kept = {name: float(told[name]) for name in ("least_share", "most_share", "load_cpu_share")}
    p99s = {f"p99_ms_of_{outcome}": value for outcome, value in told["p99_ms_of"].items()}
    return Sample(
        rate=sum(told["answers"].values()) / told["seconds"], p50_ms=told["p50_ms"], p99_ms=told["p99_ms"],
        more={**kept, **p99s, **more},
    )  # fmt: skip


@asynccontextmanager
async def serving(
    kind: str, house: House, buyers: Buyers, *, ready_at: str = "/health/ready", core: int | None = 0, **more: Any
) -> AsyncIterator[Served]:
    """Keep a server running while inside; ``more`` goes to ``bench/serve.py``."""
    port = free_port()
    asked = {
        "kind": kind, "port": port, "core": core, "sales_url": house.sales_url, "redis_url": house.redis_url,
        "jwks": buyers.jwks, "body": "{}", **more,
    }  # fmt: skip
    with (house.folder / f"{kind}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.serve", stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        assert process.stdin
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        try:
            await ready(f"http://127.0.0.1:{port}{ready_at}", process, house, kind)
            yield Served(house=house, buyers=buyers, port=port, pid=process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ready(url: str, process: asyncio.subprocess.Process, house: House, kind: str) -> None:
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline and process.returncode is None:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise RuntimeError(f"the {kind} server does not answer:\n{(house.folder / f'{kind}.log').read_text()[-2000:]}")


async def new_house(house: House) -> str:
    """Put a concert hall on sale; returns the path of its availability."""
    (event_id,) = await house.fresh(seats=HOUSE)
    return f"/api/v1/events/{event_id}/availability"
