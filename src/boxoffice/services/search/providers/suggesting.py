"""Suggestions, whichever engine answers: which names a typed text may have been meant to be, and in which order.

Each name stands in the index once for each of its words, turned so that this word comes first: "kurt masur" and
"masur kurt" both find Kurt Masur, in the time of a look into a sorted list.
"""

from collections.abc import Callable, Mapping, Sequence

from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.domain.words import alike
from boxoffice.services.search.providers.contents import MAX_KEY, name_words, spelled, suggest_key, suggestions
from boxoffice.services.search.providers.engine import Suggestion, SuggestionKind

MAX_PER_KIND = 4
LOOKED_AT = 4 * MAX_PER_KIND
"""Keys read for a kind: a name that repeats a word stands in the list more than once."""
HITS_FOR_SUGGESTIONS = 20
"""Hits of a forgiving search whose names are compared with what was typed."""

Counts = Callable[[Sequence[str]], Mapping[str, int]]
"""How many events have each of some whole keys; a key that none has may be missing."""


def of_kind(kind: SuggestionKind, keys: Sequence[tuple[str, int]]) -> list[Suggestion]:
    """Name what some keys (each with how many events have it), the most frequent first, stand for."""
    counts: dict[str, int] = {}
    for key, count in keys:
        counts.setdefault(spelled(key), count)
    return [Suggestion(text=text, kind=kind, count=counts[text]) for text in list(counts)[:MAX_PER_KIND]]


def corrected(typed: Sequence[str], hits: Sequence[Entry], counts_of: Counts, *, limit: int) -> list[Suggestion]:
    """List names among some hits whose words the typed ones may have been meant to be."""
    meant: dict[str, tuple[SuggestionKind, str]] = {}
    for entry in hits:
        assert entry.listing is not None
        for kind, names in suggestions(entry.listing).items():
            for name in names:
                parts = name_words(name)
                if len(name) <= MAX_KEY and all(any(alike(one, part) for part in parts) for one in typed):
                    meant.setdefault(suggest_key(kind, parts, name), (kind, name))
    counts = counts_of(list(meant)) if meant else {}
    found = [Suggestion(text=name, kind=kind, count=counts.get(key, 1)) for key, (kind, name) in meant.items()]
    return best(found, limit)


def best(found: Sequence[Suggestion], limit: int) -> list[Suggestion]:
    """Choose the most frequent ones; among equals the kind that was listed first."""
    return sorted(found, key=lambda one: -one.count)[:limit]
