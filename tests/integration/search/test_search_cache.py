"""Answers kept in Valkey: given again while nothing changed, never after a change, and never waited for."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from tests.support.search_engines import SERVERS, SearchEngines
from tests.support.search_service import StandInCatalog, degraded, equals, event, publish, running, told, until

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime.bus import StreamBus
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import keeps_answers
from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.providers import kept_answers
from boxoffice.services.search.providers.engine import SearchUnavailableError
from boxoffice.services.search.providers.folder_shelf import FolderShelf
from boxoffice.services.search.providers.kept_answers import LIFE_MS, MAX_BODY_BYTES, KeptAnswers
from boxoffice.services.search.usecases.answer import Answers, Made
from boxoffice.services.search.usecases.find_events import question_of

ASKERS = 50
PATIENT_S = 30.0
"""Lets a busy machine take its time: a cache that is too late is none."""


class Engine:
    """Makes a new answer each time it is asked; ``goes_on`` lets it finish."""

    def __init__(self, *, until: datetime | None = None, size: int = 1) -> None:
        self.made = 0
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._until, self._size = until, size

    async def make(self) -> Made:
        self.made += 1
        body = f"answer {self.made}".encode() * self._size
        self.began.set()
        await self.goes_on.wait()
        return Made(body=body, until=self._until)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[FolderShelf]:
    shelf = FolderShelf(tmp_path)
    shelf.open()
    shelf.begin_next()
    shelf.switch()
    yield shelf
    shelf.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "ANSWER_S", PATIENT_S)


@pytest.fixture
async def answers(shelf: FolderShelf, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Answers]:
    monkeypatch.setattr(kept_answers, "ANSWER_S", PATIENT_S)
    async with KeptAnswers.open(redis_url) as kept:
        answers = Answers(shelf, kept)
        await answers.give(b"the first question finds a new server", Engine().make)
        yield answers
        await answers.close()


def counted(source: str) -> float:
    return REGISTRY.get_sample_value("boxoffice_search_answers_total", {"source": source}) or 0


async def has_counted(source: str, wanted: float) -> bool:
    return counted(source) >= wanted


class TestAnswers:
    async def test_are_given_again_and_counted(self, answers: Answers) -> None:
        engine, made, kept = Engine(), counted("made"), counted("kept")
        assert [await answers.give(b"q", engine.make) for _ in range(3)] == [b"answer 1"] * 3
        assert (engine.made, counted("made") - made, counted("kept") - kept) == (1, 1, 2)

    async def test_are_told_apart_by_their_question(self, answers: Answers) -> None:
        engine = Engine()
        assert await answers.give(b"one", engine.make) != await answers.give(b"other", engine.make)

    async def test_are_shared_between_processes(self, answers: Answers, shelf: FolderShelf, redis_url: str) -> None:
        engine = Engine()
        await answers.give(b"q", engine.make)
        async with KeptAnswers.open(redis_url) as kept:
            assert await Answers(shelf, kept).give(b"q", engine.make) == b"answer 1"
            await Answers(shelf, kept).drop()
        assert await answers.give(b"q", engine.make) == b"answer 2"

    async def test_of_two_questions_in_one_slot_are_not_mixed_up(self, answers: Answers) -> None:
        slots: dict[str, bytes] = {}
        for number in count():
            question = str(number).encode()
            other = slots.setdefault(kept_answers._slot(kept_answers._mark(question)), question)
            if other != question:
                break
        engine = Engine()
        assert await answers.give(other, engine.make) == b"answer 1"
        assert await answers.give(question, engine.make) == b"answer 2"
        assert await answers.give(question, engine.make) == b"answer 2"
        assert await answers.give(other, engine.make) == b"answer 3"

    async def test_end_with_a_change(self, answers: Answers) -> None:
        engine = Engine()
        await answers.give(b"q", engine.make)
        assert await answers.give(b"q", engine.make) == b"answer 1"  # without a change it would stay
        await answers.drop()
        assert await answers.give(b"q", engine.make) == b"answer 2"

    async def test_made_while_the_index_changes_are_not_kept(self, answers: Answers) -> None:
        engine = Engine()
        engine.goes_on.clear()
        asking = asyncio.create_task(answers.give(b"q", engine.make))
        await engine.began.wait()
        await answers.drop()
        engine.goes_on.set()
        assert await asking == b"answer 1"
        assert await answers.give(b"q", engine.make) == b"answer 2"

    async def test_live_no_longer_than_what_they_say(self, answers: Answers, redis_url: str) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=5)
        await answers.give(b"soon", Engine(until=soon).make)
        await answers.give(b"never", Engine().make)
        engine = Engine(until=datetime.now(UTC))
        await answers.give(b"now", engine.make)
        assert await answers.give(b"now", engine.make) == b"answer 2"
        async with Redis.from_url(redis_url) as redis:
            lives = [
                await redis.pttl(kept_answers._slot(kept_answers._mark(question))) for question in (b"soon", b"never")
            ]
        assert 0 < lives[0] <= 5_000 < lives[1] <= LIFE_MS

    async def test_that_are_too_long_are_not_kept(self, answers: Answers) -> None:
        engine = Engine(size=MAX_BODY_BYTES)
        await answers.give(b"q", engine.make)
        await answers.give(b"q", engine.make)
        assert engine.made == 2

    async def test_without_a_name_are_not_kept(self, answers: Answers) -> None:
        engine = Engine()
        assert [await answers.give(None, engine.make) for _ in range(2)] == [b"answer 1", b"answer 2"]

    async def test_of_an_index_that_lacks_events_are_not_kept(self, answers: Answers, shelf: FolderShelf) -> None:
        engine = Engine()
        shelf._begin_empty()
        await answers.give(b"q", engine.make)
        await answers.give(b"q", engine.make)
        assert engine.made == 2

    async def test_fill_a_bounded_room(self, answers: Answers, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept_answers, "SLOTS", 8)
        async with Redis.from_url(redis_url) as redis:
            before = int(await redis.dbsize())
            for number in range(40):
                await answers.give(str(number).encode(), Engine().make)
            assert 4 < int(await redis.dbsize()) - before <= 8


class TestCrowd:
    async def test_that_asks_the_same_is_answered_once(self, answers: Answers) -> None:
        engine, joined = Engine(), counted("joined")
        engine.goes_on.clear()
        asking = [asyncio.create_task(answers.give(b"q", engine.make)) for _ in range(ASKERS)]
        await until(lambda: has_counted("joined", joined + ASKERS - 1), "all others wait for the first one's answer")
        engine.goes_on.set()
        assert set(await asyncio.gather(*asking)) == {b"answer 1"}
        assert engine.made == 1

    async def test_is_not_left_alone_by_one_who_goes(self, answers: Answers) -> None:
        engine, joined = Engine(), counted("joined")
        engine.goes_on.clear()
        first = asyncio.create_task(answers.give(b"q", engine.make))
        await engine.began.wait()
        second = asyncio.create_task(answers.give(b"q", engine.make))
        await until(lambda: has_counted("joined", joined + 1), "the second waits for the first one's answer")
        first.cancel()
        engine.goes_on.set()
        assert await second == b"answer 1"

    async def test_hears_of_a_failure_and_may_ask_again(self, answers: Answers) -> None:
        async def fail() -> Made:
            raise SearchUnavailableError("not now")

        asked = await asyncio.gather(*(answers.give(b"q", fail) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(one, DomainError) for one in asked)
        assert await answers.give(b"q", Engine().make) == b"answer 1"


class TestWithoutValkey:
    async def test_the_engine_answers(self, shelf: FolderShelf) -> None:
        async with KeptAnswers.open(f"redis://{LOOPBACK}:{free_port()}") as kept:
            answers, engine = Answers(shelf, kept), Engine()
            assert [await answers.give(b"q", engine.make) for _ in range(2)] == [b"answer 1", b"answer 2"]
            await answers.drop()

    async def test_that_is_silent_nobody_waits_twice(self, shelf: FolderShelf) -> None:
        callers: list[Any] = []

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            callers.append(writer)
            await reader.read()
            writer.close()

        async with await asyncio.start_server(say_nothing, LOOPBACK) as server:
            port = server.sockets[0].getsockname()[1]
            async with KeptAnswers.open(f"redis://{LOOPBACK}:{port}") as kept:
                answers, engine = Answers(shelf, kept), Engine()
                await answers.give(b"q", engine.make)
                tried = len(callers)
                began = time.monotonic()
                while time.monotonic() - began < kept_answers.AWAY_S / 2:
                    await answers.give(b"q", engine.make)
                assert len(callers) == tried  # left alone for a while
                assert engine.made > 10

    async def test_a_change_that_could_not_be_told_is_told_before_anything_is_taken(
        self, answers: Answers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert answers.kept is not None
        engine = Engine()
        await answers.give(b"q", engine.make)
        monkeypatch.setattr(kept_answers, "AWAY_S", 0.0)
        with monkeypatch.context() as away:
            away.setattr(answers.kept, "_redis", Redis.from_url(f"redis://{LOOPBACK}:{free_port()}"))
            await answers.drop()
        assert await answers.give(b"q", engine.make) == b"answer 2"

    async def test_that_comes_back_empty_begins_anew(self, answers: Answers, redis_url: str) -> None:
        engine = Engine()
        await answers.give(b"q", engine.make)
        async with Redis.from_url(redis_url) as redis:
            await redis.flushall()
        assert [await answers.give(b"q", engine.make) for _ in range(3)] == [b"answer 2", b"answer 3", b"answer 3"]


class TestQuestions:
    def test_that_are_answered_alike_have_one_name(self) -> None:
        def named(text: str, **more: Any) -> bytes | None:
            return question_of(criteria(texts={"q": text}, **more))

        assert named("Dvořák") == named("dvorak ") != named("dvorak", page_no=1)
        assert named("???") != named("")
        assert named("a", date_from="2025-01-01") != named("a", date_to="2025-01-01")

    def test_of_somebody_at_some_place_have_none(self) -> None:
        assert question_of(criteria(texts={}, near="22.29,114.17")) is None


class TestService:
    def test_keeps_answers_of_a_search_server_unless_told_otherwise(self) -> None:
        server = "opensearch+http://localhost"
        assert [
            keeps_answers(Settings(search_engine_url=url, search_cache=cache))
            for url in ("", server)
            for cache in ("auto", "on", "off")
        ] == [False, True, False, True, True, False]

    @pytest.mark.usefixtures("patient")
    @pytest.mark.parametrize("kind", [pytest.param("tantivy"), *SERVERS])
    async def test_gives_nothing_from_before_a_message(
        self, kind: Any, search_engines: SearchEngines, tmp_path: Path, redis_url: str
    ) -> None:
        engine = {"search_index_dir": str(tmp_path)}
        if kind != "tantivy":
            engine = {
                "search_engine_url": f"{search_engines.url(kind)}/cache-{tmp_path.name.replace('_', '-').lower()}"
            }
        settings = Settings(redis_url=redis_url, search_cache="on", **engine)
        async with running(settings, StandInCatalog()) as shop, Redis.from_url(redis_url) as redis:
            await until(lambda: equals(degraded(shop), 0), "the index is complete")
            for version in range(1, 4):
                kept = counted("kept")
                await publish(StreamBus(redis), [told(event(1, name=f"Take {version}"), version)])
                await until(
                    lambda version=version: equals(shop.total(eventName=f"{version}"), 1), "the change is found"
                )
                names = {(await shop.search(q="take"))["events"][0]["name"] for _ in range(5)}
                assert names == {f"Take {version}"}
                assert counted("kept") - kept >= 4
