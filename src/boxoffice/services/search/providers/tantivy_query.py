"""A question as tantivy query objects. User text never reaches a query parser: only folded words get here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tantivy import FieldType, Occur, Query

from boxoffice.services.search.domain.criteria import MAX_WORDS, Criteria
from boxoffice.services.search.domain.words import OPTIONAL, tolerance, words
from boxoffice.services.search.providers.engine import Matching
from boxoffice.services.search.providers.tantivy_schema import MAX_KEY, PIECE_SLOP, PIECES_FIELD, TEXT_FIELDS, seconds

WEIGHTS: dict[str, float] = {
    "name": 8.0, "composers": 6.0, "performers": 5.0, "works": 4.0, "category": 3.0, "venue": 3.0, "place": 2.0,
    "description": 1.0,
}  # fmt: skip
"""What a word is worth by where it stands: the name of the event above who wrote or plays it, above where it is."""
RARITY_WEIGHT = 0.1
"""How much of BM25 (rare words, short fields, repetition) counts on top; more of it would let a rare mention in a
long programme win over the composer of that name."""
PREFIX_WEIGHT = 0.4
"""A word that only begins as typed, against a whole word in the same place."""
ONE_ERROR_WEIGHT, TWO_ERRORS_WEIGHT = 0.5, 0.25
PHRASE_WEIGHT = 0.5
"""Words that stand side by side as typed, on top of what each of them is worth."""
PIECE_WEIGHT = 4.0
"""Words that belong to one piece: Beethoven's ninth, not Dvořák's beside Beethoven's first."""
CLOSE_SLOP, CLOSE_WEIGHT = 2, 2.0
"""Closer still: "beethoven 9" is the symphony no. 9 before a trio for violin, viola and cello, op. 9."""
OTHER_FIELDS = 0.1
"""How much a word's second-best field adds to its best."""
MIN_PREFIX = 2
"""Letters from which the last word may be a beginning."""
UPCOMING_WEIGHT = 0.5
"""Among equals what can still be attended comes first, even before the exact order within a page is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """Words that an event must have in some of the fields. Only in a ``loose`` one may a word be missing."""

    words: tuple[str, ...]
    fields: tuple[str, ...]
    loose: bool = False

    @property
    def needed(self) -> tuple[str, ...]:
        """The words that count; all of them when none carries a meaning of its own."""
        return tuple(word for word in self.words if word not in OPTIONAL) or self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The texts of a question, and the filters that hold however the texts are read."""

    clauses: tuple[Clause, ...]
    filters: Sequence[Any]
    impossible: bool = False
    """A text was given that has no word in it ("???"): nothing can match."""

    @property
    def matchings(self) -> tuple[Matching, ...]:
        """How the texts may be read, strictest first."""
        if not self.clauses:
            return ("exact",)
        if any(clause.loose and len(clause.needed) > 1 for clause in self.clauses):
            return ("exact", "forgiving", "some_words")
        return ("exact", "forgiving")


