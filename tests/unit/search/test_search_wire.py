"""The URL of a search server."""

import string
from datetime import UTC, datetime
from typing import Any

import pytest

from boxoffice.services.search.providers.server_engine import ServerEngine, literally
from boxoffice.services.search.providers.wire import Address, address_of


class TestAddress:
    def test_has_everything_in_one_url(self) -> None:
        assert address_of("elasticsearch+https://box:p%40ss@search.example.org:9243/concerts") == Address(
            kind="elasticsearch", scheme="https", host="search.example.org", port=9243, user="box", password="p@ss",
            alias="concerts",
        )  # fmt: skip

    def test_needs_kind_and_host_only(self) -> None:
        address = address_of("opensearch+http://localhost")
        assert (address.kind, address.port, address.user, address.alias) == ("opensearch", 9200, "", "boxoffice-events")

    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:9200", "solr+http://localhost", "opensearch+ftp://localhost", "opensearch+http:///x",
            "opensearch+http://localhost/Upper", "opensearch+http://localhost/a*", "opensearch+http://localhost/a/b",
        ],
    )  # fmt: skip
    def test_refuses_what_is_none(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"is no name of an index|a search engine's URL is"):
            address_of(url)


class Listening:
    """A wire whose server knows no name, and which keeps what it was asked."""

    def __init__(self) -> None:
        self.expressions: list[str] = []

    def call(self, _method: str, _path: str, body: dict[str, Any]) -> Any:
        asked = body.get("aggs", {})
        self.expressions += [one["terms"]["include"] for one in asked.values() if "include" in one.get("terms", {})]
        empty = {name: {"buckets": []} for name in asked}
        return {"aggregations": empty, "suggest": {}, "hits": {"hits": [], "total": {"value": 0}}}


class TestExpressions:
    def test_take_every_sign_as_itself(self) -> None:
        for sign in set(string.punctuation) - {"_"}:
            assert literally(f"a{sign}b") == f"a\\{sign}b"
        assert literally("c antonín dvořák 9 東_京") == "c antonín dvořák 9 東_京"

    def test_hold_words_and_no_sign_that_was_typed(self) -> None:
        wire: Any = Listening()
        ServerEngine(wire, "events").suggest(
            'a.b*[c]{1,9}"(d|e)~<1-9>&@#\\^$+?', limit=5, now=datetime(2027, 1, 1, tzinfo=UTC)
        )
        assert wire.expressions
        for one in wire.expressions:
            assert one.removesuffix(".*").replace(" ", "").isalnum(), one
