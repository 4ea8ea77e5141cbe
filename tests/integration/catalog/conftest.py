"""The catalog as its process runs it, on a fresh database, with tokens that a test signs itself."""

from collections.abc import AsyncIterator

import pytest
from tests.support.catalog import Catalog, running_catalog
from tests.support.tokens import TokenFactory

from boxoffice.runtime.database import Database


@pytest.fixture
async def catalog(catalog_url: str, redis_url: str, tokens: TokenFactory) -> AsyncIterator[Catalog]:
    async with running_catalog(catalog_url, redis_url, tokens) as running:
        yield running


@pytest.fixture
async def database(catalog_url: str) -> AsyncIterator[Database]:
    async with Database.open(catalog_url, size=3) as opened:
        yield opened