class QueryBuilder:
    """Builds queries for one schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def plan(self, criteria: Criteria, *, known: "Known") -> Plan:
        """Read the texts and filters of a question."""
        given = (
            (criteria.q, TEXT_FIELDS, True),
            (criteria.keywords, TEXT_FIELDS, True),
            (criteria.event_name, ("name",), False),
            (criteria.location, ("place",), False),
            (criteria.description, ("description",), False),
        )
        texts = [(words(text)[:MAX_WORDS], fields, loose) for text, fields, loose in given if text]
        filters = [self.found(), *self._days(criteria)]
        for text, field in ((criteria.venue_name, "venue"), (criteria.category, "category")):
            if text:
                exact = " ".join(words(text))[:MAX_KEY]
                if exact and known.has(f"{field}_exact", exact):
                    filters.append(self._term(f"{field}_exact", exact))
                else:
                    texts.append((words(text)[:MAX_WORDS], (field,), False))
        return Plan(
            clauses=tuple(Clause(words=tuple(found), fields=fields, loose=loose) for found, fields, loose in texts),
            filters=filters,
            impossible=any(not found for found, _, _ in texts),
        )

    def query(self, plan: Plan, matching: Matching, *, now: datetime) -> Any:
        """Build the query of a plan, the texts read in one way."""
        if plan.impossible:
            return Query.empty_query()
        parts = [(Occur.Must, Query.const_score_query(one, 0.0)) for one in plan.filters]
        parts += [(Occur.Must, self.clause(clause, matching)) for clause in plan.clauses]
        if plan.clauses:
            parts.append((Occur.Should, Query.const_score_query(self.upcoming(now), UPCOMING_WEIGHT)))
        return Query.boolean_query(parts)

    def clause(self, clause: Clause, matching: Matching) -> Any:
        """Build the query of one text."""
        last = clause.words[-1]
        word_queries = {
            word: self._word(word, clause.fields, matching, may_go_on=word == last)
            for word in dict.fromkeys(clause.words)
        }
        needed = [word_queries[word] for word in dict.fromkeys(clause.needed)]
        if matching == "some_words" and clause.loose and len(needed) > 1:
            must = Query.boolean_query([(Occur.Should, one) for one in needed], len(needed) - 1)
            parts = [(Occur.Must, must)]
        else:
            parts = [(Occur.Must, one) for one in needed]
        extra = [query for word, query in word_queries.items() if word not in clause.needed]
        parts += [(Occur.Should, one) for one in [*extra, *self._phrases(clause)]]
        return Query.boolean_query(parts)

    def both(self, *queries: Any) -> Any:
        """Demand all of several queries; the scores add up."""
        return Query.boolean_query([(Occur.Must, query) for query in queries])

    def found(self) -> Any:
        """Events that may be found at all."""
        return self._flag("found")

    def upcoming(self, now: datetime) -> Any:
        """Events that have not begun."""
        return self._range("starts_at", seconds(now), None)

    def past(self, now: datetime) -> Any:
        """Events that have begun."""
        return self._range("starts_at", None, seconds(now))

    def priced(self, *, yes: bool) -> Any:
        """Events with, or without, a known lowest price."""
        has = Query.exists_query("price")
        return has if yes else Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, has)])

    def _word(self, word: str, fields: Sequence[str], matching: Matching, *, may_go_on: bool) -> Any:
        choices: list[Any] = []
        errors = tolerance(word) if matching != "exact" else 0
        for field in fields:
            weight = WEIGHTS[field]
            choices.append(self._whole(field, word, weight))
            if may_go_on and len(word) >= MIN_PREFIX:
                choices.append(self._fuzzy(field, word, 0, weight * PREFIX_WEIGHT, prefix=True))
            if errors:
                choices.append(self._fuzzy(field, word, 1, weight * ONE_ERROR_WEIGHT, prefix=False))
            if errors > 1:
                choices.append(self._fuzzy(field, word, errors, weight * TWO_ERRORS_WEIGHT, prefix=False))
        return Query.disjunction_max_query(choices, OTHER_FIELDS)

    def _whole(self, field: str, word: str, weight: float) -> Any:
        term = self._term(field, word)
        rarity = Query.boost_query(term, weight * RARITY_WEIGHT)
        return Query.boolean_query([(Occur.Must, Query.const_score_query(term, weight)), (Occur.Should, rarity)])

    def _phrases(self, clause: Clause) -> list[Any]:
        if len(clause.words) < 2:  # noqa: PLR2004 - one word is no phrase; the library panics on it
            return []
        return [*self._piece(clause), *self._side_by_side(clause)]

    def _piece(self, clause: Clause) -> list[Any]:
        if "works" not in clause.fields or len(clause.needed) < 2:  # noqa: PLR2004 - as above
            return []
        return [
            Query.const_score_query(Query.phrase_query(self._schema, PIECES_FIELD, list(clause.needed), slop), weight)
            for slop, weight in ((PIECE_SLOP, PIECE_WEIGHT), (CLOSE_SLOP, CLOSE_WEIGHT))
        ]

    def _side_by_side(self, clause: Clause) -> list[Any]:
        return [
            Query.const_score_query(
                Query.phrase_query(self._schema, field, list(clause.words)), WEIGHTS[field] * PHRASE_WEIGHT
            )
            for field in clause.fields
        ]

    def _term(self, field: str, word: str) -> Any:
        return Query.term_query(self._schema, field, word)

    def _flag(self, field: str) -> Any:
        return Query.term_query(self._schema, field, True)

    def _fuzzy(self, field: str, word: str, errors: int, weight: float, *, prefix: bool) -> Any:
        return Query.const_score_query(
            Query.fuzzy_term_query(self._schema, field, word, errors, True, prefix),
            weight,
        )

    def _days(self, criteria: Criteria) -> list[Any]:
        found = []
        for bound, is_lower in ((criteria.since, True), (criteria.until, False)):
            if bound is not None:
                field = "local_at" if bound.is_local else "starts_at"
                at = seconds(bound.at)
                found.append(self._range(field, at, None) if is_lower else self._range(field, None, at))
        return found

    def _range(self, field: str, lower: int | None, below: int | None) -> Any:
        return Query.range_query(self._schema, field, FieldType.Integer, lower, below, True, below is None)


class Known:
    """What words the index knows."""

    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher

    def has(self, field: str, word: str) -> bool:
        """Whether any entry has exactly this in a field."""
        return bool(self._searcher.doc_freq(field, word))
