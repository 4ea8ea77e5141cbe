"""The live house over real sockets: what a client is sent, what it may lose, and what it may not do."""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.live import SOON_S, LiveClient, eventually, following
from tests.support.sales import EVENT, event_fact, hold, put_on_sale
from tests.support.sales_apps import Apps, running_apps
from tests.support.servers import served
from tests.support.tokens import TokenFactory
from websockets.exceptions import ConnectionClosed, InvalidStatus

from boxoffice.contracts.http.live import LiveCurrent, LiveDelta, LiveSnapshot
from boxoffice.services.sales.domain.availability import FREE, HELD, pack
from boxoffice.services.sales.store.shared_houses import SharedHouse
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.kept_house import KeptHouse
from boxoffice.services.sales.usecases.take_event_terms import keep_terms, terms_of

STILL_S = 3_600.0


@pytest.fixture
async def live(sales_url: str, redis_url: str, tokens: TokenFactory, tmp_path: Path) -> AsyncIterator["Live"]:
    async with running_apps(sales_url, redis_url, tokens, tmp_path, live_clients=6, live_clients_per_address=3) as apps:
        app = apps.tickets._transport.app  # type: ignore[attr-defined] # httpx types it as any transport
        async with served(app, send_buffer=16 * 1024) as address:
            yield Live(apps, address, app.state.parts.houses)


class Live:
    """The processes of sales, the address of tickets, and the houses that it keeps."""

    def __init__(self, apps: Apps, address: str, houses: Houses) -> None:
        self.apps = apps
        self.address = address
        self.houses = houses

    async def kept(self) -> KeptHouse:
        return await self.houses.look(EVENT)

    async def still(self) -> KeptHouse:
        """Give the house, which is not read again: only the test changes it."""
        kept = await self.kept()
        kept.hush()
        kept.due = kept.good_until = kept.not_before = time.monotonic() + STILL_S
        return kept


def step(kept: KeptHouse, codes: bytearray) -> None:
    """Show the next picture of a house, as if it had been read."""
    assert kept.house is not None
    found: SharedHouse = msgspec.structs.replace(kept.house, version=kept.version + 1, packed=pack(bytes(codes)))
    kept.show(found, read_at=kept.read_at, due=kept.due, good_for=1.0, is_shared=True)


def random_steps(kept: KeptHouse, count: int, seed: int) -> Iterator[None]:
    """Change a few places of a house at each step."""
    assert kept.house is not None
    chance, codes = random.Random(seed), bytearray(kept.house.places)
    for _ in range(count):
        for _ in range(chance.randint(1, 6)):
            codes[chance.randrange(len(codes))] = chance.randrange(4)
        step(kept, codes)
        yield


