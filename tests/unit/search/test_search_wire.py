"""The URL of a search server."""

import pytest

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
