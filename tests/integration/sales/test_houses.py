"""Pictures of houses over real PostgreSQL and Valkey, as several processes keep them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from tests.support.live import SOON_S, eventually
from tests.support.sales import EVENT, hold, put_on_sale, set_aside

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import shared_houses
from boxoffice.services.sales.store.shared_houses import LONGEST_READING_US, SharedHouses
from boxoffice.services.sales.usecases import keep_houses
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.kept_house import KeptHouse

NOWHERE = "redis://127.0.0.1:1/0"


@asynccontextmanager
async def a_process(sales_url: str, redis_url: str, *, hears: bool = True) -> AsyncIterator[Houses]:
    """One process's houses, which have begun to hear the others."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(sales_url, size=2))
        shared = await stack.enter_async_context(SharedHouses.open(redis_url)) if redis_url else None
        houses = Houses(database, shared)
        await stack.enter_async_context(houses.running())
        if hears:
            await eventually(lambda: houses._hearing)
        yield houses


@pytest.fixture
async def processes(sales_url: str, redis_url: str) -> AsyncIterator[list[Houses]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_process(sales_url, redis_url)) for _ in range(3)]


async def agree(processes: list[Houses], *, free: int) -> list[KeptHouse]:
    """Wait until all processes show so many free seats under one version."""
    kept = [await houses.look(EVENT) for houses in processes]

    def same() -> bool:
        for houses in processes:
            houses.glance(EVENT)  # somebody keeps looking
        shown = {(one.version, one.hash, one.body) for one in kept}
        return all(one.house and one.house.free == free for one in kept) and len(shown) == 1

    await eventually(same)
    return kept


def read(source: str = "shared") -> float:
    return REGISTRY.get_sample_value("boxoffice_house_pictures_total", {"source": source}) or 0


class TestProcesses:
    async def test_show_one_picture_under_one_version_that_grows(
        self, processes: list[Houses], database: Database
    ) -> None:
        seats = await put_on_sale(database, 20)
        versions = [(await agree(processes, free=20))[0].version]
        for count in (1, 2, 3):
            await hold(database, [seats[count]])
            await processes[0].tell([EVENT])
            versions.append((await agree(processes, free=20 - count))[0].version)
        assert versions == sorted(set(versions))

    async def test_read_a_house_together_at_most_every_tenth_of_a_second(
        self, processes: list[Houses], database: Database
    ) -> None:
        await put_on_sale(database, 20)
        await agree(processes, free=20)
        before, began = read(), time.monotonic()
        while time.monotonic() - began < 1.0 or (read() == before and time.monotonic() - began < SOON_S):
            for houses in processes:
                houses.touch(EVENT)
                await houses.look(EVENT)
            await asyncio.sleep(0.005)
        allowed = (time.monotonic() - began) / keep_houses.FRESH_S + 1
        assert 1 <= read() - before <= allowed

    async def test_do_nothing_for_a_house_that_nobody_looks_at(
        self, processes: list[Houses], database: Database
    ) -> None:
        seats = await put_on_sale(database, 20)
        kept = await agree(processes, free=20)
        for one in kept:
            one.wanted_at = float("-inf")
            one.hush()
        await eventually(lambda: all(one.task is None for one in kept))
        before = read(), read("alone"), read("taken")
        await hold(database, seats[:1])
        async with asyncio.timeout(SOON_S):
            while not all(one.is_touched for one in kept):
                await processes[0].tell([EVENT])
                await asyncio.sleep(0.05)
        await asyncio.sleep(3 * keep_houses.FRESH_S)
        assert (read(), read("alone"), read("taken")) == before
        assert all(one.alarm is None and one.task is None for one in kept)
        assert (await processes[1].look(EVENT)).house.free == 19  # type: ignore[union-attr] # just looked

    async def test_see_a_hold_end_by_the_clock(self, processes: list[Houses], database: Database) -> None:
        seats = await put_on_sale(database, 20)
        order_id, _ = await hold(database, seats[:2])
        await database.fetch(
            "UPDATE event_seats SET hold_expires_at = clock_timestamp() + interval '5 s' WHERE order_id = $1",
            order_id,
        )
        await database.fetch(
            "UPDATE orders SET hold_expires_at = clock_timestamp() + interval '5 s' WHERE order_id = $1", order_id
        )
        await agree(processes, free=18)
        await agree(processes, free=20)  # nobody told them

    async def test_see_an_allocation_open_by_the_clock_within_two_seconds(
        self, processes: list[Houses], database: Database
    ) -> None:
        seats = await put_on_sale(database, 20)
        release_at = datetime.now(UTC) + timedelta(seconds=2)
        await set_aside(database, seats[:5], release_at=release_at)
        assert (await agree(processes, free=15))[0].house.blocked == 5  # type: ignore[union-attr] # just looked
        await agree(processes, free=20)  # nobody told them, and no job runs here
        assert timedelta(0) <= datetime.now(UTC) - release_at < timedelta(seconds=2)

    async def test_find_what_nobody_told_them(
        self, processes: list[Houses], database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keep_houses, "CHECK_S", 0.5)
        seats = await put_on_sale(database, 20)
        await agree(processes, free=20)
        await hold(database, seats[:1])
        await agree(processes, free=19)

    async def test_know_no_event_that_is_not_there(self, processes: list[Houses]) -> None:
        for houses in processes:
            with pytest.raises(EventNotFoundError):
                await houses.look(EventId(999))
        assert not any(houses.glance(EventId(999)) for houses in processes)


