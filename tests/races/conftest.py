"""Real PostgreSQL with as many connections as a race needs; every race ends with the auditor."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.audit import assert_clean
from tests.support.sales_apps import Apps, running_apps
from tests.support.tokens import TokenFactory

from boxoffice.runtime.database import Database


@pytest.fixture
async def unguarded(sales_url: str) -> AsyncIterator[Database]:
    """A database for controls, which are expected to break something."""
    async with Database.open(sales_url, size=20) as opened:
        yield opened


@pytest.fixture
async def database(unguarded: Database) -> AsyncIterator[Database]:
    yield unguarded
    await assert_clean(unguarded)


@pytest.fixture
async def apps(sales_url: str, redis_url: str, tokens: TokenFactory, tmp_path: Path) -> AsyncIterator[Apps]:
    async with running_apps(sales_url, redis_url, tokens, tmp_path, pool=20) as running:
        yield running
        await assert_clean(running.database)
