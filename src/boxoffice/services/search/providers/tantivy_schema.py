"""How an entry stands in the tantivy index: the fields, and the document of an entry.

Texts are folded to words before they get here (``domain/words.py``), so the index only splits at spaces.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import tantivy

from boxoffice.services.search.domain.criteria import FacetName
from boxoffice.services.search.domain.listing import Entry, Listing
from boxoffice.services.search.domain.words import folded, joined, words
from boxoffice.services.search.providers.engine import SuggestionKind

SCHEMA_VERSION = 1
"""Raise it with any change of the fields or of what a word is: an index of another version is built again."""

ANALYZER = "folded"
TEXT_FIELDS = ("name", "composers", "performers", "works", "category", "venue", "place", "description")
PIECES_FIELD = "pieces"
"""Composer and title side by side; only tells that words belong to the same piece."""
PIECE_SLOP = 12
"""Words that may stand between those typed: "beethoven … no 9", "symphony no 9 … op 125 ludwig van beethoven"."""
GAP = " ".join(["-"] * (PIECE_SLOP + 2))
"""Keeps two pieces apart by more words than may stand between."""
KEY_FIELDS: dict[FacetName, str] = {
    "category": "category_key", "city": "city_key", "venue": "venue_key", "composer": "composer_key",
    "month": "month", "year": "year",
}  # fmt: skip
NAME_KEY = "name_key"
SUGGEST_FIELD = "suggest"
SUGGESTED: dict[SuggestionKind, str] = {
    "composer": "c", "performer": "p", "work": "w", "venue": "v", "event": "e", "city": "t", "category": "k",
}  # fmt: skip
"""The letter that begins a suggestion's key, by its kind."""
MAX_TURNS = 16
"""Words of a name at which it may begin to be typed."""
SEPARATOR = "\x1f"
"""Between the folded words of a key and the spelling that people see; no word contains it."""
MAX_KEY = 500
"""Characters of a key; a longer name is not offered as a facet or a suggestion in full."""


