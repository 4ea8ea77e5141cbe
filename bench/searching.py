"""Group ``search``: 100,000 events on tantivy, OpenSearch and Elasticsearch side by side, and answers kept in Valkey.

The events are the real concerts again and again, on other days and in other halls. Each engine is filled through the
product's own way in, and asked the same questions in the same order; an answer is counted when it could be sent.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import psutil
from tests.support.concert_facts import NOW, concert_facts
from tests.support.judged import JUDGED

from bench.house import House
from bench.rounds import Contender, Findings, Measure, Record, Sample, against, interleaved, percentile
from boxoffice.runtime.engines import search_servers
from boxoffice.services.search.api import page_of
from boxoffice.services.search.domain.criteria import Criteria, criteria
from boxoffice.services.search.domain.listing import Listing, ListingChange, Venue
from boxoffice.services.search.providers import server_schema
from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.providers.kept_answers import KeptAnswers
from boxoffice.services.search.providers.server_engine import ServerEngine
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine
from boxoffice.services.search.providers.wire import Wire, address_of
from boxoffice.services.search.usecases.find_events import Answer, question_of
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

EVENTS = 100_000
HALLS = 2_000
BATCH = 1_000
"""As a rebuild fills an index."""
QUESTIONS = 150
"""Of one round; each round has others."""
ROUNDS = 5
SEED = 4711
SERVER_OPTIONS = ("-Xms1g", "-Xmx1g")
"""Room for this many events, and the collector and compiler that the servers choose themselves."""
INDEX = "bench"
MB = 1024 * 1024

Say = Callable[[str], None]
Left = Callable[[], float]


@dataclass(frozen=True)
class Filled:
    """An engine with all events in it: how long that took, and what it has in memory and on disk."""

    name: str
    engine: SearchEngine
    seconds: float
    memory: Callable[[], float]
    folder: Path


async def search(house: House, say: Say, left: Left) -> Findings:
    """Fill three engines one after another, then ask them in turn."""
    with ExitStack() as stack:
        filled = [_tantivy(house.folder, stack, say)]
        filled += [_server(kind, house.folder, stack, say) for kind in ("opensearch", "elasticsearch")]
        contenders = [Contender(f"{one.name}, {EVENTS:,} events", "answers/s", _asks(one.engine)) for one in filled]
        async with KeptAnswers.open(house.redis_url) as kept:
            contenders.append(Contender("answers kept in Valkey", "answers/s", _takes(kept, filled[0].engine)))
            for contender in contenders:
                await contender.measure()  # warms up
            await interleaved(contenders, rounds=ROUNDS, say=say, left=left)
        found = Findings(contenders=contenders)
        ours, *servers = contenders[:3]
        for server, name in zip(servers, ("opensearch", "elasticsearch"), strict=True):
            found.records.append(against(ours, server))
            found.keys[f"search_vs_{name}"] = found.records[-1].ratio or 0.0
        found.records.append(against(contenders[3], ours))
        found.keys["search_kept_vs_tantivy"] = found.records[-1].ratio or 0.0
        for one, contender in zip(filled, contenders, strict=False):
            found.keys[f"search_p50_ms_{one.name}"] = contender.middle("p50_ms") or 0.0
            found.keys[f"search_p99_ms_{one.name}"] = contender.middle("p99_ms") or 0.0
        found.records += _beside(filled, "time to index", "s", lambda one: one.seconds)
        found.records += _beside(filled, "memory (RSS, after the questions)", "MB", lambda one: one.memory())
        found.records += _beside(filled, "index on disk", "MB", lambda one: _size(one.folder) / MB)
    found.notes.append(
        "One caller; an answer is found, written and encoded as the API sends it. Of tantivy's memory, which is in the "
        "asking process, what that process grew by is counted, files mapped into it included; the servers have a heap "
        "of 1 GB each. They answer over loopback, so a round trip and JSON are in their figures, as in production."
    )
    return found


def changes(count: int) -> Iterator[ListingChange]:
    """Make so many events of the real concerts: each time round on other days and in other halls."""
    dice = random.Random(SEED)
    listings = [change.listing for change in (listing_change(fact, version=1) for fact in concert_facts())]
    halls = [_hall(number, dice) for number in range(HALLS)]
    known = [listing for listing in listings if listing is not None]
    for number in range(count):
        turn, place = divmod(number, len(known))
        listing = known[place]
        if turn:
            listing = _elsewhere(listing, dice.choice(halls), timedelta(days=dice.randrange(-3_000, 3_000)))
        yield ListingChange(event_id=number + 1, version=1, listing=listing)


def trace(seed: int, count: int) -> list[Criteria]:
    """Draw questions as people mix them: mostly words; some with facets, days, a place, or what is near."""
    dice = random.Random(seed)
    return [_question(dice) for _ in range(count)]


def _question(dice: random.Random) -> Criteria:
    texts = {"q": dice.choice(JUDGED).query}
    match dice.choices(("words", "facets", "days", "place", "near", "browse"), (60, 10, 10, 8, 7, 5))[0]:
        case "facets":
            return criteria(texts=texts, facets="category,city,month")
        case "days":
            return criteria(texts=texts, date_from="2005-01-01", date_to="2005-12-31", sort_by="date")
        case "place":
            return criteria(texts={**texts, "location": dice.choice(("Manhattan", "Tokyo", "Vienna"))})
        case "near":
            near = f"{dice.uniform(-60, 60):.2f},{dice.uniform(-180, 180):.2f}"
            return criteria(texts={}, near=near, radius_km="500", sort_by="distance")
        case "browse":
            return criteria(texts={}, page_no=dice.randrange(5))
        case _:
            return criteria(texts=texts)


def _hall(number: int, dice: random.Random) -> Venue:
    return Venue(
        id=10_000 + number, name=f"Concert Hall {number}", location=f"{number} Main Street",
        city=f"Town {number % 400}", region=None, country="Elsewhere", time_zone="UTC",
        latitude=dice.uniform(-60, 60), longitude=dice.uniform(-180, 180),
    )  # fmt: skip


def _elsewhere(listing: Listing, hall: Venue, by: timedelta) -> Listing:
    return replace(listing, venue=hall, starts_at=listing.starts_at + by, ends_at=listing.ends_at + by)


def _tantivy(folder: Path, stack: ExitStack, say: Say) -> Filled:
    process = psutil.Process()
    before = process.memory_info().rss
    engine = TantivyEngine.create(folder / "index")
    stack.callback(engine.close)
    seconds = _fill(engine, "tantivy", say)
    return Filled("tantivy", engine, seconds, lambda: (process.memory_info().rss - before) / MB, folder / "index")


def _server(kind: search_servers.Kind, folder: Path, stack: ExitStack, say: Say) -> Filled:
    files = folder / kind
    files.mkdir()
    server = search_servers.start_ready(kind, files, log=folder / f"{kind}.log", say=say, options=SERVER_OPTIONS)
    stack.callback(server.process.kill)
    wire = Wire(address_of(server.url))
    stack.callback(wire.close)
    wire.call("PUT", f"/{INDEX}", server_schema.index(incomplete=False))
    engine = ServerEngine(wire, INDEX)
    seconds = _fill(engine, kind, say)
    wire.call("POST", f"/{INDEX}/_flush")
    return Filled(kind, engine, seconds, lambda: _memory_of(server.process.pid), files / "data")


def _fill(engine: SearchEngine, name: str, say: Say) -> float:
    spent, batch = 0.0, list[ListingChange]()
    for change in changes(EVENTS):
        batch.append(change)
        if len(batch) == BATCH or change.event_id == EVENTS:
            began = time.perf_counter()
            apply(engine, batch)
            spent += time.perf_counter() - began
            batch = []
    say(f"{name}: {engine.count():,} events indexed in {spent:.0f} s")
    return spent


def _asks(engine: SearchEngine) -> Measure:
    rounds = iter(range(SEED, SEED + 1_000))

    async def measure() -> Sample:
        latencies = []
        for question in trace(next(rounds), QUESTIONS):
            began = time.perf_counter()
            _answer(engine, question, now=NOW)
            latencies.append(time.perf_counter() - began)
        return _sample(latencies)

    return measure


def _takes(kept: KeptAnswers, engine: SearchEngine) -> Measure:
    """Take answers that are there already."""
    rounds = iter(range(SEED, SEED + 1_000))

    async def measure() -> Sample:
        asked = [(name, one) for one in trace(next(rounds), QUESTIONS) if (name := question_of(one)) is not None]
        await kept.look(b"")
        for name, question in asked:
            if epoch := (await kept.look(name)).epoch:
                await kept.keep(name, _answer(engine, question, now=NOW), epoch=epoch, life_ms=30_000)
        latencies = []
        for name, _ in asked:
            began = time.perf_counter()
            if (await kept.look(name)).body is not None:
                latencies.append(time.perf_counter() - began)
        return _sample(latencies)

    return measure


def _answer(engine: SearchEngine, question: Criteria, *, now: datetime) -> bytes:
    found = engine.search(question, now=now)
    return msgspec.json.encode(page_of(Answer(found=found, degraded=False), question, now=now))


def _sample(latencies: Sequence[float]) -> Sample:
    ordered = sorted(latencies)
    return Sample(
        rate=len(ordered) / sum(ordered), p50_ms=1e3 * percentile(ordered, 0.5), p99_ms=1e3 * percentile(ordered, 0.99)
    )


def _beside(filled: Sequence[Filled], what: str, unit: str, figure: Callable[[Filled], float]) -> list[Record]:
    ours, *others = [(one.name, figure(one)) for one in filled]
    return [
        Record(
            name=f"{what}, {EVENTS:,} events, tantivy against {name}", value=round(ours[1], 1), unit=unit,
            reference=round(value, 1), ratio=round(ours[1] / value, 3),
        )
        for name, value in others
    ]  # fmt: skip


def _memory_of(pid: int) -> float:
    root = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (root, *root.children(recursive=True))) / MB


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
