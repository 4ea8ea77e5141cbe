"""The embedded search engine: tantivy, a Rust library in this process, on one folder.

One process writes (tantivy's own lock on the folder), any number read. A commit is durable before it is visible.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

import msgspec
import tantivy
from tantivy import Query

from boxoffice.runtime.telemetry import log
from boxoffice.services.search.domain.criteria import MAX_FACET_VALUES, MAX_WORDS, Criteria, FacetName
from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.domain.words import words
from boxoffice.services.search.providers.contents import KEY_FIELDS, NAME_KEY, POINT_FIELD, seconds, spelled
from boxoffice.services.search.providers.engine import (
    BrokenIndexError,
    FacetValue,
    Found,
    IndexInUseError,
    Matching,
    SearchUnavailableError,
    Suggestion,
)
from boxoffice.services.search.providers.nearby import Area, page_by_distance
from boxoffice.services.search.providers.plan import WINDOW, Plan, enough, nearest_first, plan
from boxoffice.services.search.providers.suggesting import HITS_FOR_SUGGESTIONS, corrected
from boxoffice.services.search.providers.tantivy_query import QueryBuilder
from boxoffice.services.search.providers.tantivy_schema import SCHEMA_VERSION, document, entry_of, register, schema
from boxoffice.services.search.providers.tantivy_suggest import complete, counts_of

WRITER_BYTES = 30_000_000
"""The writer's buffer; a batch of a few thousand events fits."""
EXACT_COUNT_SEGMENT = 100_000
"""Facet values that each segment counts before the counts are added: enough to be exact."""
VERSION_FILE: Final = "schema_version"

_log = log(__name__)

Address = Any
"""A tantivy document address; the library's types are opaque."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stretch of an ordered answer: the hits of a query, by a field; several follow each other."""

    query: Any
    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A question's texts as they were taken, and the first hits, closest first."""

    matching: Matching
    query: Any
    total: int
    first: Sequence[tuple[float, Address]]


