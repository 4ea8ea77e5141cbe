"""Messages in, rebuilds, readers and a new writer: the whole service on a real stream and a stand-in catalog."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from tests.support.concert_facts import concert_facts
from tests.support.search_service import (
    PATIENCE_S,
    Running,
    StandInCatalog,
    asked_again,
    degraded,
    equals,
    event,
    finds,
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
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import rebuild_alone
from boxoffice.services.search.providers.engine import IndexInUseError
from boxoffice.services.search.providers.folder_shelf import WANTED, FolderShelf


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[StreamBus]:
    async with Redis.from_url(redis_url) as redis:
        yield StreamBus(redis)


def generations(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("generation-*")}


def settings(folder: Path, redis_url: str) -> Settings:
    return Settings(search_index_dir=str(folder), redis_url=redis_url)


def wanted(folder: Path) -> bool:
    return (folder / WANTED).exists()


def cut_short(folder: Path, damage: str) -> None:
    for path in folder.glob("generation-*/*"):
        if damage == "all" or (damage == "meta") == (path.name == "meta.json"):
            path.write_bytes(path.read_bytes()[:40])


class TestFeed:
    async def test_takes_all_the_concerts_within_seconds(self, tmp_path: Path, redis_url: str, bus: StreamBus) -> None:
        await publish(bus, [told(fact, 1) for fact in concert_facts()])
        started = time.monotonic()
        async with running(settings(tmp_path, redis_url), StandInCatalog()) as shop:
            await until(lambda: equals(shop.total(), 3_540), "all concerts are found")
        assert time.monotonic() - started < PATIENCE_S

    async def test_follows_an_event_through_its_life(self, tmp_path: Path, redis_url: str, bus: StreamBus) -> None:
        async with running(settings(tmp_path, redis_url), StandInCatalog()) as shop:
            await publish(bus, [told(event(1, name="Gala", status="draft"), 1)])
            await publish(bus, [told(event(1, name="Gala"), 2)])
            await until(lambda: equals(shop.total(q="gala"), 1), "the published event is found")
            (hit,) = (await shop.search(q="gala"))["events"]
            assert (hit["saleState"], hit["lowestPrice"], hit["onSale"]) == ("not_on_sale", None, False)

            on_sale = SaleFact(event_id=1, state="few_left", capacity=100, free=7, lowest_price="49.50", currency="EUR")
            await publish(bus, [told(on_sale, 1)])
            await until(lambda: shows_state(shop, "few_left"), "few are left")
            (hit,) = (await shop.search(q="gala"))["events"]
            assert (hit["lowestPrice"], hit["currency"], hit["onSale"]) == ("49.50", "EUR", True)

            await publish(bus, [told(event(1, name="Gala", status="cancelled"), 3)])
            await until(lambda: shows_state(shop, "cancelled"), "it is cancelled")
            await publish(bus, [told(event(1, name="Gala", status="deleted"), 4), told(event(1, name="Gala"), 2)])
            await until(lambda: equals(shop.total(q="gala"), 0), "a deleted event is gone, whatever comes late")

    async def test_a_poison_message_does_not_stop_its_neighbours(
        self, tmp_path: Path, redis_url: str, bus: StreamBus
    ) -> None:
        spoiled = msgspec.structs.replace(told(event(2), 1), body=msgspec.Raw(b'{"eventId": "none"}'))
        await publish(bus, [told(event(1), 1), spoiled, told(event(3), 1)])
        async with running(settings(tmp_path, redis_url), StandInCatalog()) as shop:
            await until(lambda: equals(shop.total(), 2), "both neighbours are found")

    async def test_a_second_process_reads_and_takes_over_when_the_first_is_gone(
        self, tmp_path: Path, redis_url: str, bus: StreamBus
    ) -> None:
        folder = tmp_path / "index"
        async with running(settings(folder, redis_url), StandInCatalog()) as first:
            await publish(bus, [told(event(1), 1)])
            await until(lambda: equals(first.total(), 1), "the first process took it")
            async with running(settings(folder, redis_url), StandInCatalog()) as second:
                await until(lambda: equals(second.total(), 1), "the second process reads it")
                await publish(bus, [told(event(2), 1)])
                await until(lambda: equals(second.total(), 2), "the second process sees what the first one writes")
        async with running(settings(folder, redis_url), StandInCatalog()) as second:
            await publish(bus, [told(event(3), 1)])
            await until(lambda: equals(second.total(), 3), "the second process writes now")

    async def test_waits_for_the_lock_of_another_process(self, tmp_path: Path, redis_url: str, bus: StreamBus) -> None:
        program = (
            "import sys, time\nfrom pathlib import Path\n"
            "from boxoffice.services.search.providers.folder_shelf import FolderShelf\n"
            "shelf = FolderShelf(Path(sys.argv[1])); shelf.open(); print('open', flush=True); time.sleep(600)\n"
        )
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert other.stdout
        assert await other.stdout.readline() == b"open\n"
        try:
            async with running(settings(tmp_path, redis_url), StandInCatalog()) as shop:
                await publish(bus, [told(event(1), 1)])
                await asyncio.sleep(1.5)
                assert await shop.total() == 0
                with pytest.raises(IndexInUseError):
                    await rebuild_alone(
                        settings(tmp_path, redis_url), peers(StandInCatalog()), progress=lambda *_: None
                    )
                other.kill()
                await until(lambda: equals(shop.total(), 1), "the message was taken after the other process died")
        finally:
            if other.returncode is None:
                other.kill()
            await other.wait()


class TestRebuild:
    async def test_happens_by_itself_when_there_is_no_index(
        self, tmp_path: Path, redis_url: str, bus: StreamBus
    ) -> None:
        stand_in = StandInCatalog({1: (event(1), 3), 2: (event(2), 1)})
        on_sale = SaleFact(event_id=1, state="sold_out", capacity=100, free=0)
        await publish(bus, [told(on_sale, 5)])
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(shop.total(), 2), "the catalog's list is found")
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            await until(lambda: shows_state(shop, "sold_out"), "the stream's sale is known")

    async def test_answers_are_degraded_until_it_is_done(self, tmp_path: Path, redis_url: str) -> None:
        stand_in = StandInCatalog({1: (event(1), 1)}, away=True)
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(times_asked(stand_in), 1), "the catalog was asked")
            assert (await shop.search())["degraded"] is True
            stand_in.away = False
            await until(lambda: equals(shop.total(), 1), "the catalog came back")
            assert "degraded" not in await shop.search()

    @pytest.mark.parametrize("damage", ["segments", "meta", "all"])
    async def test_replaces_a_damaged_index(self, tmp_path: Path, redis_url: str, damage: str) -> None:
        stand_in = StandInCatalog({number: (event(number), 1) for number in range(1, 6)})
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(shop.total(), 5), "the index is there")
        cut_short(tmp_path, damage)
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: finds(shop, 5), "the index is there again")

    async def test_switches_while_readers_read_and_messages_arrive(
        self, tmp_path: Path, redis_url: str, bus: StreamBus
    ) -> None:
        stand_in = StandInCatalog({fact.event_id: (fact, 1) for fact in concert_facts()[:1_500]})
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(shop.total(), 1_500), "the index is there")
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            before = generations(tmp_path)
            seen: list[int] = []
            FolderShelf(tmp_path).ask_for_rebuild()
            number = 10_000
            while wanted(tmp_path) or len(seen) < 20:
                seen.append(await shop.total(location="Manhattan", pageSize=1))
                number += 1
                stand_in.facts[number] = (event(number), 1)
                await publish(bus, [told(*stand_in.facts[number])])
                await asyncio.sleep(0.02)
            assert min(seen) >= seen[0] > 0
            assert seen == sorted(seen)
            await until(
                lambda: equals(shop.total(), 1_500 + number - 10_000), "nothing that was told meanwhile is lost"
            )
            assert generations(tmp_path) != before

    async def test_drops_what_the_catalog_no_longer_lists_and_keeps_the_sales(
        self, tmp_path: Path, redis_url: str, bus: StreamBus
    ) -> None:
        stand_in = StandInCatalog({1: (event(1), 1), 2: (event(2), 1)})
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await publish(bus, [told(SaleFact(event_id=1, state="sold_out", capacity=9, free=0), 1)])
            await until(lambda: shows_state(shop, "sold_out"), "the sale is known")
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        del stand_in.facts[2]
        done: list[tuple[int, int]] = []
        listed = await rebuild_alone(
            settings(tmp_path, redis_url), peers(stand_in), progress=lambda count, of: done.append((count, of))
        )
        assert (listed, done) == (1, [(1, 1)])
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            (hit,) = (await shop.search())["events"]
            assert (hit["id"], hit["saleState"]) == (1, "sold_out")

    async def test_leaves_the_index_in_use_alone_when_it_fails(self, tmp_path: Path, redis_url: str) -> None:
        stand_in = StandInCatalog({1: (event(1), 1)})
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            stand_in.away, asked = True, stand_in.asked
            FolderShelf(tmp_path).ask_for_rebuild()
            await until(lambda: equals(asked_again(stand_in, asked), 1), "the rebuild tried")
            assert await shop.total() == 1
            await until(lambda: _few_generations(tmp_path), "what the failed rebuild began is cleared away")


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("", {"pageSize": 10**9}, 422, "search.invalid_query"),
    ("", {"pageSize": 0}, 422, "search.invalid_query"),
    ("", {"pageNo": -1}, 422, "search.invalid_query"),
    ("", {"pageNo": "many"}, 422, "request.invalid"),
    ("", {"sortBy": "password"}, 422, "search.invalid_query"),
    ("", {"sortDir": "sideways"}, 422, "search.invalid_query"),
    ("", {"dateFrom": "2025-02-02", "dateTo": "2025-02-01"}, 422, "search.invalid_query"),
    ("", {"dateFrom": "soon"}, 422, "search.invalid_query"),
    ("", {"q": "x" * 60_000}, 422, "search.invalid_query"),
    ("", {"facets": "shoes"}, 422, "search.invalid_query"),
    ("", {"near": "Hong Kong"}, 422, "search.invalid_query"),
    ("", {"near": "22.29,114.17", "radiusKm": "far"}, 422, "search.invalid_query"),
    ("", {"radiusKm": 5}, 422, "search.invalid_query"),
    ("", {"sortBy": "distance"}, 422, "search.invalid_query"),
    ("/suggest", {"q": "x" * 60_000}, 422, "search.invalid_query"),
    ("/suggest", {"q": "a", "limit": 1_000}, 422, "search.invalid_query"),
    ("/getAll", {"pageSize": 101}, 422, "search.invalid_query"),
    ("/nothing", {}, 404, "request.not_found"),
]


@asynccontextmanager
async def stocked(folder: Path, redis_url: str) -> AsyncIterator[Running]:
    stand_in = StandInCatalog({fact.event_id: (fact, 1) for fact in concert_facts()[-250:]})
    async with running(settings(folder, redis_url), stand_in) as shop:
        await until(lambda: equals(shop.total(), 250), "the index is there")
        yield shop


class TestApi:
    async def test_answers_in_the_contracts_shape(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            page = await shop.search(q="beethoven", facets="category,city", pageSize=5)
            assert page.keys() >= {"events", "pageNumber", "pageSize", "totalElement", "totalPages", "isLast", "facets"}
            assert (page["pageNumber"], page["pageSize"], len(page["events"])) == (0, 5, 5)
            assert page["totalPages"] == -(-page["totalElement"] // 5)
            assert set(page["facets"]) == {"category", "city"}
            hit = page["events"][0]
            assert hit.keys() >= {
                "id", "name", "description", "startTime", "endTime", "timeZone", "venue", "category", "status", "saleState",
                "lowestPrice", "currency",
            }  # fmt: skip
            assert hit["venue"].keys() >= {"id", "name", "city", "location"}
            assert hit["startTime"].endswith("Z")
            last = await shop.search(q="beethoven", pageSize=5, pageNo=page["totalPages"] - 1)
            assert last["isLast"] is True

    async def test_lists_everything(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            page = (await shop.client.get("/api/v1/search/getAll", params={"pageSize": 100, "pageNo": 2})).json()
            assert (page["totalElement"], len(page["events"]), page["isLast"]) == (250, 50, True)

    async def test_suggests(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            answer = (await shop.client.get("/api/v1/search/suggest", params={"q": "mahl"})).json()
            assert {"text": "Gustav Mahler", "kind": "composer"}.items() <= answer["suggestions"][0].items()

    async def test_refuses_with_a_problem(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            for path, asked, status, code in REFUSED:
                answer = await shop.client.get(f"/api/v1/search{path}", params=asked)
                assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
                    asked
                )
                assert answer.json()["code"] == code
                assert len(answer.content) < 4_096

    async def test_never_breaks_on_what_is_typed(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            raw = [
                "%00",
                "%ff%fe",
                "%ed%a0%80",
                "%22",
                "a%20AND%20(",
                "%2B%2B",
                "*:*",
                "name:%5Ba%20TO%20z%5D",
                "%F0%9F%98%80",
            ]
            for text in raw:
                for path in ("", "/suggest"):
                    answer = await shop.client.get(f"/api/v1/search{path}?q={text}")
                    assert answer.status_code in {200, 422}, (text, answer.text)

    async def test_may_be_cached_and_says_when_nothing_changed(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            first = await shop.client.get("/api/v1/search?q=mozart")
            assert "max-age" in first.headers["cache-control"]
            again = await shop.client.get("/api/v1/search?q=mozart", headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")

    async def test_says_how_far_away_and_no_proxy_keeps_it(self, tmp_path: Path, redis_url: str) -> None:
        hall = msgspec.structs.replace(event(1).venue, latitude=22.29386, longitude=114.17011)
        stand_in = StandInCatalog({1: (event(1, venue=hall), 1), 2: (event(2), 1)})
        async with running(settings(tmp_path, redis_url), stand_in) as shop:
            await until(lambda: equals(shop.total(), 2), "the index is there")
            answer = await shop.client.get("/api/v1/search", params={"near": "22.2823,114.1617", "sortBy": "distance"})
            (hit,) = answer.json()["events"]
            assert (hit["id"], hit["distanceKm"]) == (1, 1.55)
            assert answer.headers["cache-control"].startswith("private")
            everything = (await shop.search())["events"]
            assert not any("distanceKm" in hit for hit in everything)

    async def test_is_ready_when_the_index_answers(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            assert (await shop.client.get("/health/ready")).json()["status"] == "ready"

    async def test_documents_every_field(self, tmp_path: Path, redis_url: str) -> None:
        async with stocked(tmp_path, redis_url) as shop:
            schema = json.loads((await shop.client.get("/openapi/openapi.json")).content)
            asked = {one["name"] for one in schema["paths"]["/api/v1/search"]["get"]["parameters"]}
            assert asked >= {
                "q",
                "eventName",
                "dateFrom",
                "dateTo",
                "venueName",
                "pageNo",
                "pageSize",
                "sortBy",
                "facets",
                "near",
                "radiusKm",
            }


async def _few_generations(folder: Path) -> bool:
    return len(generations(folder)) <= 2
