"""Holds and availability through HTTP: one server process on one core, the load from another process on the other."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import OKPKey

from bench.house import HOUSE, House, first_seat
from boxoffice.contracts.tokens import AUDIENCE

CONNECTIONS = 32
SECONDS = 2.5
BUYERS = 64
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

    async def holds(self) -> float:
        """Reserve seat after seat of a fresh event."""
        event_id = await self.house.new_event()
        return await self._drive(
            {
                "method": "POST", "path": "/api/v1/bookings/reserve", "event_id": event_id,
                "first_seat": first_seat(event_id), "tokens": self.buyers.tokens,
            },
            wanted="201",
        )  # fmt: skip

    async def reads(self, path: str) -> float:
        """Read one address again and again."""
        return await self._drive({"method": "GET", "path": path}, wanted="200")

    async def _drive(self, asked: dict[str, Any], *, wanted: str) -> float:
        last_core = (os.cpu_count() or 1) - 1
        full = {**asked, "port": self.port, "connections": CONNECTIONS, "seconds": SECONDS, "core": last_core}
        run = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "bench.load"], input=json.dumps(full).encode(),
            stdout=subprocess.PIPE, timeout=60, check=True,
        )  # fmt: skip
        result = json.loads(run.stdout)
        if set(result["answers"]) != {wanted}:
            raise RuntimeError(f"{asked['path']} answered {result['answers']}")
        return float(result["answers"][wanted] / result["seconds"])


@asynccontextmanager
async def serving(kind: str, house: House, buyers: Buyers, *, ready_at: str, body: str = "") -> AsyncIterator[Served]:
    """Keep a server running while inside."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    asked = {
        "kind": kind, "port": port, "core": 0, "sales_url": house.sales_url, "redis_url": house.redis_url,
        "jwks": buyers.jwks, "body": body,
    }  # fmt: skip
    with (house.folder / f"{kind}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.serve", stdin=subprocess.PIPE, stdout=log, stderr=log
        )
        assert process.stdin
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        try:
            await _ready(f"http://127.0.0.1:{port}{ready_at}", process, house, kind)
            yield Served(house=house, buyers=buyers, port=port)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _ready(url: str, process: asyncio.subprocess.Process, house: House, kind: str) -> None:
    deadline = time.monotonic() + READY_S
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline and process.returncode is None:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    raise RuntimeError(f"the {kind} server does not answer:\n{(house.folder / f'{kind}.log').read_text()[-2000:]}")


async def new_house(house: House) -> str:
    """Put a concert hall on sale; returns the path of its availability."""
    return f"/api/v1/events/{await house.new_event(HOUSE)}/availability"