def schema() -> Any:
    """Build the schema."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("event_id", indexed=True, fast=True)
    builder.add_bytes_field("entry", stored=True)
    builder.add_boolean_field("found", indexed=True, fast=True)
    for name in (*TEXT_FIELDS, PIECES_FIELD):
        builder.add_text_field(name, tokenizer_name=ANALYZER)
    for name in (*KEY_FIELDS.values(), NAME_KEY):
        builder.add_text_field(name, tokenizer_name="raw", fast=True, index_option="basic")
    for name in ("category_exact", "venue_exact", SUGGEST_FIELD):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("starts_at", indexed=True, fast=True)
    builder.add_integer_field("local_at", indexed=True, fast=True)
    builder.add_integer_field("price", indexed=True, fast=True)
    return builder.build()


def register(index: Any) -> None:
    """Give an index the analyzer that its fields name; needed at each opening."""
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(ANALYZER, analyzer)


def document(entry: Entry) -> Any:
    """Write an entry as a document; without a listing it keeps its versions only."""
    fields = tantivy.Document()
    fields.add_integer("event_id", entry.event_id)
    fields.add_bytes("entry", msgspec.msgpack.encode(entry))
    fields.add_boolean("found", entry.listing is not None)
    if entry.listing is not None:
        _add_texts(fields, entry.listing)
        _add_pieces(fields, entry.listing)
        _add_keys(fields, entry.listing)
        _add_suggestions(fields, entry.listing)
        _add_times(fields, entry.listing)
        if entry.sale is not None and entry.sale.lowest_price_minor is not None:
            fields.add_integer("price", entry.sale.lowest_price_minor)
    return fields


def entry_of(stored: Any) -> Entry:
    """Read an entry back.

    :raises msgspec.DecodeError: when the stored bytes are damaged.
    """
    return msgspec.msgpack.decode(bytes(stored.get_first("entry")), type=Entry)


def seconds(at: datetime) -> int:
    """Write an aware instant as Unix seconds; a naive wall-clock time as if it were UTC."""
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


@lru_cache(maxsize=20_000)
def name_words(name: str) -> tuple[str, ...]:
    """Split a name into folded words; remembered (about 5 MB), since the same names come with most events."""
    return tuple(words(name))


def key(text: str) -> str:
    """Write a name so that it can be looked for by its words and shown as it is spelled."""
    return f"{' '.join(name_words(text))}{SEPARATOR}{text}"[:MAX_KEY]


def spelled(key: str) -> str:
    """Give the spelling of a key."""
    return key.rpartition(SEPARATOR)[2]


def _add_texts(fields: Any, listing: Listing) -> None:
    venue = listing.venue
    texts: dict[str, Iterable[str | None]] = {
        "name": (listing.name,),
        "composers": listing.composers,
        "performers": listing.performers,
        "works": listing.titles,
        "category": (listing.category,),
        "venue": (venue.name,),
        "place": (venue.city, venue.region, venue.country, _address(venue.location)),
        "description": (listing.description,),
    }
    for name, values in texts.items():
        for value in filter(None, values):
            fields.add_text(name, " ".join(words(value) if name == "description" else name_words(value)))
            if compounds := joined(value):
                fields.add_text(name, " ".join(compounds))


def _add_pieces(fields: Any, listing: Listing) -> None:
    """Write composer, title and composer again, so that both orders of typing find them close together."""
    for work in dict.fromkeys(listing.works):
        if work.title and work.composer:
            composer = " ".join(name_words(work.composer))
            fields.add_text(PIECES_FIELD, f"{composer} {' '.join(name_words(work.title))} {composer} {GAP}")


def _address(location: str) -> str:
    """Leave a link to a map out: its parts are no words that anybody looks for."""
    return "" if "://" in location else location


def _add_keys(fields: Any, listing: Listing) -> None:
    fields.add_text(NAME_KEY, key(listing.name))
    fields.add_text("venue_key", key(listing.venue.name))
    fields.add_text("venue_exact", folded(listing.venue.name)[:MAX_KEY])
    if listing.venue.city:
        fields.add_text("city_key", key(listing.venue.city))
    if listing.category:
        fields.add_text("category_key", key(listing.category))
        fields.add_text("category_exact", folded(listing.category)[:MAX_KEY])
    for name in dict.fromkeys(listing.composers):
        fields.add_text("composer_key", key(name))


def suggestions(listing: Listing) -> dict[SuggestionKind, tuple[str, ...]]:
    """List what somebody might type to get to an event, by kind."""
    return {
        "composer": listing.composers, "performer": listing.performers, "work": listing.titles,
        "venue": (listing.venue.name,), "event": (listing.name,),
        "city": (listing.venue.city,) if listing.venue.city else (),
        "category": (listing.category,) if listing.category else (),
    }  # fmt: skip


def suggest_key(kind: SuggestionKind, turned: Sequence[str], name: str = "") -> str:
    """Write a name's key, turned so that one of its words comes first; without the name: what such keys begin with."""
    start = f"{SUGGESTED[kind]} {' '.join(turned)}"
    return f"{start}{SEPARATOR}{name}" if name else start


def _add_suggestions(fields: Any, listing: Listing) -> None:
    for kind, names in suggestions(listing).items():
        for name in dict.fromkeys(names):
            parts = name_words(name)
            for turn in range(min(len(parts), MAX_TURNS)):
                if len(name) <= MAX_KEY:
                    fields.add_text(SUGGEST_FIELD, suggest_key(kind, [*parts[turn:], *parts[:turn]], name))


def _add_times(fields: Any, listing: Listing) -> None:
    try:
        zone: Any = ZoneInfo(listing.venue.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = UTC  # the catalog checks zones; one that this machine does not know must not lose the event
    local = listing.starts_at.astimezone(zone).replace(tzinfo=None)
    fields.add_integer("starts_at", seconds(listing.starts_at))
    fields.add_integer("local_at", seconds(local))
    fields.add_text("month", f"{local:%Y-%m}")
    fields.add_text("year", f"{local:%Y}")
