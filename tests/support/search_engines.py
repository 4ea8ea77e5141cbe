"""Every kind of search engine for tests: tantivy in a folder, OpenSearch and Elasticsearch started once per worker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from tests.support.concert_facts import concert_facts

from boxoffice.runtime.embedded.errors import EngineError
from boxoffice.runtime.engines import search_servers
from boxoffice.runtime.engines.java import java
from boxoffice.services.search.providers import server_schema
from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.providers.server_engine import ServerEngine
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine
from boxoffice.services.search.providers.wire import Wire, address_of
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

Kind = Literal["tantivy", "opensearch", "elasticsearch"]

SERVERS = [
    pytest.param(kind, marks=pytest.mark.xdist_group(kind))  # one worker, one server
    for kind in ("opensearch", "elasticsearch")
]
KINDS = [pytest.param("tantivy"), *SERVERS]
BATCH = 500


class SearchEngines:
    """Servers that run since somebody first asked for them, and the indexes made on them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[search_servers.Kind, search_servers.SearchServer] = {}
        self._wires: dict[search_servers.Kind, Wire] = {}
        self._concerts: dict[Kind, SearchEngine] = {}

    def url(self, kind: search_servers.Kind) -> str:
        """Give the address of a server; starts it the first time."""
        if kind not in self._servers:
            demand(kind)
            folder = self._folder / kind
            folder.mkdir()
            self._servers[kind] = search_servers.start_ready(kind, folder, log=self._folder / f"{kind}.log")
            self._wires[kind] = Wire(address_of(self._servers[kind].url))
        return self._servers[kind].url

    def wire(self, kind: search_servers.Kind) -> Wire:
        """Give a connection to a server."""
        self.url(kind)
        return self._wires[kind]

    @contextmanager
    def fresh(self, kind: Kind) -> Iterator[SearchEngine]:
        """Lend an empty index."""
        name = f"test-{uuid4().hex}"
        if kind == "tantivy":
            embedded = TantivyEngine.create(self._folder / name)
            try:
                yield embedded
            finally:
                embedded.close()
            return
        wire = self.wire(kind)
        wire.call("PUT", f"/{name}", server_schema.index(incomplete=False))
        try:
            yield ServerEngine(wire, name)
        finally:
            wire.call("DELETE", f"/{name}", expected={404})

    def concerts(self, kind: Kind) -> SearchEngine:
        """Give the index of all the real concerts, built once; nobody may change it."""
        if kind not in self._concerts:
            engine = self._concerts[kind] = self._lasting(kind)
            changes = [listing_change(fact, version=1) for fact in concert_facts()]
            for start in range(0, len(changes), BATCH):
                apply(engine, changes[start : start + BATCH])
        return self._concerts[kind]

    def close(self) -> None:
        """End every server."""
        for engine in self._concerts.values():
            engine.close()
        for wire in self._wires.values():
            wire.close()
        for server in self._servers.values():
            server.process.kill()

    def _lasting(self, kind: Kind) -> SearchEngine:
        if kind == "tantivy":
            return TantivyEngine.create(self._folder / "concerts")
        wire = self.wire(kind)
        wire.call("PUT", "/concerts", server_schema.index(incomplete=False))
        return ServerEngine(wire, "concerts")


def demand(kind: search_servers.Kind) -> None:
    """Fail in CI, and skip elsewhere, when there is no server of a kind; nothing is downloaded here."""
    lacking = None if search_servers.fetched_already() else "it was not fetched: run make setup-dev"
    try:
        java(search_servers.JAVA_AT_LEAST)
    except EngineError as error:
        lacking = str(error)
    if lacking is not None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"no {kind}: {lacking}")
