"""An index of all the real concerts, built once, and small ones for single tests, on every kind of engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.search_engines import KINDS, Kind, SearchEngines

from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def concerts(kind: Kind, search_engines: SearchEngines) -> SearchEngine:
    return search_engines.concerts(kind)


@pytest.fixture
def engine(kind: Kind, search_engines: SearchEngines) -> Iterator[SearchEngine]:
    with search_engines.fresh(kind) as engine:
        yield engine


@pytest.fixture
def folder_engine(tmp_path: Path) -> Iterator[TantivyEngine]:
    engine = TantivyEngine.create(tmp_path / "index")
    yield engine
    engine.close()
