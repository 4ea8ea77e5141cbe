"""Suggestions from the index's own words: names that begin with, or contain, what is being typed.

Each name stands in the index once for each of its words, turned so that this word comes first: "kurt masur" and
"masur kurt" both find Kurt Masur, in the time of a look into a sorted list.
"""

from collections.abc import Sequence
from typing import Any

from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.domain.words import alike
from boxoffice.services.search.providers.engine import Suggestion, SuggestionKind
from boxoffice.services.search.providers.tantivy_schema import (
    MAX_KEY,
    SUGGEST_FIELD,
    SUGGESTED,
    name_words,
    spelled,
    suggest_key,
    suggestions,
)

MAX_PER_KIND = 4
LOOKED_AT = 4 * MAX_PER_KIND
"""Keys read for a kind: a name that repeats a word stands in the list more than once."""
HITS_FOR_SUGGESTIONS = 20
"""Hits of a forgiving search whose names are compared with what was typed."""


def complete(searcher: Any, typed: Sequence[str], pool: Any, *, limit: int) -> list[Suggestion]:
    """List names that contain the typed words in a row, the last one perhaps unfinished, within a query's events."""
    found = []
    for kind in SUGGESTED:
        start = suggest_key(kind, typed)
        counts: dict[str, int] = {}
        for key, count in searcher.terms_with_prefix(SUGGEST_FIELD, start, filter_query=pool, limit=LOOKED_AT):
            counts.setdefault(spelled(key), count)
        found += [Suggestion(text=text, kind=kind, count=counts[text]) for text in list(counts)[:MAX_PER_KIND]]
    return _best(found, limit)


def corrected(searcher: Any, typed: Sequence[str], hits: Sequence[Entry], pool: Any, *, limit: int) -> list[Suggestion]:
    """List names among some hits whose words the typed ones may have been meant to be."""
    found: dict[tuple[SuggestionKind, str], Suggestion] = {}
    for entry in hits:
        assert entry.listing is not None
        for kind, names in suggestions(entry.listing).items():
            for name in names:
                parts = name_words(name)
                if len(name) > MAX_KEY or (kind, name) in found:
                    continue
                if all(any(alike(one, part) for part in parts) for one in typed):
                    whole = suggest_key(kind, parts, name)
                    counted = searcher.terms_with_prefix(SUGGEST_FIELD, whole, filter_query=pool, limit=1)
                    count = counted[0][1] if counted else 1
                    found[kind, name] = Suggestion(text=name, kind=kind, count=count)
    return _best(list(found.values()), limit)


def _best(found: Sequence[Suggestion], limit: int) -> list[Suggestion]:
    return sorted(found, key=lambda one: -one.count)[:limit]