class TestFollow:
    async def test_a_snapshot_first_then_every_change(self, live: Live) -> None:
        seats = await put_on_sale(live.apps.database, 20)
        async with following(live.address, EVENT) as client:
            first = await client.next()
            assert isinstance(first, LiveSnapshot)
            assert (first.event_id, first.places, first.free) == (EVENT, 20, 20)
            await hold(live.apps.database, seats[3:5])
            second = await client.next()
            assert isinstance(second, LiveDelta)
            assert (second.since, second.changes) == (first.version, ((3, HELD), (4, HELD)))
            assert (second.free, second.held) == (18, 2)
            kept = await live.kept()
            assert (client.version, client.hash) == (kept.version, kept.hash)

    async def test_the_same_bytes_go_to_everybody(self, live: Live) -> None:
        seats = await put_on_sale(live.apps.database, 20)
        async with following(live.address, EVENT) as one, following(live.address, EVENT) as other:
            await one.next()
            await other.next()
            await hold(live.apps.database, seats[:1])
            assert await one.socket.recv() == await other.socket.recv()

    async def test_a_client_that_comes_back_gets_what_changed(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 20)
        kept = await live.still()
        before = kept.version, kept.hash
        for _ in random_steps(kept, 5, seed=1):
            pass
        for query, kind in (
            (f"?version={before[0]}&hash={before[1]}", LiveDelta),
            (f"?version={before[0]}", LiveDelta),
            (f"?version={before[0]}&hash=00000000", LiveSnapshot),
            (f"?version={kept.version}&hash={kept.hash}", LiveCurrent),
            (f"?version={kept.version}&hash=00000000", LiveSnapshot),
            ("?version=5", LiveSnapshot),
            ("?version=-1", LiveSnapshot),
            ("?version=99999999999999999999999", LiveSnapshot),
            ("?version=", LiveSnapshot),
        ):
            async with following(live.address, EVENT, query) as client:
                message = msgspec.json.decode(await client.socket.recv(), type=LiveSnapshot | LiveDelta | LiveCurrent)
                assert isinstance(message, kind), query
                assert (message.version, message.hash) == (kept.version, kept.hash)

    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_a_client_that_loses_a_third_of_its_messages_ends_with_the_servers_hash(
        self, live: Live, seed: int
    ) -> None:
        await put_on_sale(live.apps.database, 200)
        kept = await live.still()
        chance = random.Random(seed)
        async with following(live.address, EVENT, loses=lambda: chance.random() < 0.3) as client:
            reader = asyncio.create_task(follow_for_ever(client))
            for _ in random_steps(kept, 200, seed):
                await asyncio.sleep(0.005)
            # A client that lost the very last message learns of it by the next one, or by asking now and then.
            async with asyncio.timeout(SOON_S):
                while client.hash != kept.hash:
                    await client.resume()
                    await asyncio.sleep(0.05)
            reader.cancel()
            assert client.version == kept.version
            assert client.lost > 20
            assert client.asked > 5
            assert client.seen[-1].hash == kept.hash

    async def test_a_loss_would_be_seen(self, live: Live) -> None:
        """The control of the test above: without asking again, the hash differs."""
        await put_on_sale(live.apps.database, 200)
        kept = await live.still()
        chance = random.Random(1)
        async with following(live.address, EVENT, loses=lambda: chance.random() < 0.3) as client:
            client.resume = lambda *_: asyncio.sleep(0)  # type: ignore[method-assign, assignment] # it never asks
            reader = asyncio.create_task(follow_for_ever(client))
            for _ in random_steps(kept, 50, seed=1):
                await asyncio.sleep(0.005)
            await eventually(lambda: client.lost > 5)
            reader.cancel()
            assert client.hash != kept.hash


async def follow_for_ever(client: LiveClient) -> None:
    while True:
        await client.next()


class TestSlowClient:
    async def test_is_dropped_to_a_snapshot_and_costs_one_buffer(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5_000)
        kept = await live.still()
        with small_socket() as raw:
            host, port = live.address.removeprefix("http://").split(":")
            raw.connect((host, int(port)))
            async with following(live.address, EVENT, sock=raw, max_queue=1) as client:
                await client.next()
                chance, codes, steps = random.Random(1), bytearray(5_000), 800
                for _ in range(steps):  # each some 2 kB: far more than all buffers between us
                    for _ in range(200):
                        codes[chance.randrange(5_000)] = chance.randrange(4)
                    step(kept, codes)
                    await asyncio.sleep(0)
                [watcher] = kept.audience.watchers
                assert watcher._task is not None, "it should be waited for"
                assert watcher.version is not None
                assert watcher.version < kept.version
                await asyncio.wait_for(client.until_version(kept.version), SOON_S)
                assert client.hash == kept.hash
                assert len(client.seen) < steps / 2
                assert isinstance(client.seen[-1], LiveSnapshot | LiveDelta)

    async def test_does_not_hold_up_the_others(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5_000)
        kept = await live.still()
        with small_socket() as raw:
            host, port = live.address.removeprefix("http://").split(":")
            raw.connect((host, int(port)))
            async with (
                following(live.address, EVENT, sock=raw, max_queue=1, close_timeout=0.1),
                following(live.address, EVENT) as quick,
            ):
                await quick.next()
                chance, codes = random.Random(1), bytearray(5_000)
                for _ in range(400):
                    for _ in range(200):
                        codes[chance.randrange(5_000)] = chance.randrange(4)
                    step(kept, codes)
                    await asyncio.wait_for(quick.until_version(kept.version), SOON_S)
                assert quick.hash == kept.hash
                assert quick.asked == 0


