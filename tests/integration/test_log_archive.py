"""What every log archive must do, on each: keep, find, forget; and that nothing secret or personal ever gets there."""

import asyncio
import json
import logging
import re
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from tests.support.commands import BOXOFFICE, environment, run
from tests.support.engines import Engines
from tests.support.mongodb import MONGODB, ON_ONE_WORKER

from boxoffice.cli.exits import Exit
from boxoffice.runtime import telemetry
from boxoffice.runtime.archive import LogStore, open_log_store
from boxoffice.runtime.archive.mongodb import COLLECTION, TTL_INDEX
from boxoffice.runtime.archive.record import LogRecord
from boxoffice.runtime.archive.seam import Wanted
from boxoffice.runtime.archive.shipping import archiving
from boxoffice.runtime.mongodb import open_mongodb
from boxoffice.runtime.settings import Settings
from boxoffice.runtime.uuids import uuid7

NOW = datetime.now(UTC).replace(microsecond=0)
TRACE = "0af7651916cd43dd8448eb211c80319c"
CANARIES = {
    "address": "canary.person@example.org",
    "card": "4111 1111 1111 1111",
    "token": "eyJhbGciOi.eyJzdWIiOiJjYW5h.c2lnbmF0dXJl",
    "word": "canary-and-horse-battery",
}


@pytest.fixture(params=["postgresql", MONGODB])
def url(request: pytest.FixtureRequest, engines: Engines) -> Iterator[str]:
    """An empty archive of each kind."""
    if request.param == "mongodb":
        yield request.getfixturevalue("mongodb_url")
        return
    with engines.empty_database() as found:
        yield found


@pytest.fixture
async def store(url: str) -> AsyncIterator[LogStore]:
    async with open_log_store(url) as opened:
        await opened.prepare(days=14)
        yield opened


def told(event: str, *, ago: timedelta = timedelta(), **fields: Any) -> LogRecord:
    known = {name: fields.pop(name) for name in ("level", "service", "trace_id") if name in fields}
    return LogRecord(
        record_id=uuid7(), time=NOW - ago, event=event, fields=fields,
        **{"level": "info", "service": "bookings", **known},
    )  # fmt: skip


async def events(store: LogStore, **wanted: Any) -> list[str]:
    return [one.event for one in await store.find(Wanted(**wanted))]


class TestFind:
    async def test_gives_back_what_was_kept(self, store: LogStore) -> None:
        one = told(
            "hold.placed", trace_id=TRACE, event_id=7, ok=True, none=None, part=1.5, within={"a": [1, {"b": "c"}]}
        )
        await store.add([one])
        assert await store.find(Wanted()) == [one]

    async def test_by_trace_service_level_and_time(self, store: LogStore) -> None:
        await store.add(
            [
                told("old", ago=timedelta(hours=3), trace_id=TRACE),
                told("bad", ago=timedelta(minutes=30), level="error", service="payments", trace_id=TRACE),
                told("odd", ago=timedelta(minutes=20), level="warning"),
                told("usual", ago=timedelta(minutes=10), level="debug"),
                told("worst", ago=timedelta(minutes=5), level="critical"),
            ]
        )
        assert await events(store, trace_id=TRACE) == ["old", "bad"]
        assert await events(store, trace_id=TRACE[::-1]) == []
        assert await events(store, service="payments") == ["bad"]
        assert await events(store, level="warning") == ["bad", "odd", "worst"]
        assert await events(store, level="critical") == ["worst"]
        assert await events(store, since=NOW - timedelta(hours=1)) == ["bad", "odd", "usual", "worst"]
        assert await events(store, since=NOW - timedelta(hours=4), until=NOW - timedelta(minutes=20)) == ["old", "bad"]
        assert await events(store, trace_id=TRACE, service="payments", level="error") == ["bad"]

    async def test_gives_the_newest_the_oldest_of_them_first(self, store: LogStore) -> None:
        await store.add([told(f"e{number}") for number in range(30)])  # all in one millisecond
        assert await events(store, limit=5) == [f"e{number}" for number in range(25, 30)]

    @pytest.mark.parametrize("text", ["'; DROP TABLE log_records; --", '{"$gt": ""}', "$where", "%", "\\", "é🎫"])
    async def test_takes_words_as_words(self, store: LogStore, text: str) -> None:
        await store.add([told("one", service="bookings"), told("two", service=text, trace_id=text)])
        assert await events(store, service=text) == ["two"]
        assert await events(store, trace_id=text) == ["two"]


