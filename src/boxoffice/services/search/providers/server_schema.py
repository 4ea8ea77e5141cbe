"""How an entry stands in an index of OpenSearch or Elasticsearch: mapping, settings, the document of an entry.

Only what both servers have without any module: words are folded and split before they get there, so the analyzer
splits at spaces, and beginnings of words are kept by the field itself (``index_prefixes``) instead of edge n-grams.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from boxoffice.services.search.domain.criteria import MAX_DEPTH
from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.providers.contents import (
    EXACT_FIELDS,
    KEY_FIELDS,
    NAME_KEY,
    PIECE_SLOP,
    PIECES_FIELD,
    POINT_FIELD,
    SUGGEST_FIELD,
    TEXT_FIELDS,
    contents,
)
from boxoffice.services.search.providers.plan import MIN_PREFIX, WINDOW

SCHEMA_VERSION = 2
"""Raise it with any change of the mapping or of what a word is: an index of another version is built again."""
SPELLING_FIELD = "spelling"
"""Every word of every text, to look for those that a typed word may have been meant to be."""
MAX_PREFIX = 10
"""Letters of a beginning that are looked up as such; longer ones match few words anyway."""
MAX_TERM = 8_000
"""Characters of a key: Lucene refuses terms of more than 32,766 bytes, and a character has four at most."""


def index(*, incomplete: bool) -> dict[str, Any]:
    """Write settings and mapping of a new generation."""
    return {
        "settings": {
            "index": {
                "number_of_shards": 1,  # a million events fit, and scores and counts are exact in one
                "auto_expand_replicas": "0-1",
                "max_result_window": MAX_DEPTH + WINDOW,
            }
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": meta(incomplete=incomplete),
            "_source": {"includes": ["entry"]},
            "properties": _properties(),
        },
    }


def meta(*, incomplete: bool = False, wanted: bool = False) -> dict[str, Any]:
    """Write what a generation says of itself: its schema, whether it lacks events, whether a rebuild is wanted."""
    return {"schema_version": SCHEMA_VERSION, "incomplete": incomplete, "wanted": wanted}


def document(entry: Entry) -> dict[str, Any]:
    """Write an entry as a document; without a listing it keeps its versions only."""
    of_entry = contents(entry)
    return {
        "event_id": entry.event_id,
        "found": entry.listing is not None,
        "entry": msgspec.to_builtins(entry),
        **of_entry.texts,
        **of_entry.keys,
        **of_entry.numbers,
    }


def entry_of(source: Any) -> Entry:
    """Read an entry back from a document's ``_source``.

    :raises msgspec.ValidationError: when somebody else wrote it.
    """
    return msgspec.convert(source["entry"], Entry)


def _properties() -> dict[str, Any]:
    text = {
        "type": "text",
        "analyzer": "whitespace",
        "copy_to": SPELLING_FIELD,
        "index_prefixes": {"min_chars": MIN_PREFIX, "max_chars": MAX_PREFIX},
    }
    keys = (*KEY_FIELDS.values(), NAME_KEY, POINT_FIELD, SUGGEST_FIELD, *EXACT_FIELDS)
    return {
        "event_id": {"type": "long"},
        "found": {"type": "boolean"},
        "entry": {"type": "object", "enabled": False},
        **_all(TEXT_FIELDS, text),
        SPELLING_FIELD: {"type": "text", "analyzer": "whitespace", "index_options": "docs", "norms": False},
        PIECES_FIELD: {"type": "text", "analyzer": "whitespace", "position_increment_gap": PIECE_SLOP + 2},
        **_all(keys, {"type": "keyword", "ignore_above": MAX_TERM}),
        **_all(("starts_at", "local_at", "price", "latitude", "longitude"), {"type": "long"}),
    }


def _all(names: Iterable[str], kind: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: dict(kind) for name in names}
