"""The catalog as its process runs it, on a fresh database, with tokens that a test signs itself."""

from collections.abc import AsyncIterator

import pytest
from tests.support.catalog import Catalog, TrustingPeers
from tests.support.tasks import in_own_task
from tests.support.tokens import TokenFactory

from boxoffice.runtime.database import Database
from boxoffice.runtime.settings import Settings
from boxoffice.services.catalog.app import build


@pytest.fixture
async def catalog(catalog_url: str, redis_url: str, tokens: TokenFactory) -> AsyncIterator[Catalog]:
    peers = TrustingPeers(tokens)
    app = build(Settings(catalog_database_url=catalog_url, redis_url=redis_url), peers)
    peers.attach("catalog", app)
    async with in_own_task(app.lifespan()), Database.open(catalog_url, size=3) as database:
        yield Catalog(database=database, peers=peers, tokens=tokens)
        await peers.close()


@pytest.fixture
async def database(catalog_url: str) -> AsyncIterator[Database]:
    async with Database.open(catalog_url, size=3) as opened:
        yield opened