class TantivyEngine:
    """A :class:`SearchEngine` on one folder. Without ``writing`` it can only be read."""

    def __init__(self, folder: Path, *, writing: bool) -> None:
        self.folder = folder
        with _opening():
            if (folder / VERSION_FILE).read_text() != str(SCHEMA_VERSION):
                raise BrokenIndexError("the index is of another version")
            self._index = tantivy.Index.open(str(folder))
            register(self._index)
            self._index.config_reader(reload_policy="commit")
            self._schema = self._index.schema
            self._claim, self._write = Lock(), Lock()
            self._reload()
            self._searcher()
            self._writer = _writer(self._index) if writing else None
        self._build = QueryBuilder(self._schema)

    @classmethod
    def create(cls, folder: Path) -> "TantivyEngine":
        """Make an empty index in a folder of its own, and write to it."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tantivy.Index(schema(), path=str(folder))
        (folder / VERSION_FILE).write_text(str(SCHEMA_VERSION))
        return cls(folder, writing=True)

    def count(self) -> int:
        """Count the entries, found or not."""
        return int(self._searcher().num_docs)

    def close(self) -> None:
        """Let go of the index."""
        with self._write:
            if self._writer is not None:
                self._writer.wait_merging_threads()
                self._writer = None

    def entries(self, event_ids: Sequence[int]) -> dict[int, Entry]:
        """Read what the index knows of some events."""
        if not event_ids:
            return {}
        with _asking():
            searcher = self._searcher()
            wanted = Query.term_set_query(self._schema, "event_id", list(event_ids))
            hits = searcher.search(wanted, limit=len(event_ids) + 1).hits
            known = [entry_of(searcher.doc(address)) for _, address in hits]
        return {entry.event_id: entry for entry in known}

    def everything(self, batch: int) -> Iterator[Sequence[Entry]]:
        """Walk through all entries as they are now, by event id."""
        searcher, after = self._searcher(), -1
        while True:
            with _asking():
                rest = Query.range_query(
                    self._schema, "event_id", tantivy.FieldType.Integer, after, None, include_lower=False
                )
                hits = searcher.search(rest, limit=batch, order_by_field="event_id", order=tantivy.Order.Asc).hits
                entries = [entry_of(searcher.doc(address)) for _, address in hits]
            if not entries:
                return
            yield entries
            after = entries[-1].event_id

    def put(self, entries: Sequence[Entry]) -> None:
        """Replace entries in one durable step."""
        with self._write, _asking():
            if self._writer is None:
                raise IndexInUseError("this process does not write to the index")
            for entry in entries:
                self._writer.delete_documents_by_term("event_id", entry.event_id)
                self._writer.add_document(document(entry))
            self._writer.commit()
            self._reload()

    def search(self, criteria: Criteria, *, now: datetime) -> Found:
        """Find events."""
        with _asking():
            searcher = self._searcher()
            read = plan(
                criteria,
                known=lambda field, name: bool(searcher.doc_freq(field, name)),
                points_in=lambda areas, most: self._points_in(searcher, areas, most),
            )
            by_closeness = criteria.order == "relevance" and bool(read.clauses)
            reading = self._read_texts(searcher, read, limit=WINDOW if by_closeness else 1, now=now)
            if by_closeness:
                page = self._closest(searcher, reading, criteria, now=now)
            elif criteria.order == "distance":
                page = self._nearest(searcher, reading, read.within or {}, criteria, now=now)
            else:
                page = self._ordered(searcher, self._parts(reading.query, criteria, now=now), criteria)
            return Found(
                hits=[entry_of(searcher.doc(address)) for address in page],
                total=reading.total,
                matching=reading.matching,
                facets=self._facets(searcher, reading.query, criteria.facets),
            )

    def suggest(self, text: str, *, limit: int, now: datetime) -> Sequence[Suggestion]:
        """Complete what is being typed: names that can still be attended first; typing errors only if nothing fits."""
        typed = words(text)[:MAX_WORDS]
        if not typed:
            return []
        with _asking():
            searcher = self._searcher()
            found_only = self._build.found()
            pools = (self._build.both(found_only, self._build.upcoming(now)), found_only)
            for pool in pools:
                if found := complete(searcher, typed, pool, limit=limit):
                    return found
        hits = self.search(Criteria(q=text, page_size=HITS_FOR_SUGGESTIONS), now=now).hits
        with _asking():
            return corrected(typed, hits, counts_of(searcher, found_only), limit=limit)

    def _searcher(self) -> Any:
        """Take a view of the index as it is now; the library refuses two threads on one index object or writer."""
        with self._claim:
            return self._index.searcher()

    def _reload(self) -> None:
        with self._claim:
            self._index.reload()

    def _read_texts(self, searcher: Any, read: Plan, *, limit: int, now: datetime) -> Reading:
        """Take the texts as typed; with too few hits forgive typing errors; with none leave a word out."""
        best: Reading | None = None
        for matching in read.matchings:
            if enough(matching, best.total if best else None):
                break
            query = self._build.query(read, matching, now=now)
            result = searcher.search(query, limit=limit)
            if best is None or int(result.count) > best.total:
                best = Reading(matching=matching, query=query, total=int(result.count), first=result.hits)
        assert best is not None
        return best

    def _closest(self, searcher: Any, reading: Reading, criteria: Criteria, *, now: datetime) -> list[Address]:
        """Order by closeness in steps, then upcoming before past, then the nearest date."""
        begin, end = criteria.offset, min(criteria.offset + criteria.page_size, reading.total)
        best, instant = float(reading.first[0][0]) if reading.first else 1.0, seconds(now)
        page: list[Address] = []
        for start in range(begin // WINDOW * WINDOW, end, WINDOW):
            hits = reading.first if start == 0 else searcher.search(reading.query, WINDOW, False, offset=start).hits
            dates = searcher.fast_field_values("starts_at", [address for _, address in hits])
            dated = [(float(score), int(date), address) for (score, address), date in zip(hits, dates, strict=True)]
            page += nearest_first(dated, best=best, instant=instant)[max(0, begin - start) : end - start]
        return page

    def _points_in(self, searcher: Any, areas: Sequence[Area], most: int) -> list[str]:
        return list(_points(searcher, self._build.both(self._build.found(), self._build.inside(areas)), most))

    def _nearest(
        self, searcher: Any, reading: Reading, within: Mapping[str, float], criteria: Criteria, *, now: datetime
    ) -> list[Address]:
        """Order by distance; at one point upcoming before past, then the nearest date."""
        ahead, past = (
            self._build.both(reading.query, when) for when in (self._build.upcoming(now), self._build.past(now))
        )
        counted = [_points(searcher, query, len(within)) for query in (ahead, past)]
        page: list[Address] = []
        for stretch in page_by_distance(criteria, within, ahead=counted[0], past=counted[1]):
            page += [
                address
                for _, address in searcher.search(
                    self._build.both(ahead if stretch.ahead else past, self._build.at(stretch.point)),
                    limit=stretch.take,
                    offset=stretch.skip,
                    order_by_field="starts_at",
                    order=tantivy.Order.Asc if stretch.ahead else tantivy.Order.Desc,
                ).hits
            ]
        return page

    def _parts(self, query: Any, criteria: Criteria, *, now: datetime) -> list[Part]:
        build, down = self._build, criteria.descending
        match criteria.order:
            case "date":
                return [Part(query=query, field="starts_at", descending=down)]
            case "name":
                return [Part(query=query, field=NAME_KEY, descending=down)]
            case "price":
                return [
                    Part(query=build.both(query, build.priced(yes=True)), field="price", descending=down),
                    Part(query=build.both(query, build.priced(yes=False)), field="starts_at"),
                ]
            case _:
                return [
                    Part(query=build.both(query, build.upcoming(now)), field="starts_at"),
                    Part(query=build.both(query, build.past(now)), field="starts_at", descending=True),
                ]

    def _ordered(self, searcher: Any, parts: Sequence[Part], criteria: Criteria) -> list[Address]:
        page: list[Address] = []
        skip = criteria.offset
        for part in parts:
            result = searcher.search(
                part.query,
                limit=max(1, criteria.page_size - len(page)),
                offset=skip,
                order_by_field=part.field,
                order=tantivy.Order.Desc if part.descending else tantivy.Order.Asc,
            )
            page += [address for _, address in result.hits]
            if len(page) >= criteria.page_size:
                break
            skip = max(0, skip - int(result.count))
        return page

    def _facets(self, searcher: Any, query: Any, names: Sequence[FacetName]) -> dict[FacetName, Sequence[FacetValue]]:
        if not names:
            return {}
        wanted = {name: _terms(KEY_FIELDS[name]) for name in names}
        answer = searcher.aggregate(query, wanted)
        return {name: _facet_values(name, answer[name]["buckets"]) for name in names}


def _points(searcher: Any, query: Any, most: int) -> dict[str, int]:
    """Count the hits of a query at each point, for so many points at most."""
    if not most:
        return {}
    buckets = searcher.aggregate(query, {"points": _terms(POINT_FIELD, most)})["points"]["buckets"]
    return {bucket["key"]: int(bucket["doc_count"]) for bucket in buckets}


def _terms(field: str, most: int = MAX_FACET_VALUES) -> dict[str, Any]:
    return {"terms": {"field": field, "size": most, "segment_size": EXACT_COUNT_SEGMENT}}


def _facet_values(name: FacetName, buckets: Sequence[Any]) -> list[FacetValue]:
    found = [FacetValue(value=spelled(bucket["key"]), count=int(bucket["doc_count"])) for bucket in buckets]
    return sorted(found, key=lambda one: one.value) if name in {"month", "year"} else found


def _writer(index: Any) -> Any:
    try:
        return index.writer(heap_size=WRITER_BYTES, num_threads=1)
    except ValueError as error:
        if "LockBusy" in str(error) or "lock" in str(error).lower():
            raise IndexInUseError("another process writes to this index") from error
        raise


class _failing_as:  # noqa: N801 - reads as a phrase where it is used
    """Turn whatever the library raises into one error of ours.

    A panic of the Rust library is no ``Exception``: left alone it would take the whole process along.
    """

    def __init__(self, refusal: Callable[[], Exception]) -> None:
        self._refusal = refusal

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate what was raised, if it is the library's."""
        if isinstance(error, ValueError | OSError | msgspec.DecodeError) or type(error).__name__ == "PanicException":
            _log.warning("index.failed", error=str(error))
            raise self._refusal() from error


def _asking() -> _failing_as:
    return _failing_as(lambda: SearchUnavailableError("The index cannot be read; it is being looked after."))


def _opening() -> _failing_as:
    return _failing_as(lambda: BrokenIndexError("the index cannot be opened"))
