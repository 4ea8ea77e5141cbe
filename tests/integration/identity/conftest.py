"""Identity as its process runs it, on a fresh database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.identity import Identity
from tests.support.tasks import in_own_task

from boxoffice.runtime.database import Database
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.identity.app import build


@pytest.fixture
async def identity(identity_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Identity]:
    peers = Peers({})
    key_file = tmp_path / "tokens.pem"
    settings = Settings(
        identity_database_url=identity_url,
        redis_url=redis_url,
        signing_key_file=str(key_file),
        public_url="https://tickets.example.org",
    )
    app = build(settings, peers)
    peers.attach("identity", app)
    async with in_own_task(app.lifespan()), Database.open(identity_url, size=3) as database:
        yield Identity(client=peers.client("identity"), database=database, peers=peers, key_file=key_file)
        await peers.close()