class TestAdd:
    async def test_again_keeps_nothing_twice(self, store: LogStore) -> None:
        first, second, third = (told(f"e{number}") for number in range(3))
        await store.add([first, second])
        await store.add([first, second])
        await store.add([second, third])  # as after a batch of which nobody knows whether it arrived
        assert await events(store) == ["e0", "e1", "e2"]

    async def test_takes_names_that_mean_something_to_a_store(self, store: LogStore) -> None:
        await store.add([told("odd", **{"$where": 1, "a.b": {"$gt": 2, "": 3}, "": 4})])
        [one] = await store.find(Wanted())
        assert (one.event, 1 in one.fields.values()) == ("odd", True)

    async def test_takes_a_large_batch(self, store: LogStore) -> None:
        await store.add([told("long", text="x" * 8_000) for _ in range(500)])
        assert len(await store.find(Wanted(limit=1_000))) == 500

    async def test_at_once_from_several(self, url: str) -> None:
        @asynccontextmanager
        async def prepared() -> AsyncIterator[LogStore]:
            async with open_log_store(url) as one:
                for left in reversed(range(20)):
                    try:
                        await one.prepare(days=14)
                    except Exception:  # the first second of nine processes: a lock may take too long
                        if not left:
                            raise
                        await asyncio.sleep(0.1)
                    else:
                        break
                yield one

        async def keep(number: int) -> None:
            async with prepared() as one:
                await one.add([told(f"from {number}")])

        await asyncio.gather(*(keep(number) for number in range(6)))
        async with prepared() as one:
            assert len(await one.find(Wanted())) == 6


class TestForget:
    async def test_what_is_older_than_the_days(self, url: str) -> None:
        async with open_log_store(url) as store:
            await store.prepare(days=2)
            await store.add(
                [
                    told("old", ago=timedelta(days=2, minutes=1)),
                    told("kept", ago=timedelta(days=1, hours=23)),
                    told("new"),
                ]
            )
            async with asyncio.timeout(150):  # MongoDB looks once a minute
                while await events(store) != ["kept", "new"]:
                    await store.forget(days=2)
                    await asyncio.sleep(0.1)

    async def test_after_other_days_than_before(self, url: str) -> None:
        async with open_log_store(url) as store:
            await store.prepare(days=14)
            await store.add([told("old", ago=timedelta(days=3)), told("new")])
            await store.forget(days=14)
            assert await events(store) == ["old", "new"]
            for _ in range(2):
                await store.prepare(days=2)
            async with asyncio.timeout(150):
                while await events(store) != ["new"]:
                    await store.forget(days=2)
                    await asyncio.sleep(0.1)

    @ON_ONE_WORKER
    async def test_is_a_ttl_index_of_mongodb(self, mongodb_url: str) -> None:
        async with open_log_store(mongodb_url) as store:
            await store.prepare(days=14)
        async with open_mongodb(mongodb_url, name="test") as documents:
            indexes = await documents[COLLECTION].index_information()
        assert indexes[TTL_INDEX]["expireAfterSeconds"] == 14 * 86_400
        assert indexes[TTL_INDEX]["key"] == [("time", 1)]


@pytest.mark.usefixtures("logging_as_it_was")
class TestNothingSecretGetsThere:
    async def test_whichever_way_it_is_logged(self, url: str) -> None:
        settings = Settings(log_archive_url=url)
        with archiving(settings, service="bookings") as archive:
            telemetry.configure_logging(service="bookings", level="info", beside=archive)
            telemetry.begin_trace(f"00-{TRACE}-b7ad6b7169203331-01")
            self.log_the_canaries()
        async with open_log_store(url) as store:
            found = await store.find(Wanted(trace_id=TRACE, limit=1_000))
        assert len(found) == 7
        assert {one.service for one in found} == {"bookings"}
        text = json.dumps([json.loads(self.text(one)) for one in found], ensure_ascii=False)
        for name, canary in CANARIES.items():
            assert canary not in text, name
        assert "hold.placed" in text
        assert "RuntimeError" in text, "the control: what was raised is there, without what it said of people"

    def log_the_canaries(self) -> None:
        ours = structlog.get_logger("boxoffice.test")
        address, card, token, word = CANARIES.values()
        ours.info("hold.placed", to=address, card=card, bearer=token, password=word)
        ours.info(f"to {address} with {card} and {token}")
        ours.info("nested", body={"to": [address, {"card": card}], "session_cookie": word, "deep": {"token": [word]}})
        ours.warning("tuple", pair=(address, card), headers={"Authorization": f"Bearer {token}"})
        logging.getLogger("somebody.else").warning("to %s with %s and %s", address, card, token)
        try:
            raise RuntimeError(f"no mailbox {address}, no card {card}")  # noqa: TRY301 - what is logged is the subject
        except RuntimeError:
            ours.exception("failed", api_key=word)
            logging.getLogger("somebody.else").exception("failed for %s", address)

    @staticmethod
    def text(one: LogRecord) -> str:
        return json.dumps({"event": one.event, "fields": one.fields, "service": one.service})


