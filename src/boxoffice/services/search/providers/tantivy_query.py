"""A plan as tantivy query objects."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tantivy import FieldType, Occur, Query

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


class QueryBuilder:
    """Builds queries for one schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def query(self, plan: Plan, matching: Matching, *, now: datetime) -> Any:
        """Build the query of a plan, the texts read in one way."""
        if plan.impossible:
            return Query.empty_query()
        filters = [
            self.found(),
            *(self._range(span.field, span.lower, span.below) for span in plan.days),
            *(self._term(field, name) for field, name in plan.exact),
        ]
        if plan.within is not None:
            filters.append(Query.term_set_query(self._schema, POINT_FIELD, list(plan.within)))
        parts = [(Occur.Must, Query.const_score_query(one, 0.0)) for one in filters]
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

    def at(self, point: str) -> Any:
        """Events at a point."""
        return self._term(POINT_FIELD, point)

    def inside(self, areas: Sequence[Area]) -> Any:
        """Events in any of some areas."""
        boxes = [
            self.both(
                self._range("latitude", area.south, area.north + 1), self._range("longitude", area.west, area.east + 1)
            )
            for area in areas
        ]
        return Query.boolean_query([(Occur.Should, box) for box in boxes])

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

    def _range(self, field: str, lower: int | None, below: int | None) -> Any:
        return Query.range_query(self._schema, field, FieldType.Integer, lower, below, True, below is None)
