"""An index of all the real concerts, built once, and small ones for single tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.concert_facts import concert_facts

from boxoffice.services.search.providers.tantivy_engine import TantivyEngine
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

BATCH = 500


@pytest.fixture(scope="session")
def concerts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TantivyEngine]:
    engine = TantivyEngine.create(tmp_path_factory.mktemp("concerts") / "index")
    changes = [listing_change(fact, version=1) for fact in concert_facts()]
    for start in range(0, len(changes), BATCH):
        apply(engine, changes[start : start + BATCH])
    yield engine
    engine.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[TantivyEngine]:
    engine = TantivyEngine.create(tmp_path / "index")
    yield engine
    engine.close()
