"""What the version before asks of the databases still works on this version's schema: they run side by side (I21)."""

import json

import asyncpg
import pytest
from tests.support.asked import RECORDED, refused
from tests.support.engines import Engines

from boxoffice.runtime.embedded.engines import SERVICES


@pytest.mark.parametrize("service", SERVICES)
async def test_its_statements_are_understood(engines: Engines, service: str) -> None:
    statements = json.loads(RECORDED.read_text())[service]
    assert len(statements) > 5
    with engines.database(service) as url:
        assert await refused(url, statements) == {}


@pytest.mark.parametrize(
    "change", ["ALTER TABLE orders DROP COLUMN released_because", "DROP FUNCTION expire_holds(uuid, bigint, int, text)"]
)
async def test_a_schema_that_breaks_it_would_be_seen(engines: Engines, change: str) -> None:
    statements = json.loads(RECORDED.read_text())["sales"]
    with engines.database("sales") as url:
        connection = await asyncpg.connect(url)
        await connection.execute(change)
        await connection.close()
        assert await refused(url, statements)