@pytest.fixture
def gateway(url: str, tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A process of its own that ships its log records: the gateway needs nothing else."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "log").open("wb") as out:
        process = subprocess.Popen(
            [BOXOFFICE, "serve", "gateway", "--port", str(port)],
            stdout=out, stderr=out, env=environment(BOXOFFICE_LOG_ARCHIVE_URL=url),
        )  # fmt: skip
    try:
        where = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{where}/health/live", timeout=5, trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield where, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class TestCommand:
    def test_finds_what_a_process_logged_last_before_it_ended(
        self, url: str, gateway: tuple[str, "subprocess.Popen[bytes]"]
    ) -> None:
        where, process = gateway
        answer = httpx.get(
            f"{where}/api/v1/nothing", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, trust_env=False
        )
        assert answer.json()["traceId"] == TRACE
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        told_for_people = run("logs", "--trace", TRACE, BOXOFFICE_LOG_ARCHIVE_URL=url)
        assert told_for_people.returncode == Exit.OK, told_for_people.stderr
        assert re.search(rf"gateway .*trace={TRACE}", told_for_people.stdout), told_for_people.stdout
        as_json = run("logs", "--service", "gateway", "--since", "10m", "--json", BOXOFFICE_LOG_ARCHIVE_URL=url)
        found = [json.loads(line) for line in as_json.stdout.splitlines()]
        assert any(one["traceId"] == TRACE for one in found)
        nothing = run("logs", "--service", "nobody", BOXOFFICE_LOG_ARCHIVE_URL=url)
        assert (nothing.returncode, nothing.stdout) == (Exit.OK, "")
        assert "No such record" in nothing.stderr


class TestCommandLine:
    def test_says_that_there_is_no_archive(self, tmp_path: Path) -> None:
        ended = run("logs", "--data-dir", tmp_path / "d")
        assert ended.returncode == Exit.BAD_SETTINGS
        assert "BOXOFFICE_LOG_ARCHIVE_URL" in ended.stderr

    @pytest.mark.parametrize(
        "nowhere", ["mongodb://127.0.0.1:1/boxoffice", "postgresql://user:hunter2@127.0.0.1:1/logs"]
    )
    def test_says_that_the_archive_is_away(self, nowhere: str) -> None:
        ended = run("logs", BOXOFFICE_LOG_ARCHIVE_URL=nowhere)
        assert ended.returncode == Exit.UNREACHABLE, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "hunter2" not in ended.stderr

    def test_refuses_a_time_that_is_none(self) -> None:
        assert run("logs", "--since", "tomorrow", BOXOFFICE_LOG_ARCHIVE_URL="mongodb://x/y").returncode == Exit.USAGE

    def test_doctor_says_what_is_away_and_no_password(self, tmp_path: Path) -> None:
        ended = run(
            "doctor", "--data-dir", tmp_path / "d",
            BOXOFFICE_MONGODB_URL="mongodb://user:hunter2@127.0.0.1:1/boxoffice",
            BOXOFFICE_LOG_ARCHIVE_URL="postgresql://user:hunter2@127.0.0.1:1/logs",
        )  # fmt: skip
        assert ended.returncode == Exit.FINDINGS
        assert "MongoDB" in ended.stdout
        assert "log archive" in ended.stdout
        assert "hunter2" not in ended.stdout + ended.stderr

    @ON_ONE_WORKER
    def test_doctor_says_what_answers(self, tmp_path: Path, mongodb_url: str) -> None:
        ended = run("doctor", "--data-dir", tmp_path / "d", BOXOFFICE_MONGODB_URL=mongodb_url)
        assert ended.returncode == Exit.OK, ended.stdout
        assert re.search(r"MongoDB\s+MongoDB \d", ended.stdout)

    @ON_ONE_WORKER
    def test_carries_preferences_and_says_how_many(self, notification_url: str, mongodb_url: str) -> None:
        known = {"BOXOFFICE_NOTIFICATION_DATABASE_URL": notification_url, "BOXOFFICE_MONGODB_URL": mongodb_url}
        ended = run("preferences", "carry", "--to", "mongodb", **known)
        assert ended.returncode == Exit.OK, ended.stderr
        assert "0 users' preferences are in mongodb now" in ended.stdout
        again = run("preferences", "carry", "--to", "mongodb", **known)
        assert "in mongodb already" in again.stdout