class TestWithoutValkey:
    async def test_each_process_reads_for_itself(self, sales_url: str, database: Database) -> None:
        seats = await put_on_sale(database, 20)
        async with a_process(sales_url, "", hears=False) as one, a_process(sales_url, NOWHERE, hears=False) as other:
            before = read("alone")
            for houses in (one, other):
                assert (await houses.look(EVENT)).house.free == 20  # type: ignore[union-attr] # just looked
                assert not (await houses.look(EVENT)).is_shared
                assert houses.recent(EVENT, most_seconds=2.0, renew=True) is None
            assert read("alone") - before >= 2
            await hold(database, seats[:1])
            for houses in (one, other):
                kept = await houses.look(EVENT)
                await eventually(lambda houses=houses, kept=kept: houses.glance(EVENT) and kept.house.free == 19)

    async def test_a_server_that_hangs_is_left_alone_and_taken_up_again(
        self, processes: list[Houses], database: Database, redis_url: str
    ) -> None:
        seats = await put_on_sale(database, 20)
        before = (await agree(processes, free=20))[0].version
        async with Redis.from_url(redis_url) as redis:
            await redis.client_pause(2_000)
            await hold(database, seats[:1])
            for houses in processes:
                houses.touch(EVENT)
                kept = await houses.look(EVENT)
                await eventually(lambda houses=houses, kept=kept: houses.glance(EVENT) and kept.house.free == 19)
        await hold(database, seats[1:2])
        await eventually(lambda: not any(houses._alone(time.monotonic()) for houses in processes))
        await processes[0].tell([EVENT])
        after = await agree(processes, free=18)
        assert after[0].version > before
        assert all(one.is_shared for one in after)

    async def test_an_emptied_server_changes_nothing(
        self, processes: list[Houses], database: Database, redis_url: str
    ) -> None:
        seats = await put_on_sale(database, 20)
        versions = [(await agree(processes, free=20))[0].version]
        async with Redis.from_url(redis_url) as redis:
            for count in range(1, 6):
                await redis.flushall()
                await hold(database, [seats[count]])
                await processes[count % 3].tell([EVENT])
                versions.append((await agree(processes, free=20 - count))[0].version)
        assert versions == sorted(set(versions))

    async def test_a_picture_that_took_too_long_is_told_to_nobody(
        self, processes: list[Houses], database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await put_on_sale(database, 20)
        house = (await agree(processes, free=20))[0].house
        assert house is not None
        monkeypatch.setattr(shared_houses, "ANSWER_S", SOON_S)
        async with SharedHouses.open(redis_url) as shared, asyncio.timeout(SOON_S):
            is_told = False
            while not is_told:  # a busy machine may be too late with the one in time too
                claim = await shared.claim(EVENT)
                if claim.token is None:
                    await asyncio.sleep(claim.wait_s + 0.001)
                    continue
                late, in_time = (
                    msgspec.structs.replace(house, read_us=claim.now_us - us) for us in (LONGEST_READING_US + 1, 0)
                )
                assert not await shared.tell(late, token=claim.token, rest_ms=100)
                assert not await shared.tell(in_time, token="of another process", rest_ms=100)
                is_told = await shared.tell(in_time, token=claim.token, rest_ms=100)
