"""Suggestions from the words of a tantivy index."""

from collections.abc import Mapping, Sequence
from typing import Any

from boxoffice.services.search.providers.contents import SUGGEST_FIELD, SUGGESTED, suggest_key
from boxoffice.services.search.providers.engine import Suggestion
from boxoffice.services.search.providers.suggesting import LOOKED_AT, Counts, best, of_kind


def complete(searcher: Any, typed: Sequence[str], pool: Any, *, limit: int) -> list[Suggestion]:
    """List names that contain the typed words in a row, the last one perhaps unfinished, within a query's events."""
    found = []
    for kind in SUGGESTED:
        start = suggest_key(kind, typed)
        found += of_kind(kind, searcher.terms_with_prefix(SUGGEST_FIELD, start, filter_query=pool, limit=LOOKED_AT))
    return best(found, limit)


def counts_of(searcher: Any, pool: Any) -> Counts:
    """Give a counter of whole keys within a query's events."""

    def count(keys: Sequence[str]) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for key in keys:
            if counted := searcher.terms_with_prefix(SUGGEST_FIELD, key, filter_query=pool, limit=1):
                found[key] = int(counted[0][1])
        return found

    return count
