"""An index of all the real concerts, built once, and small ones for single tests, on every kind of engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.search_engines import KINDS, Kind, SearchEngines

from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a server in one worker: xdist 3.8 writes a test's group where pytest 9.2 reads no longer."""
    for item in items:
        named = getattr(item, "_nodeid", item.nodeid)
        if HERE in item.path.parents and named != item.nodeid:
            item._id = type(item._id).parse(named)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def search_engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngines]:
    engines = SearchEngines(tmp_path_factory.mktemp("search"))
    yield engines
    engines.close()


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
