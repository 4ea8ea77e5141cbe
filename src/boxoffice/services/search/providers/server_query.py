"""A plan in the query language that OpenSearch and Elasticsearch share, without scripts and without a query parser."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from boxoffice.services.search.domain.words import tolerance
from boxoffice.services.search.providers.contents import PIECE_SLOP, PIECES_FIELD, POINT_FIELD, seconds
from boxoffice.services.search.providers.engine import Matching
from boxoffice.services.search.providers.nearby import Area
from boxoffice.services.search.providers.plan import (
    CLOSE_SLOP,
    CLOSE_WEIGHT,
    MIN_PREFIX,
    ONE_ERROR_WEIGHT,
    OTHER_FIELDS,
    PHRASE_WEIGHT,
    PIECE_WEIGHT,
    PREFIX_WEIGHT,
    RARITY_WEIGHT,
    TWO_ERRORS_WEIGHT,
    UPCOMING_WEIGHT,
    WEIGHTS,
    Clause,
    Plan,
)
from boxoffice.services.search.providers.server_schema import SPELLING_FIELD

Json = dict[str, Any]

BM25_SCALE = 2.2
"""Lucene leaves out BM25's constant factor k1 + 1, which tantivy has."""

MAX_SPELLINGS = 100
"""Words of the index, nearest first, that one typed word may be meant to be; seen: at most a few dozen."""

Spellings = Mapping[str, Mapping[str, int]]
"""By typed word: the words of the index that it may be meant to be, each with its errors (1 or 2)."""

FOUND: Json = {"term": {"found": True}}


def query(plan: Plan, matching: Matching, spellings: Spellings, *, now: datetime) -> Json:
    """Write the query of a plan, the texts read in one way; ``spellings`` are empty where none is forgiven."""
    if plan.impossible:
        return {"match_none": {}}
    filters = [
        FOUND,
        *(span(one.field, one.lower, one.below) for one in plan.days),
        *({"term": {field: name}} for field, name in plan.exact),
    ]
    if plan.within is not None:
        filters.append({"terms": {POINT_FIELD: list(plan.within)}})
    must = [_clause(clause, matching, spellings) for clause in plan.clauses]
    nearer = [_flat(upcoming(now), UPCOMING_WEIGHT)] if plan.clauses else []
    return {"bool": {"filter": filters, "must": must, "should": nearer}}


def spellings(typed: Sequence[str]) -> Json:
    """Ask for the words of the index that some typed words may be meant to be, those that are forgiven errors.

    The server looks for each with one automaton at a time. As ``fuzzy`` queries it would build one for each word and
    field and keep them all: 50 times slower, and 150 MB for the longest question.
    """
    term = {
        "field": SPELLING_FIELD, "suggest_mode": "always", "prefix_length": 0,
        "size": MAX_SPELLINGS, "shard_size": MAX_SPELLINGS, "accuracy": 0.1,
        "max_term_freq": 0.999,  # a frequent word may be a mistake for another one, too
    }  # fmt: skip
    asked = {word: {"text": word, "term": term | {"max_edits": tolerance(word)}} for word in typed if tolerance(word)}
    return {"size": 0, "suggest": asked}


def both(*queries: Json) -> Json:
    """Demand all of several queries, without scores."""
    return {"bool": {"filter": list(queries)}}


def upcoming(now: datetime) -> Json:
    """Events that have not begun."""
    return span("starts_at", seconds(now), None)


def past(now: datetime) -> Json:
    """Events that have begun."""
    return span("starts_at", None, seconds(now))


def at(point: str) -> Json:
    """Events at a point."""
    return {"term": {POINT_FIELD: point}}


def inside(areas: Sequence[Area]) -> Json:
    """Events in any of some areas."""
    boxes = [
        both(span("latitude", area.south, area.north + 1), span("longitude", area.west, area.east + 1))
        for area in areas
    ]
    return {"bool": {"should": boxes, "minimum_should_match": 1}}


def span(field: str, lower: int | None, below: int | None) -> Json:
    """Values from ``lower`` on, ``below`` exclusive."""
    ends = {"gte": lower, "lt": below}
    return {"range": {field: {end: value for end, value in ends.items() if value is not None}}}


def _clause(clause: Clause, matching: Matching, spellings: Spellings) -> Json:
    last = clause.words[-1]
    word_queries = {
        word: _word(word, clause.fields, spellings.get(word, {}), may_go_on=word == last)
        for word in dict.fromkeys(clause.words)
    }
    needed = [word_queries[word] for word in dict.fromkeys(clause.needed)]
    extra = [one for word, one in word_queries.items() if word not in clause.needed]
    must = needed
    if matching == "some_words" and clause.loose and len(needed) > 1:
        must = [{"bool": {"should": needed, "minimum_should_match": len(needed) - 1}}]
    return {"bool": {"must": must, "should": [*extra, *_phrases(clause)]}}


def _word(word: str, fields: Sequence[str], spellings: Mapping[str, int], *, may_go_on: bool) -> Json:
    near = [word, *(meant for meant, errors in spellings.items() if errors == 1)]
    choices: list[Json] = []
    for field in fields:
        weight = WEIGHTS[field]
        choices.append(_whole(field, word, weight))
        if may_go_on and len(word) >= MIN_PREFIX:
            choices.append(_flat({"prefix": {field: {"value": word}}}, weight * PREFIX_WEIGHT))
        if len(near) > 1:
            choices.append(_flat({"terms": {field: near}}, weight * ONE_ERROR_WEIGHT))
        if len(spellings) >= len(near):  # some with two errors, too
            choices.append(_flat({"terms": {field: [word, *spellings]}}, weight * TWO_ERRORS_WEIGHT))
    return {"dis_max": {"queries": choices, "tie_breaker": OTHER_FIELDS}}


def _whole(field: str, word: str, weight: float) -> Json:
    rarity = {"term": {field: {"value": word, "boost": weight * RARITY_WEIGHT * BM25_SCALE}}}
    return {"bool": {"must": [_flat({"term": {field: {"value": word}}}, weight)], "should": [rarity]}}


def _phrases(clause: Clause) -> list[Json]:
    if len(clause.words) < 2:  # noqa: PLR2004 - one word is no phrase
        return []
    return [
        *_piece(clause),
        *(_phrase(field, clause.words, 0, WEIGHTS[field] * PHRASE_WEIGHT) for field in clause.fields),
    ]


def _piece(clause: Clause) -> list[Json]:
    if "works" not in clause.fields or len(clause.needed) < 2:  # noqa: PLR2004 - as above
        return []
    return [
        _phrase(PIECES_FIELD, clause.needed, slop, weight)
        for slop, weight in ((PIECE_SLOP, PIECE_WEIGHT), (CLOSE_SLOP, CLOSE_WEIGHT))
    ]


def _phrase(field: str, words: Sequence[str], slop: int, weight: float) -> Json:
    return _flat({"match_phrase": {field: {"query": " ".join(words), "slop": slop}}}, weight)


def _flat(inner: Json, weight: float) -> Json:
    return {"constant_score": {"filter": inner, "boost": weight}}
