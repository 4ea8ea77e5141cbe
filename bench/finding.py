"""Search latency on all the real concerts: our index against pg_trgm over the same words in PostgreSQL."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec

from bench.house import House
from boxoffice.contracts.messages import catalog
from boxoffice.runtime.database import Database
from boxoffice.services.catalog.usecases.import_concerts import import_concerts
from boxoffice.services.search.domain.criteria import criteria
from boxoffice.services.search.domain.listing import Listing, ListingChange
from boxoffice.services.search.domain.words import folded
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import apply

FILES = sorted((Path(__file__).parents[1] / "data" / "concerts").glob("*.json.gz"))
BATCH = 500
PAGE = 20
ROUNDS = 3
QUERIES = (
    "beethoven", "bethoven", "mahler", "mahlr", "dvořák", "dvorak new world", "tchaikovski",
    "tchaikovsky violin concerto",
    "rachmaninov", "rachmaninoff piano concerto", "shostakovitch", "sibelus", "prokofief romeo", "stravinski firebird",
    "messiah", "handel messiah", "symphony no 9", "beethoven 9", "eroica", "pictures at an exibition", "nutcraker",
    "west side story", "porgy and bess", "yo-yo ma", "yoyo ma", "anne sophie mutter", "kurt masur", "lorin mazel",
    "alan gilbert mahler", "carnegie hall", "prospect park", "tokyo", "hong kong", "young people's concert",
    "summertime classics", "avery fisher hall mozart", "philharmonic", "zzzzzz", "requiem", "gershwin rhapsody",
)  # fmt: skip

TABLE = "CREATE TABLE concerts (event_id bigint PRIMARY KEY, words text NOT NULL)"
INDEX = "CREATE INDEX concerts_words ON concerts USING gin (words gin_trgm_ops)"
TRIGRAMS = "SELECT event_id FROM concerts WHERE $1 <% words ORDER BY $1 <<-> words LIMIT 20"
FACTS = "SELECT body::text, version FROM outbox WHERE topic = $1"


@dataclass(frozen=True)
class Latencies:
    """Milliseconds of one way of searching."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Finding:
    """What was measured."""

    concerts: int
    index_seconds: float
    index: Latencies
    trigrams: Latencies


async def search_latency(house: House) -> Finding:
    """Load all the concerts through the catalog, index what it tells, and ask both the same."""
    changes = await _told(house)
    engine = TantivyEngine.create(house.folder / "index")
    began = time.perf_counter()
    for start in range(0, len(changes), BATCH):
        apply(engine, changes[start : start + BATCH])
    index_seconds = time.perf_counter() - began
    connection = await _table(house, changes)
    ours: list[float] = []
    theirs: list[float] = []
    now = datetime.now(UTC)
    for number in range(ROUNDS + 1):
        for query in QUERIES:
            began = time.perf_counter()
            engine.search(criteria(texts={"q": query}, page_size=PAGE), now=now)
            between = time.perf_counter()
            await connection.fetch(TRIGRAMS, folded(query))
            if number:  # the first round warms up
                ours.append((between - began) * 1e3)
                theirs.append((time.perf_counter() - between) * 1e3)
    await connection.close()
    engine.close()
    return Finding(
        concerts=len(changes), index_seconds=index_seconds, index=_latencies(ours), trigrams=_latencies(theirs)
    )


async def _told(house: House) -> list[ListingChange]:
    async with Database.open(house.catalog_url, size=2, name="bench", statement_timeout_ms=0) as database:
        await import_concerts(database, FILES, organisation=uuid4())
        records = await database.fetch(FACTS, catalog.TOPIC)
    facts = [(msgspec.json.decode(body, type=catalog.EventFact), version) for body, version in records]
    return [listing_change(fact, version=version) for fact, version in facts]


async def _table(house: House, changes: Sequence[ListingChange]) -> asyncpg.Connection:
    connection = await asyncpg.connect(house.admin_url)
    await connection.execute("CREATE EXTENSION pg_trgm")
    await connection.execute(TABLE)
    rows = [(change.event_id, _words(change.listing)) for change in changes if change.listing]
    await connection.copy_records_to_table("concerts", records=rows)
    await connection.execute(INDEX)
    await connection.execute("ANALYZE concerts")
    return connection


def _words(listing: Listing) -> str:
    """The same words that the index has."""
    parts = (
        listing.name, *listing.composers, *listing.titles, *listing.performers, listing.category or "",
        listing.venue.name, listing.venue.city or "", listing.venue.country or "", listing.description,
    )  # fmt: skip
    return folded(" ".join(parts))


def _latencies(found: Sequence[float]) -> Latencies:
    return Latencies(p50=statistics.median(found), p99=statistics.quantiles(found, n=100)[98])
