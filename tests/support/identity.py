"""Identity as its process runs it, called in process: what tests say to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from boxoffice.runtime.authn import TokenVerifier
from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers

PASSWORD = "correct horse battery staple"


@dataclass
class Identity:
    """The service, its HTTP client and its database."""

    client: httpx.AsyncClient
    database: Database
    peers: Peers
    key_file: Path

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.client.post(f"/api/v1{path}", json=body, headers=headers)

    async def register(self, email: str = "ada@example.org", password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.post("/auth/register", {"name": "Ada", "email": email, "password": password, **more})

    async def login(self, email: str = "ada@example.org", password: str = PASSWORD) -> httpx.Response:
        return await self.post("/auth/login", {"email": email, "password": password})

    async def refresh(self, token: str, **headers: str) -> httpx.Response:
        return await self.post("/auth/refresh", {"refreshToken": token}, **headers)

    async def entered(self, email: str = "ada@example.org") -> dict[str, Any]:
        """Register and log in; the pair of tokens."""
        assert (await self.register(email)).status_code == 201
        answer = await self.login(email)
        assert answer.status_code == 200
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def messages(self, topic: str) -> list[dict[str, Any]]:
        records = await self.database.fetch(
            "SELECT key, type, version, body FROM outbox WHERE topic = $1 ORDER BY position", topic
        )
        return [dict(record) for record in records]

    async def link(self, type_: str) -> str:
        """The token of the newest mailed link of a type."""
        found = [message for message in await self.messages("identity.mail.v1") if message["type"] == type_]
        return str(found[-1]["body"]["link"].rpartition("token=")[2])

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(self.peers.jwks, issuer="boxoffice")


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['accessToken']}"}