def small_socket() -> socket.socket:
    """A socket that takes little in advance."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return raw


class TestWhoMayFollow:
    async def refused(self, live: Live, status: int, code: str, event_id: int = EVENT, **options: Any) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with following(live.address, event_id, **options):
                pass
        answer = caught.value.response
        assert (answer.status_code, msgspec.json.decode(answer.body or b"")["code"]) == (status, code)

    async def test_nobody_follows_an_event_that_is_not_there(self, live: Live) -> None:
        await self.refused(live, 404, "sales.event_not_found", event_id=999)

    async def test_a_draft_is_for_its_organisers(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5, status="draft")
        await self.refused(live, 404, "sales.event_not_found")
        await self.refused(live, 404, "sales.event_not_found", additional_headers=live.apps.buyer()[1])
        await self.refused(live, 401, "identity.unauthenticated", additional_headers={"Authorization": "Bearer x.y.z"})
        async with following(live.address, EVENT, additional_headers=live.apps.organiser()) as client:
            assert isinstance(await client.next(), LiveSnapshot)

    async def test_an_event_that_is_taken_back_is_no_longer_followed(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5)
        async with following(live.address, EVENT) as client:
            await client.next()
            async with live.apps.database.transaction() as tx:
                await keep_terms(tx, terms_of(event_fact(status="deleted"), 2))
            await live.houses.tell([EVENT])
            with pytest.raises(ConnectionClosed) as caught:
                await asyncio.wait_for(client.next(), SOON_S)
            assert caught.value.rcvd
            assert caught.value.rcvd.code == 4404

    async def test_one_address_has_so_many_clients_and_no_more(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5)
        async with following(live.address, EVENT), following(live.address, EVENT):
            async with following(live.address, EVENT):
                await self.refused(live, 429, "sales.too_many_clients")
            await eventually(lambda: len(watchers(live)) == 2)
            other = {"additional_headers": {"X-Forwarded-For": "192.0.2.7"}}
            async with following(live.address, EVENT), following(live.address, EVENT, **other):
                pass

    async def test_a_process_has_so_many_clients_and_no_more(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5)
        sockets = [
            following(live.address, EVENT, additional_headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(6)
        ]
        for one in sockets:
            await one.__aenter__()
        await self.refused(live, 429, "sales.too_many_clients", additional_headers={"X-Forwarded-For": "192.0.2.99"})
        for one in sockets:
            await one.__aexit__(None, None, None)
        await eventually(lambda: not watchers(live))

    @pytest.mark.parametrize("said", ["hello", "{}", '{"resume": "x"}', '{"resume": 1, "hash": "' + "x" * 300 + '"}'])
    async def test_who_says_something_else_is_sent_away(self, live: Live, said: str) -> None:
        await put_on_sale(live.apps.database, 5)
        async with following(live.address, EVENT) as client:
            await client.next()
            await client.socket.send(said)
            with pytest.raises(ConnectionClosed) as caught:
                await asyncio.wait_for(client.next(), SOON_S)
            assert caught.value.rcvd
            assert caught.value.rcvd.code == 1008

    async def test_asking_for_ever_ends(self, live: Live) -> None:
        await put_on_sale(live.apps.database, 5)
        async with following(live.address, EVENT) as client:
            for _ in range(200):
                with suppress(ConnectionClosed):
                    await client.socket.send('{"resume": 1}')
            with pytest.raises(ConnectionClosed) as caught:
                await follow_for_ever(client)
            assert caught.value.rcvd
            assert caught.value.rcvd.code == 1008


def watchers(live: Live) -> set[Any]:
    kept = live.houses.glance(EVENT)
    return kept.audience.watchers if kept else set()


class TestAvailability:
    async def test_is_the_picture_that_the_socket_tells(self, live: Live) -> None:
        seats = await put_on_sale(live.apps.database, 20)
        async with following(live.address, EVENT) as client:
            await client.next()
            await hold(live.apps.database, seats[:4])
            await client.next()
            answer = (await live.apps.tickets.get(f"/events/{EVENT}/availability")).json()
            assert answer["version"] == client.version
            assert (answer["free"], answer["held"]) == (16, 4)
            assert client.codes == bytes([HELD] * 4 + [FREE] * 16)
