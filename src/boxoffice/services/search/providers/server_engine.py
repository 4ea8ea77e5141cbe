"""A search engine on a server: OpenSearch or Elasticsearch, by one index or by the alias that stands for it.

Several processes may write. Each document carries a version of ours (``version_type=external``): whoever writes says
which one was read, and who comes second reads again and joins both. What is deleted stays as a document that cannot be
found, because the server forgets the versions of deleted documents after a minute.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec

from boxoffice.services.search.domain.criteria import MAX_FACET_VALUES, MAX_WORDS, Criteria, FacetName
from boxoffice.services.search.domain.listing import Entry, newest
from boxoffice.services.search.domain.words import MAX_ERRORS, distance, words
from boxoffice.services.search.providers import server_query as dsl
from boxoffice.services.search.providers.contents import (
    KEY_FIELDS,
    NAME_KEY,
    POINT_FIELD,
    SUGGEST_FIELD,
    SUGGESTED,
    seconds,
    spelled,
    suggest_key,
)
from boxoffice.services.search.providers.engine import (
    FacetValue,
    Found,
    Matching,
    SearchUnavailableError,
    Suggestion,
)
from boxoffice.services.search.providers.nearby import Area, page_by_distance
from boxoffice.services.search.providers.plan import WINDOW, Plan, enough, nearest_first, plan
from boxoffice.services.search.providers.server_query import Json, Spellings
from boxoffice.services.search.providers.server_schema import document, entry_of
from boxoffice.services.search.providers.suggesting import (
    HITS_FOR_SUGGESTIONS,
    LOOKED_AT,
    Counts,
    best,
    corrected,
    of_kind,
)
from boxoffice.services.search.providers.wire import Wire

BATCH = 500
"""Entries in one request: some megabytes, far below the 100 MB that a server takes."""
TRIES = 8
"""Rounds until every entry is in; each round but the last was lost to another writer of the same event."""
EXACT_COUNT = 100_000
"""Values that a shard counts before the counts are added: enough to be exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A question's texts as they were taken: the query, how many hits, the first ones, the facets."""

    matching: Matching
    query: Json
    total: int
    first: Sequence[Json]
    facets: Mapping[FacetName, Sequence[FacetValue]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One stretch of an ordered answer; several follow each other."""

    query: Json
    sort: Sequence[Json]


class ServerEngine:
    """A :class:`SearchEngine` on ``index``, which may be an alias. Threads may share it."""

    def __init__(self, wire: Wire, index: str) -> None:
        self._wire = wire
        self.index = index

    def count(self) -> int:
        """Count the entries, found or not."""
        return int(self._wire.call("GET", f"/{self.index}/_count")["count"])

    def close(self) -> None:
        """Do nothing: the wire belongs to whoever opened it."""

    def entries(self, event_ids: Sequence[int]) -> dict[int, Entry]:
        """Read what the index knows of some events, also what is not visible to searches yet."""
        found: dict[int, Entry] = {}
        for start in range(0, len(event_ids), BATCH):
            _, stored = self._stored(event_ids[start : start + BATCH])
            found |= {event_id: entry for event_id, (entry, _) in stored.items()}
        return found

    def everything(self, batch: int) -> Iterator[Sequence[Entry]]:
        """Walk through all entries by event id."""
        after = -1
        while True:
            asked = {"size": batch, "sort": [{"event_id": "asc"}], "search_after": [after], "_source": ["entry"]}
            entries = [_entry(hit) for hit in self._search({**asked, "query": {"match_all": {}}})["hits"]["hits"]]
            if not entries:
                return
            yield entries
            after = entries[-1].event_id

    def put(self, entries: Sequence[Entry]) -> None:
        """Write entries, each joined with what the index knows of it by then: the newest of both halves wins."""
        newer = {entry.event_id: entry for entry in entries}
        ids = list(newer)
        for start in range(0, len(ids), BATCH):
            self._put({event_id: newer[event_id] for event_id in ids[start : start + BATCH]})

    def search(self, criteria: Criteria, *, now: datetime) -> Found:
        """Find events."""
        read = plan(criteria, known=self._knows, points_in=self._points_in)
        by_closeness = criteria.order == "relevance" and bool(read.clauses)
        reading = self._read_texts(read, window=WINDOW if by_closeness else 0, facets=criteria.facets, now=now)
        if by_closeness:
            hits = self._closest(reading, criteria, now=now)
        elif criteria.order == "distance":
            hits = self._nearest(reading, read.within or {}, criteria, now=now)
        else:
            hits = self._ordered(_parts(reading.query, criteria, now=now), criteria)
        return Found(hits=hits, total=reading.total, matching=reading.matching, facets=reading.facets)

    def suggest(self, text: str, *, limit: int, now: datetime) -> Sequence[Suggestion]:
        """Complete what is being typed: names that can still be attended first; typing errors only if nothing fits."""
        typed = words(text)[:MAX_WORDS]
        if not typed:
            return []
        for pool in (dsl.both(dsl.FOUND, dsl.upcoming(now)), dsl.FOUND):
            if found := self._complete(typed, pool, limit=limit):
                return found
        hits = self.search(Criteria(q=text, page_size=HITS_FOR_SUGGESTIONS), now=now).hits
        return corrected(typed, hits, self._counts_of(dsl.FOUND), limit=limit)

    def _search(self, body: Json) -> Any:
        return self._wire.call("POST", f"/{self.index}/_search", body)

    def _stored(self, event_ids: Sequence[int]) -> tuple[str, dict[int, tuple[Entry, int]]]:
        """Read entries with their documents' versions, and the index that has them (an alias may move meanwhile)."""
        found: dict[int, tuple[Entry, int]] = {}
        index = self.index
        for one in self._wire.call("POST", f"/{self.index}/_mget", {"ids": [str(number) for number in event_ids]})[
            "docs"
        ]:
            if "error" in one:
                raise SearchUnavailableError("The index is not there; it is being looked after.")
            index = one["_index"]
            if one["found"]:
                entry = _entry(one)
                found[entry.event_id] = entry, int(one["_version"])
        return index, found

    def _put(self, newer: Mapping[int, Entry]) -> None:
        left = dict(newer)
        for _ in range(TRIES):
            lines: list[Json] = []
            index, stored = self._stored(list(left))
            for event_id, entry in left.items():
                known, version = stored.get(event_id, (None, 0))
                joined = entry if known is None else newest(known, entry)
                if joined != known:
                    action = {"_id": str(event_id), "version": version + 1, "version_type": "external"}
                    lines += [{"index": action}, document(joined)]
            if not lines:
                self._wire.call("POST", f"/{self.index}/_refresh")  # what another wrote is visible, too
                return
            # visible when we return: whoever was told that it is taken finds it
            answer = self._wire.bulk(index, lines, params={"refresh": "true"})
            left = {event_id: left[event_id] for event_id in _second(answer)}
            if not left:
                return
        raise SearchUnavailableError("Others write the same events all the time. Try again in a moment.")

    def _read_texts(self, read: Plan, *, window: int, facets: Sequence[FacetName], now: datetime) -> Reading:
        """Take the texts as typed; with too few hits forgive typing errors; with none leave a word out."""
        chosen: Reading | None = None
        spellings: Spellings = {}
        for matching in read.matchings:
            if enough(matching, chosen.total if chosen else None):
                break
            if matching == "forgiving":
                spellings = self._spellings(read)
            query = dsl.query(read, matching, spellings, now=now)
            answer = self._search(_window(query, 0, window) | {"aggs": {name: _terms(name) for name in facets}})
            total = int(answer["hits"]["total"]["value"])
            if chosen is None or total > chosen.total:
                chosen = Reading(
                    matching=matching, query=query, total=total, first=answer["hits"]["hits"],
                    facets={name: _values(name, answer["aggregations"][name]["buckets"]) for name in facets},
                )  # fmt: skip
        assert chosen is not None
        return chosen

    def _spellings(self, read: Plan) -> Spellings:
        """Find the words of the index that the typed ones may be meant to be."""
        asked = dsl.spellings(list(dict.fromkeys(word for clause in read.clauses for word in clause.words)))
        if not asked["suggest"]:
            return {}
        found = self._search(asked)["suggest"]
        return {
            typed: {one["text"]: distance(typed, one["text"], MAX_ERRORS) for one in answers[0]["options"]}
            for typed, answers in found.items()
            if answers
        }

    def _closest(self, reading: Reading, criteria: Criteria, *, now: datetime) -> list[Entry]:
        """Order by closeness in steps, then upcoming before past, then the nearest date."""
        begin, end = criteria.offset, min(criteria.offset + criteria.page_size, reading.total)
        closest, page = float(reading.first[0]["sort"][0]) if reading.first else 1.0, []
        for start in range(begin // WINDOW * WINDOW, end, WINDOW):
            hits = reading.first
            if start:
                hits = self._search(_window(reading.query, start, WINDOW))["hits"]["hits"]
            dated = [(float(score), int(at), int(event_id)) for score, event_id, at in (hit["sort"] for hit in hits)]
            page += nearest_first(dated, best=closest, instant=seconds(now))[max(0, begin - start) : end - start]
        known = self.entries(page)
        # one that was deleted between the two questions is left out
        return [known[event_id] for event_id in page if event_id in known and known[event_id].listing is not None]

    def _ordered(self, parts: Sequence[Part], criteria: Criteria) -> list[Entry]:
        page: list[Entry] = []
        skip = criteria.offset
        for part in parts:
            asked = {"query": part.query, "sort": part.sort, "from": skip, "size": criteria.page_size - len(page)}
            answer = self._search({**asked, "_source": ["entry"], "track_total_hits": True})["hits"]
            page += [_entry(hit) for hit in answer["hits"]]
            if len(page) >= criteria.page_size:
                break
            skip = max(0, skip - int(answer["total"]["value"]))
        return page

    def _nearest(
        self, reading: Reading, within: Mapping[str, float], criteria: Criteria, *, now: datetime
    ) -> list[Entry]:
        """Order by distance; at one point upcoming before past, then the nearest date."""
        if not within:
            return []
        times = {"ahead": dsl.upcoming(now), "past": dsl.past(now)}
        asked = {
            name: {"filter": when, "aggs": {"points": _keys(POINT_FIELD, len(within))}} for name, when in times.items()
        }
        answer = self._search({"size": 0, "query": reading.query, "aggs": asked})["aggregations"]
        ahead, past = (_counts(answer[name]["points"]["buckets"]) for name in ("ahead", "past"))
        lines: list[Json] = []
        for stretch in page_by_distance(criteria, within, ahead=ahead, past=past):
            when, direction = (times["ahead"], "asc") if stretch.ahead else (times["past"], "desc")
            query = dsl.both(reading.query, when, dsl.at(stretch.point))
            sort = [{"starts_at": direction}, {"event_id": "asc"}]
            lines += [
                {},
                {"query": query, "sort": sort, "from": stretch.skip, "size": stretch.take, "_source": ["entry"]},
            ]
        if not lines:
            return []
        answers = self._wire.many(self.index, lines)["responses"]
        if any("error" in one for one in answers):
            raise SearchUnavailableError("The index does not answer as it must. Try again in a moment.")
        return [_entry(hit) for one in answers for hit in one["hits"]["hits"]]

    def _points_in(self, areas: Sequence[Area], most: int) -> list[str]:
        query = dsl.both(dsl.FOUND, dsl.inside(areas))
        asked = {"size": 0, "query": query, "aggs": {"points": _keys(POINT_FIELD, most)}}
        return list(_counts(self._search(asked)["aggregations"]["points"]["buckets"]))

    def _knows(self, field: str, name: str) -> bool:
        """Tell whether any event has exactly a name in a field."""
        asked = {"query": {"term": {field: name}}, "size": 0, "terminate_after": 1}
        return int(self._search(asked)["hits"]["total"]["value"]) > 0

    def _complete(self, typed: Sequence[str], pool: Json, *, limit: int) -> list[Suggestion]:
        """List names that contain the typed words in a row, the last one perhaps unfinished."""
        starts = {kind: suggest_key(kind, typed) for kind in SUGGESTED}
        has_one = {"bool": {"should": [{"prefix": {SUGGEST_FIELD: {"value": start}}} for start in starts.values()]}}
        aggregations = {
            kind: _keys(SUGGEST_FIELD, LOOKED_AT, include=f"{literally(start)}.*") for kind, start in starts.items()
        }
        answer = self._search({"size": 0, "query": dsl.both(pool, has_one), "aggs": aggregations})["aggregations"]
        found: list[Suggestion] = []
        for kind in SUGGESTED:
            found += of_kind(kind, [(one["key"], int(one["doc_count"])) for one in answer[kind]["buckets"]])
        return best(found, limit)

    def _counts_of(self, pool: Json) -> Counts:
        def count(keys: Sequence[str]) -> Mapping[str, int]:
            asked = {"size": 0, "query": pool, "aggs": {"keys": _keys(SUGGEST_FIELD, len(keys), include=list(keys))}}
            return _counts(self._search(asked)["aggregations"]["keys"]["buckets"])

        return count


def _entry(hit: Any) -> Entry:
    try:
        return entry_of(hit["_source"])
    except (KeyError, msgspec.ValidationError) as error:
        raise SearchUnavailableError("The index holds what Boxoffice did not write; rebuild it.") from error


def _second(answer: Any) -> list[int]:
    """List the events whose documents another writer changed since we read them.

    :raises SearchUnavailableError: when one was refused for another reason.
    """
    again = []
    for one in (item["index"] for item in answer["items"]) if answer["errors"] else ():
        if one["status"] == HTTPStatus.CONFLICT:
            again.append(int(one["_id"]))
        elif "error" in one:
            raise SearchUnavailableError(f"The index does not take event {one['_id']}: {one['error'].get('reason')}")
    return again


def _window(query: Json, start: int, size: int) -> Json:
    """Ask for a window of hits, closest first; each one's sort values are its score, event id and start."""
    sort = [{"_score": "desc"}, {"event_id": "asc"}, {"starts_at": "asc"}]
    return {"query": query, "from": start, "size": size, "_source": False, "track_total_hits": True, "sort": sort}


def _parts(query: Json, criteria: Criteria, *, now: datetime) -> list[Part]:
    direction, same = "desc" if criteria.descending else "asc", {"event_id": "asc"}
    match criteria.order:
        case "date":
            return [Part(query=query, sort=[{"starts_at": direction}, same])]
        case "name":
            return [Part(query=query, sort=[{NAME_KEY: direction}, same])]
        case "price":
            by_price = {"price": {"order": direction, "missing": "_last"}}
            return [Part(query=query, sort=[by_price, {"starts_at": "asc"}, same])]
        case _:
            return [
                Part(query=dsl.both(query, dsl.upcoming(now)), sort=[{"starts_at": "asc"}, same]),
                Part(query=dsl.both(query, dsl.past(now)), sort=[{"starts_at": "desc"}, same]),
            ]


def _terms(name: FacetName) -> Json:
    return {"terms": {"field": KEY_FIELDS[name], "size": MAX_FACET_VALUES, "shard_size": EXACT_COUNT}}


def _keys(field: str, size: int, **more: str | list[str]) -> Json:
    return {"terms": {"field": field, "size": size, "shard_size": EXACT_COUNT, **more}}


def _counts(buckets: Sequence[Any]) -> dict[str, int]:
    return {one["key"]: int(one["doc_count"]) for one in buckets}


def _values(name: FacetName, buckets: Sequence[Any]) -> list[FacetValue]:
    found = [FacetValue(value=spelled(bucket["key"]), count=int(bucket["doc_count"])) for bucket in buckets]
    return sorted(found, key=lambda one: one.value) if name in {"month", "year"} else found


def literally(text: str) -> str:
    """Take every sign of a key as itself in Lucene's regular expressions."""
    return re.sub(r"([^\w ])", r"\\\1", text)
