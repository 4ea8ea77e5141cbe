"""Fixtures of the sale's tests; every one ends with the auditor."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.audit import assert_clean
from tests.support.sales_apps import Apps, running_apps
from tests.support.tokens import TokenFactory

from boxoffice.runtime.database import Database


@pytest.fixture
async def database(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url, size=10) as opened:
        yield opened
        await assert_clean(opened)


@pytest.fixture
async def apps(sales_url: str, redis_url: str, tokens: TokenFactory, tmp_path: Path) -> AsyncIterator[Apps]:
    async with running_apps(sales_url, redis_url, tokens, tmp_path) as running:
        yield running
        await assert_clean(running.database)
