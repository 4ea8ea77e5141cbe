"""Search follows the catalog: changes told through outbox, relay and bus, and how long until each is found."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from tests.support.concert_facts import concert_facts
from tests.support.judged import JUDGED
from tests.support.search_service import Running, StandInCatalog, degraded, equals, event, running, until

from boxoffice.contracts.messages import catalog
from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.runtime import outbox
from boxoffice.runtime.bus import StreamBus
from boxoffice.runtime.database import Database
from boxoffice.runtime.relay import Relay
from boxoffice.runtime.settings import Settings
from boxoffice.services.search.app import shelf_of
from boxoffice.services.search.providers.shelf import Shelf

FIRST_ID = 100_000
"""Of the events that the drill makes; below are the real concerts."""
EVENTS = 200
READERS = 4
LOOK_S = 0.005
PATIENCE_S = 300.0
LATE_S = 30.0
"""A change that is not found by then counts as that late, and the figures say so."""
EVERY_S = 0.05
"""Between two changes while an index is rebuilt."""


@dataclass
class Told:
    """The drill's catalog: what is true, and the stand-in that lists it; each change is one transaction."""

    database: Database
    stand_in: StandInCatalog
    dice: random.Random
    versions: dict[int, int] = field(default_factory=dict)
    names: dict[int, str | None] = field(default_factory=dict)
    count: int = 0

    async def change(self) -> tuple[str, bool]:
        """Make, rename or delete an event; returns the word to look for, and whether it must be found."""
        event_id = FIRST_ID + self.dice.randrange(EVENTS)
        self.count += 1
        before, name = self.names.get(event_id), f"take{self.count:06}"
        gone = before is not None and self.dice.random() < 1 / 4
        version = self.versions.get(event_id, 0) + 1
        fact = event(event_id, name=name, status="deleted" if gone else "published")
        async with self.database.transaction() as tx:
            await outbox.append(
                tx, topic=catalog.TOPIC, key=str(event_id), type_=f"catalog.event.{'deleted' if gone else 'changed'}",
                version=version, body=fact,
            )  # fmt: skip
        self.versions[event_id] = version
        self.names[event_id] = None if gone else name
        self._list(fact, version)
        return (before or name, False) if gone else (name, True)

    def _list(self, fact: EventFact, version: int) -> None:
        if fact.status == "deleted":
            self.stand_in.facts.pop(fact.event_id, None)
        else:
            self.stand_in.facts[fact.event_id] = fact, version

    async def wrong(self, shelf: Shelf) -> int:
        """Count the events of which the index does not say what is true."""
        entries = await asyncio.to_thread(shelf.engine.entries, sorted(self.versions))
        said = {
            event_id: (entry.listing_version, entry.listing.name)
            for event_id, entry in entries.items()
            if entry.listing is not None
        }
        true = {one: (self.versions[one], name) for one, name in self.names.items() if name is not None}
        return sum(said.get(one) != true.get(one) for one in self.versions)


