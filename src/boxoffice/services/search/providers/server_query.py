"""A plan in the query language that OpenSearch and Elasticsearch share, without scripts and without a query parser."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from boxoffice.services.search.domain.words import tolerance
from boxoffice.services.search.providers.contents import PIECE_SLOP, PIECES_FIELD, seconds
from boxoffice.services.search.providers.engine import Matching
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

Json = dict[str, Any]

BM25_SCALE = 2.2
"""Lucene leaves out BM25's constant factor k1 + 1, which tantivy has."""

TWICE_FORGIVEN = 64
"""Words times fields of a question that are forgiven two errors, the first ones; others are forgiven one. The server
keeps an automaton for each, some 300 kB for two errors in a long word: 20 MB a question."""

FOUND: Json = {"term": {"found": True}}


def query(plan: Plan, matching: Matching, *, now: datetime) -> Json:
    """Write the query of a plan, the texts read in one way."""
    if plan.impossible:
        return {"match_none": {}}
    filters = [
        FOUND,
        *(span(one.field, one.lower, one.below) for one in plan.days),
        *({"term": {field: name}} for field, name in plan.exact),
    ]
    must = [
        _clause(clause, matching, twice=twice)
        for clause, twice in zip(plan.clauses, _twice_forgiven(plan.clauses), strict=True)
    ]
    nearer = [_flat(upcoming(now), UPCOMING_WEIGHT)] if plan.clauses else []
    return {"bool": {"filter": filters, "must": must, "should": nearer}}


def both(*queries: Json) -> Json:
    """Demand all of several queries, without scores."""
    return {"bool": {"filter": list(queries)}}


def upcoming(now: datetime) -> Json:
    """Events that have not begun."""
    return span("starts_at", seconds(now), None)


def past(now: datetime) -> Json:
    """Events that have begun."""
    return span("starts_at", None, seconds(now))


def span(field: str, lower: int | None, below: int | None) -> Json:
    """Values from ``lower`` on, ``below`` exclusive."""
    ends = {"gte": lower, "lt": below}
    return {"range": {field: {end: value for end, value in ends.items() if value is not None}}}


def _twice_forgiven(clauses: Sequence[Clause]) -> Iterator[frozenset[str]]:
    """Name the words of each clause that two errors are forgiven."""
    left = TWICE_FORGIVEN
    for clause in clauses:
        long = [word for word in dict.fromkeys(clause.words) if tolerance(word) > 1]
        chosen = frozenset(long[: max(0, left) // len(clause.fields)])
        left -= len(chosen) * len(clause.fields)
        yield chosen


def _clause(clause: Clause, matching: Matching, *, twice: frozenset[str]) -> Json:
    last = clause.words[-1]
    word_queries = {
        word: _word(
            word,
            clause.fields,
            errors=0 if matching == "exact" else tolerance(word) if word in twice else min(1, tolerance(word)),
            may_go_on=word == last,
        )
        for word in dict.fromkeys(clause.words)
    }
    needed = [word_queries[word] for word in dict.fromkeys(clause.needed)]
    extra = [one for word, one in word_queries.items() if word not in clause.needed]
    must = needed
    if matching == "some_words" and clause.loose and len(needed) > 1:
        must = [{"bool": {"should": needed, "minimum_should_match": len(needed) - 1}}]
    return {"bool": {"must": must, "should": [*extra, *_phrases(clause)]}}


def _word(word: str, fields: Sequence[str], *, errors: int, may_go_on: bool) -> Json:
    choices: list[Json] = []
    for field in fields:
        weight = WEIGHTS[field]
        choices.append(_whole(field, word, weight))
        if may_go_on and len(word) >= MIN_PREFIX:
            choices.append(_flat({"prefix": {field: {"value": word}}}, weight * PREFIX_WEIGHT))
        if errors:
            choices.append(_fuzzy(field, word, 1, weight * ONE_ERROR_WEIGHT))
        if errors > 1:
            choices.append(_fuzzy(field, word, errors, weight * TWO_ERRORS_WEIGHT))
    return {"dis_max": {"queries": choices, "tie_breaker": OTHER_FIELDS}}


def _whole(field: str, word: str, weight: float) -> Json:
    rarity = {"term": {field: {"value": word, "boost": weight * RARITY_WEIGHT * BM25_SCALE}}}
    return {"bool": {"must": [_flat({"term": {field: {"value": word}}}, weight)], "should": [rarity]}}


def _fuzzy(field: str, word: str, errors: int, weight: float) -> Json:
    # rewritten to a set of documents: by default only the 50 nearest words of the index would be looked for
    fuzzy = {"value": word, "fuzziness": errors, "transpositions": True, "rewrite": "constant_score"}
    return _flat({"fuzzy": {field: fuzzy}}, weight)


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
