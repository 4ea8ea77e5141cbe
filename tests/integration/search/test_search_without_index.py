"""While a search server hangs or is away, the catalog's own list answers, says so, and nobody waits for the server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY
from tests.support.search_service import Running, StandInCatalog, event, running

from boxoffice.runtime.settings import Settings
from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.providers import patience as patience_module
from boxoffice.services.search.providers import wire
from boxoffice.services.search.providers.engine import SearchUnavailableError
from boxoffice.services.search.providers.patience import Patience

PATIENCE_MS = 200


@dataclass
class SilentServer:
    """Takes connections and says nothing, as a server does that was stopped."""

    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def take(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[SilentServer, str]]:
    silent = SilentServer()
    server = await asyncio.start_server(silent.take, "127.0.0.1", 0)
    try:
        yield silent, f"opensearch+http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for writer in silent.writers:
            writer.transport.abort()
        server.close()


@asynccontextmanager
async def search(url: str, redis_url: str, catalog: StandInCatalog) -> AsyncIterator[Running]:
    settings = Settings(search_engine_url=url, redis_url=redis_url, search_patience_ms=PATIENCE_MS)
    async with running(settings, catalog) as shop:
        yield shop


@pytest.fixture
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tends the index waits ten seconds for a server; a test would wait for that when it ends."""
    monkeypatch.setattr(wire, "TIMEOUT_S", 0.5)


@pytest.mark.usefixtures("short_calls")
class TestWithoutIndex:
    async def test_the_catalog_answers_and_says_so(self, redis_url: str) -> None:
        catalog = StandInCatalog({number: (event(number), 1) for number in range(1, 4)})
        async with silence() as (_, url), search(url, redis_url, catalog) as shop:
            page = await shop.search(q="anything", pageSize=2)
            assert page["degraded"] is True
            assert (page["totalElement"], [hit["id"] for hit in page["events"]]) == (3, [1, 2])
            assert {hit["saleState"] for hit in page["events"]} == {"not_on_sale"}, "nothing is claimed to be for sale"
            listed = (await shop.client.get("/api/v1/search/getAll")).json()
            assert (listed["degraded"], listed["totalElement"]) == (True, 3)

    async def test_only_what_is_near_is_found_by_distance(self, redis_url: str) -> None:
        somewhere = event(0).venue

        def at(latitude: float | None) -> Any:
            return msgspec.structs.replace(somewhere, latitude=latitude, longitude=114.17)

        latitudes = {1: 22.32, 2: None, 3: 22.29, 4: -22.29, 5: 22.30, **dict.fromkeys(range(6, 260), 50.0), 260: 22.28}
        catalog = StandInCatalog({number: (event(number, venue=at(where)), 1) for number, where in latitudes.items()})
        async with silence() as (_, url), search(url, redis_url, catalog) as shop:
            near = {"near": "22.29,114.17", "radiusKm": 5}
            page = await shop.search(**near, sortBy="distance")
            assert [(hit["id"], hit["distanceKm"]) for hit in page["events"]] == [
                (3, 0.0), (5, 1.11), (260, 1.11), (1, 3.34),
            ]  # fmt: skip
            assert (page["degraded"], page["totalElement"]) == (True, 4)
            second = await shop.search(**near, pageSize=3, pageNo=1)
            assert [hit["id"] for hit in second["events"]] == [260], "without another order they stand by their start"

    async def test_names_are_suggested_from_it(self, redis_url: str) -> None:
        catalog = StandInCatalog({1: (event(1, name="Zarathustra"), 1)})
        async with silence() as (_, url), search(url, redis_url, catalog) as shop:
            answer = (await shop.client.get("/api/v1/search/suggest", params={"q": "zara"})).json()
            assert answer["suggestions"] == [{"text": "Zarathustra", "kind": "event", "count": 1}]

    async def test_it_is_ready_as_long_as_somebody_answers(self, redis_url: str) -> None:
        catalog = StandInCatalog({1: (event(1), 1)})
        async with silence() as (_, url), search(url, redis_url, catalog) as shop:
            assert (await shop.client.get("/health/ready")).status_code == httpx.codes.OK
            catalog.away = True
            assert (await shop.client.get("/health/ready")).status_code == httpx.codes.SERVICE_UNAVAILABLE
            refused = await shop.client.get("/api/v1/search")
            assert (refused.status_code, refused.json()["code"]) == (503, "search.unavailable")


class Hanging:
    """A shelf whose index takes as long as it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    async def ask(self, _question: object) -> int:
        self.asked += 1
        await self.answer.wait()
        return 7


def left_alone() -> float | None:
    return REGISTRY.get_sample_value("boxoffice_breaker_open", {"dependency": "search index"})


class TestPatience:
    async def test_one_question_waits_and_the_others_do_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(patience_module, "REST_S", 3_600.0)
        shelf = Hanging()
        patience = Patience(shelf, 0.05)  # type: ignore[arg-type] # as much of a shelf as is asked
        for _ in range(100):
            with pytest.raises(SearchUnavailableError):
                await patience.ask(lambda engine: engine.count())
        assert shelf.asked == 1
        assert left_alone() == 1

    async def test_an_index_that_came_back_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(patience_module, "REST_S", 0.0)
        shelf = Hanging()
        patience = Patience(shelf, 0.05)  # type: ignore[arg-type] # as much of a shelf as is asked
        with pytest.raises(SearchUnavailableError):
            await patience.ask(lambda engine: engine.count())
        shelf.answer.set()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert await patience.ask(lambda engine: engine.count()) == 7
                assert left_alone() == 0
                break
            except SearchUnavailableError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

    async def test_without_a_limit_it_waits(self) -> None:
        shelf = Hanging()
        asked = asyncio.create_task(Patience(shelf, None).ask(lambda engine: engine.count()))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        shelf.answer.set()
        assert await asked == 7


def test_a_question_is_put_to_the_catalog_in_plain_words() -> None:
    from boxoffice.services.search.usecases.find_without_index import _words

    asked = criteria(texts={"q": 'mahler\'s "5th" & (piano | !x)', "location": "Hong-Kong"})
    assert _words(asked.q, asked.location) == "mahler s 5th piano x Hong Kong"
