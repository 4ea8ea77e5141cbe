"""How an entry stands in the tantivy index: the fields, and the document of an entry."""

from typing import Any

import msgspec
import tantivy

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

SCHEMA_VERSION = 2
"""Raise it with any change of the fields or of what a word is: an index of another version is built again."""

ANALYZER = "folded"
GAP = " ".join(["-"] * (PIECE_SLOP + 2))
"""Keeps two pieces apart by more words than may stand between."""


def schema() -> Any:
    """Build the schema."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("event_id", indexed=True, fast=True)
    builder.add_bytes_field("entry", stored=True)
    builder.add_boolean_field("found", indexed=True, fast=True)
    for name in (*TEXT_FIELDS, PIECES_FIELD):
        builder.add_text_field(name, tokenizer_name=ANALYZER)
    for name in (*KEY_FIELDS.values(), NAME_KEY, POINT_FIELD):
        builder.add_text_field(name, tokenizer_name="raw", fast=True, index_option="basic")
    for name in (*EXACT_FIELDS, SUGGEST_FIELD):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("starts_at", "local_at", "price", "latitude", "longitude"):
        builder.add_integer_field(name, indexed=True, fast=True)
    return builder.build()


def register(index: Any) -> None:
    """Give an index the analyzer that its fields name; needed at each opening."""
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(ANALYZER, analyzer)


def document(entry: Entry) -> Any:
    """Write an entry as a document; without a listing it keeps its versions only."""
    fields, of_entry = tantivy.Document(), contents(entry)
    fields.add_integer("event_id", entry.event_id)
    fields.add_bytes("entry", msgspec.msgpack.encode(entry))
    fields.add_boolean("found", entry.listing is not None)
    for name, values in of_entry.texts.items():
        for value in values:
            fields.add_text(name, f"{value} {GAP}" if name == PIECES_FIELD else value)
    for name, values in of_entry.keys.items():
        for value in values:
            fields.add_text(name, value)
    for name, number in of_entry.numbers.items():
        fields.add_integer(name, number)
    return fields


def entry_of(stored: Any) -> Entry:
    """Read an entry back.

    :raises msgspec.DecodeError: when the stored bytes are damaged.
    """
    return msgspec.msgpack.decode(bytes(stored.get_first("entry")), type=Entry)