async def follow(
    settings: Settings, database_url: str, *, concerts: int, changes: int, burst: int, questions: int, seed: int
) -> dict[str, float]:
    """Run the search service beside an outbox: lag one by one, after a burst, through a rebuild; kept answers."""
    stand_in = StandInCatalog({fact.event_id: (fact, 1) for fact in concert_facts()[:concerts]})
    async with (
        Redis.from_url(settings.redis_url) as redis,
        Database.open(database_url, size=3) as database,
        running(settings, stand_in) as shop,
        Relay(service="catalog", database=database, bus=StreamBus(redis)).running(),
    ):
        await until(lambda: equals(shop.total(), concerts), "all concerts are found", seconds=PATIENCE_S)
        await until(lambda: equals(degraded(shop), 0), "the index is complete", seconds=PATIENCE_S)
        told = Told(database, stand_in, random.Random(seed))
        lags = sorted([await _lag(told, shop) for _ in range(changes)])
        for _ in range(burst):
            await told.change()
        settled = await _settled(told, shop)
        rebuilt = await _rebuilt(settings, told, shop)
        await _settled(told, shop)
        asked = await _asked(told, shop, questions)
        await _settled(told, shop)
        return {
            "lag_p50_ms": round(1e3 * lags[len(lags) // 2]), "lag_p99_ms": round(1e3 * lags[len(lags) * 99 // 100]),
            "settled_ms": round(1e3 * settled), **rebuilt, **asked,
            "wrong": await told.wrong(shop.shelf), "changes": told.count,
        }  # fmt: skip


async def _lag(told: Told, shop: Running) -> float:
    """Seconds from the commit of a change until a search shows it."""
    word, found = await told.change()
    committed = time.monotonic()
    while (await shop.total(eventName=word, pageSize=1) > 0) is not found:
        if time.monotonic() - committed > LATE_S:
            break
        await asyncio.sleep(LOOK_S)
    return time.monotonic() - committed


async def _settled(told: Told, shop: Running) -> float:
    """Seconds from the last commit until the index says what is true, of every event."""

    async def is_true() -> bool:
        return await told.wrong(shop.shelf) == 0

    began = time.monotonic()
    with suppress(AssertionError):  # what is wrong at the end is counted
        await until(is_true, "the index says what is true", seconds=LATE_S)
    return time.monotonic() - began


async def _rebuilt(settings: Settings, told: Told, shop: Running) -> dict[str, float]:
    """Rebuild while people search and changes are told; count answers, errors, and answers that lacked concerts."""
    least, counts = await _always_there(told, shop), {"answers": 0, "errors": 0, "short": 0}

    async def read(dice: random.Random) -> None:
        while True:
            asked: dict[str, Any] = {"q": dice.choice(JUDGED).query, "pageNo": dice.randrange(2)}
            if dice.random() < 1 / 4:
                asked = {"location": "Manhattan"}
            answer = await shop.client.get("/api/v1/search", params=asked)
            counts["answers"] += 1
            if answer.status_code != httpx.codes.OK:
                counts["errors"] += 1
            elif "location" in asked and answer.json()["totalElement"] < least:
                counts["short"] += 1
            await asyncio.sleep(0)

    asking = shelf_of(settings)
    async with _all_the_while([read(random.Random(number)) for number in range(READERS)]):
        await asyncio.to_thread(asking.ask_for_rebuild)
        began = time.monotonic()
        while asking.wanted:
            assert time.monotonic() - began < PATIENCE_S, "the rebuild does not end"
            await told.change()
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(asking.look)
        seconds = time.monotonic() - began
    asking.close()
    return {f"rebuild_{name}": count for name, count in counts.items()} | {"rebuild_s": round(seconds, 1)}


async def _always_there(told: Told, shop: Running) -> int:
    """Count the concerts in Manhattan that nobody changes: the drill's events are there too, and come and go."""
    least = await shop.total(location="Manhattan") - sum(name is not None for name in told.names.values())
    assert least > 0, "no concert is always there"
    return least


async def _asked(told: Told, shop: Running, questions: int) -> dict[str, float]:
    """Ask as a crowd does, few questions often, while something changes each half second; counts kept answers."""
    dice, left = random.Random(told.dice.random()), questions
    weights = [1 / place for place in range(1, len(JUDGED) + 1)]
    before = _sources()

    async def ask() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await shop.total(q=dice.choices(JUDGED, weights)[0].query)

    async def tell() -> None:
        while True:
            await told.change()
            await asyncio.sleep(0.5)

    async with _all_the_while([tell()]):
        await asyncio.gather(*(ask() for _ in range(READERS)))
    after = _sources()
    return {f"from_{source}": after[source] - before[source] for source in after}


def _sources() -> dict[str, float]:
    name = "boxoffice_search_answers_total"
    return {source: REGISTRY.get_sample_value(name, {"source": source}) or 0 for source in ("kept", "joined", "made")}


@asynccontextmanager
async def _all_the_while(doing: Sequence[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one) for one in doing]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
