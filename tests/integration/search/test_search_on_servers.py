"""The index on a search server: several writers, the alias, rebuilds, and the whole service over it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from tests.support.concert_facts import NOW, concert_facts
from tests.support.search_engines import SERVERS, SearchEngines
from tests.support.search_service import (
    StandInCatalog,
    degraded,
    equals,
    event,
    peers,
    publish,
    running,
    shows_state,
    times_asked,
    told,
    until,
)

from boxoffice.contracts.messages.sales import SaleFact
from boxoffice.runtime.bus import StreamBus
from boxoffice.runtime.embedded.ports import free_port
from boxoffice.runtime.engines.search_servers import Kind
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import rebuild_alone
from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.domain.listing import Change, Entry, ListingChange, Sale, SaleChange
from boxoffice.services.search.providers.alias_shelf import AliasShelf
from boxoffice.services.search.providers.engine import IndexInUseError, SearchEngine, SearchUnavailableError
from boxoffice.services.search.providers.server_engine import ServerEngine
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

WRITERS, VERSIONS = 4, 12


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def url(kind: Kind, search_engines: SearchEngines) -> Iterator[str]:
    """The URL of an alias that nobody used before; what it leaves is removed."""
    alias = f"shelf-{uuid4().hex}"
    yield f"{search_engines.url(kind)}/{alias}"
    wire = search_engines.wire(kind)
    for index in wire.call("GET", f"/{alias}-*/_alias", expected={404}) or ():
        wire.call("DELETE", f"/{index}", expected={404})


@pytest.fixture
def shelf(url: str) -> Iterator[AliasShelf]:
    shelf = AliasShelf(url, leads=lambda: True)
    shelf.open()
    yield shelf
    shelf.close()


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[StreamBus]:
    async with Redis.from_url(redis_url) as redis:
        yield StreamBus(redis)


def settings(url: str, redis_url: str) -> Settings:
    return Settings(search_engine_url=url, redis_url=redis_url, search_patience_ms=30_000)


def listed(event_id: int, version: int) -> ListingChange:
    change = listing_change(concert_facts()[0], version=version)
    return ListingChange(event_id=event_id, version=version, listing=change.listing)


def sold(event_id: int, version: int) -> SaleChange:
    sale = Sale(state="on_sale", lowest_price_minor=version, currency="EUR")
    return SaleChange(event_id=event_id, version=version, sale=sale)


def indexes(shelf: AliasShelf) -> list[str]:
    return shelf._indexes()


class TestWriters:
    def test_lose_nothing_when_they_write_the_same_events_at_once(self, engine: SearchEngine) -> None:
        def write(writer: int) -> None:
            told: list[Change] = [
                make(number, version)
                for version in range(1 + writer, VERSIONS + 1, WRITERS)
                for number in (1, 2, 3)
                for make in (listed, sold)
            ]
            for change in told:
                apply(engine, [change])

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        known = engine.entries([1, 2, 3])
        assert {(entry.listing_version, entry.sale_version) for entry in known.values()} == {(VERSIONS, VERSIONS)}
        assert {entry.sale.lowest_price_minor for entry in known.values() if entry.sale} == {VERSIONS}

    def test_do_not_bring_back_what_they_read_before_another_wrote(self, engine: SearchEngine) -> None:
        apply(engine, [listed(1, 1)])
        (stale,) = engine.entries([1]).values()
        apply(engine, [ListingChange(event_id=1, version=7, listing=None), sold(1, 3)])
        engine.put([stale])
        assert engine.entries([1])[1] == Entry(event_id=1, listing_version=7, sale=sold(1, 3).sale, sale_version=3)
        assert engine.search(criteria(texts={}), now=NOW).total == 0

    def test_take_the_longest_question(self, engine: SearchEngine) -> None:
        apply(engine, [listed(1, 1)])
        text = " ".join(f"wordwithoutend{letter}" for letter in "abcdefghijkl")[:200]
        names = ("q", "keywords", "eventName", "location", "description", "venueName", "category")
        asked = criteria(texts=dict.fromkeys(names, text), facets="all", date_from="2000-01-01")
        assert engine.search(asked, now=NOW).total == 0


class TestShelf:
    def test_begins_an_index_that_lacks_everything(self, shelf: AliasShelf) -> None:
        assert shelf.incomplete
        assert shelf.engine.count() == 0
        assert len(indexes(shelf)) == 1

    def test_is_begun_by_the_leader_only(self, url: str) -> None:
        reader = AliasShelf(url)
        reader.open()
        with pytest.raises(SearchUnavailableError):
            assert reader.engine
        reader.close()

    def test_switches_in_one_step_that_others_follow_at_once(self, shelf: AliasShelf, url: str) -> None:
        reader = AliasShelf(url)
        reader.open()
        apply(shelf.engine, [listed(1, 1)])
        fresh = shelf.begin_next()
        for engine in reader.generations():  # whoever takes messages meanwhile tells both
            apply(engine, [listed(2, 1)])
        assert (reader.engine.count(), fresh.count()) == (2, 1)
        shelf.switch()
        assert reader.engine.count() == 1
        assert not shelf.incomplete
        assert len(reader.generations()) == 1
        assert len(indexes(shelf)) == 2  # the one before stays for those whom it is answering
        shelf.begin_next()
        shelf.switch()
        assert len(indexes(shelf)) == 2
        reader.close()

    def test_drops_what_another_process_began_and_did_not_finish(self, shelf: AliasShelf, url: str) -> None:
        dead = AliasShelf(url)
        left = dead.begin_next()
        shelf.begin_next()
        assert len(indexes(shelf)) == 2
        with pytest.raises(SearchUnavailableError):
            left.put([Entry(event_id=1)])
        with pytest.raises(SearchUnavailableError):
            dead.switch()
        dead.begin_next()
        fresh = shelf.begin_next()
        dead.forget_next()
        assert fresh.count() == 0
        shelf.switch()
        dead.close()

    def test_remembers_that_a_rebuild_is_wanted_until_it_is_done(self, shelf: AliasShelf, url: str) -> None:
        asking = AliasShelf(url)
        asking.ask_for_rebuild()
        shelf.refresh()
        assert shelf.wanted
        assert shelf.incomplete
        shelf.begin_next()
        shelf.switch()
        asking.look()
        assert not asking.wanted
        asking.close()

    def test_begins_again_when_somebody_removed_the_index(
        self, shelf: AliasShelf, kind: Kind, search_engines: SearchEngines
    ) -> None:
        for index in indexes(shelf):
            search_engines.wire(kind).call("DELETE", f"/{index}")
        with pytest.raises(SearchUnavailableError):
            shelf.engine.search(criteria(texts={}), now=NOW)
        shelf.refresh()
        assert shelf.incomplete
        assert shelf.engine.count() == 0

    def test_replaces_an_index_of_another_version(self, shelf: AliasShelf) -> None:
        (index,) = indexes(shelf)
        shelf._wire.call("PUT", f"/{index}/_mapping", {"_meta": {"schema_version": 0}})
        shelf.open()
        assert shelf.incomplete
        apply(shelf.engine, [listed(1, 1)])
        assert ServerEngine(shelf._wire, index).count() == 0

    def test_says_that_the_server_is_away(self, kind: Kind) -> None:
        shelf = AliasShelf(f"{kind}+http://127.0.0.1:{free_port()}", leads=lambda: True)
        shelf.open()
        with pytest.raises(SearchUnavailableError):
            assert shelf.engine
        with pytest.raises(SearchUnavailableError):
            shelf.look()
        shelf.close()


class TestService:
    async def test_follows_an_event_through_its_life(self, url: str, redis_url: str, bus: StreamBus) -> None:
        async with running(settings(url, redis_url), StandInCatalog()) as shop:
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            await publish(bus, [told(event(1, name="Gala"), 2)])
            await until(lambda: equals(shop.total(q="gala"), 1), "the published event is found")
            on_sale = SaleFact(event_id=1, state="few_left", capacity=100, free=7, lowest_price="49.50", currency="EUR")
            await publish(bus, [told(on_sale, 1)])
            await until(lambda: shows_state(shop, "few_left"), "few are left")
            await publish(bus, [told(event(1, name="Gala", status="deleted"), 4), told(event(1, name="Gala"), 2)])
            await until(lambda: equals(shop.total(q="gala"), 0), "a deleted event is gone, whatever comes late")

    async def test_builds_its_index_from_the_catalog(self, url: str, redis_url: str, bus: StreamBus) -> None:
        stand_in = StandInCatalog({1: (event(1), 3), 2: (event(2), 1)}, away=True)
        await publish(bus, [told(SaleFact(event_id=1, state="sold_out", capacity=100, free=0), 5)])
        async with running(settings(url, redis_url), stand_in) as shop:
            await until(lambda: equals(times_asked(stand_in), 1), "the catalog was asked")
            assert await degraded(shop)
            stand_in.away = False
            await until(lambda: equals(shop.total(), 2), "the catalog's list is found")
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            await until(lambda: shows_state(shop, "sold_out"), "the stream's sale is known")

    async def test_switches_while_readers_read_and_messages_arrive(
        self, url: str, redis_url: str, bus: StreamBus
    ) -> None:
        stand_in = StandInCatalog({fact.event_id: (fact, 1) for fact in concert_facts()[:600]})
        asking = AliasShelf(url)
        async with running(settings(url, redis_url), stand_in) as shop:
            await until(lambda: equals(shop.total(), 600), "the index is there")
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            asking.ask_for_rebuild()
            seen: list[int] = []
            number = 10_000
            while asking.wanted or len(seen) < 20:
                seen.append(await shop.total(location="Manhattan", pageSize=1))
                number += 1
                stand_in.facts[number] = (event(number), 1)
                await publish(bus, [told(*stand_in.facts[number])])
                await asyncio.sleep(0.05)
                await asyncio.to_thread(asking.look)
            assert min(seen) >= seen[0] > 0
            assert seen == sorted(seen)
            await until(lambda: equals(shop.total(), 600 + number - 10_000), "nothing told meanwhile is lost")
        asking.close()

    async def test_a_second_process_answers_and_takes_over(self, url: str, redis_url: str, bus: StreamBus) -> None:
        async with running(settings(url, redis_url), StandInCatalog()) as first:
            await until(lambda: equals(degraded(first), 0), "the index is complete")
            await publish(bus, [told(event(1), 1)])
            await until(lambda: equals(first.total(), 1), "the first process took it")
            async with running(settings(url, redis_url), StandInCatalog()) as second:
                await until(lambda: equals(second.total(), 1), "the second process reads it")
                with pytest.raises(IndexInUseError):
                    await rebuild_alone(settings(url, redis_url), peers(StandInCatalog()), progress=lambda *_: None)
        async with running(settings(url, redis_url), StandInCatalog()) as second:
            await publish(bus, [told(event(3), 1)])
            await until(lambda: equals(second.total(), 2), "the second process takes messages now")

    async def test_is_rebuilt_by_the_command_while_nobody_runs(self, url: str, redis_url: str, bus: StreamBus) -> None:
        stand_in = StandInCatalog({1: (event(1), 1), 2: (event(2), 1)})
        async with running(settings(url, redis_url), stand_in) as shop:
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            await publish(bus, [told(SaleFact(event_id=1, state="sold_out", capacity=9, free=0), 1)])
            await until(lambda: shows_state(shop, "sold_out"), "the sale is known")
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        del stand_in.facts[2]
        assert await rebuild_alone(settings(url, redis_url), peers(stand_in), progress=lambda *_: None) == 1
        async with running(settings(url, redis_url), stand_in) as shop:
            (hit,) = (await shop.search())["events"]
            assert (hit["id"], hit["saleState"]) == (1, "sold_out")

    async def test_starts_while_the_server_is_away_and_says_so(self, kind: Kind, redis_url: str) -> None:
        away = f"{kind}+http://127.0.0.1:{free_port()}"
        catalog = StandInCatalog()
        async with running(settings(away, redis_url), catalog) as shop:
            assert await degraded(shop)
            catalog.away = True
            answer = await shop.client.get("/api/v1/search")
            assert (answer.status_code, answer.json()["code"]) == (
                httpx.codes.SERVICE_UNAVAILABLE,
                "search.unavailable",
            )
            assert (await shop.client.get("/health/ready")).status_code == httpx.codes.SERVICE_UNAVAILABLE
