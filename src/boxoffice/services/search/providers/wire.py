"""A search server by its official client: OpenSearch by opensearch-py, Elasticsearch by elasticsearch-py.

Both speak the same JSON where we use it, so requests are written once; what differs (addresses, errors, media types)
ends here. The clients bring connection pools, retries on another node, authentication and TLS.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

import msgspec

from boxoffice.runtime.telemetry import log
from boxoffice.services.search.providers.engine import SearchUnavailableError

Kind = Literal["opensearch", "elasticsearch"]

DEFAULT_ALIAS = "boxoffice-events"
ALIAS = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
TIMEOUT_S = 10.0
"""A search takes milliseconds, a batch of changes a second; whoever waits longer has gone."""
TRIES_AGAIN = 1
"""On another node, or the same one on a fresh connection: a server that restarts closes those that are kept."""
CONNECTIONS = 32
"""Kept open to a node; as many questions are asked at once."""

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, who we are there, and the alias that our index goes by."""

    kind: Kind
    scheme: Literal["http", "https"]
    host: str
    port: int
    user: str
    password: str
    alias: str


def address_of(url: str) -> Address:
    """Read ``opensearch+https://user:password@host:9200/alias`` (or ``elasticsearch+http``; port and alias may lack).

    :raises ValueError: when it is no such URL.
    """
    parts = urlsplit(url)
    kind, _, scheme = parts.scheme.partition("+")
    alias = parts.path.strip("/") or DEFAULT_ALIAS
    if kind not in get_args(Kind) or scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a search engine's URL is opensearch+http://host:9200 or elasticsearch+https://host:9200")
    if not ALIAS.fullmatch(alias):
        raise ValueError(f"{alias!r} is no name of an index: lower-case letters, digits, - and _")
    return Address(
        kind="opensearch" if kind == "opensearch" else "elasticsearch",
        scheme="https" if scheme == "https" else "http",
        host=parts.hostname, port=parts.port or 9200,
        user=unquote(parts.username or ""), password=unquote(parts.password or ""), alias=alias,
    )  # fmt: skip


class Wire:
    """One server (or a cluster behind one address). Threads may share it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        open_client = {"opensearch": _opensearch, "elasticsearch": _elasticsearch}[address.kind]
        self._perform, self._close, self._failures = open_client(address)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
    ) -> Any:
        """Make one request; returns the answer's JSON, or none when it has one of the ``expected`` error statuses.

        :raises SearchUnavailableError: when the server does not answer, or refuses.
        """
        sent = None if body is None else msgspec.json.encode(body)
        return self._ask(method, path, sent, "application/json", params or {}, expected)

    def bulk(self, index: str, lines: Sequence[Mapping[str, Any]], *, params: Mapping[str, str]) -> Any:
        """Send actions and documents, a JSON object a line.

        :raises SearchUnavailableError: when the server does not answer, or refuses them all.
        """
        return self._ask("POST", f"/{index}/_bulk", _lines(lines), "application/x-ndjson", params, ())

    def many(self, index: str, lines: Sequence[Mapping[str, Any]]) -> Any:
        """Ask several searches at once, each a line of options and a line of JSON; each has its own answer or error.

        :raises SearchUnavailableError: when the server does not answer, or refuses them all.
        """
        return self._ask("POST", f"/{index}/_msearch", _lines(lines), "application/x-ndjson", {}, ())

    def close(self) -> None:
        """Close the connections."""
        self._close()

    def _ask(
        self,
        method: str,
        path: str,
        sent: bytes | None,
        media_type: str,
        params: Mapping[str, str],
        expected: Collection[int],
    ) -> Any:
        headers = {"accept": "application/json"} | ({"content-type": media_type} if sent is not None else {})
        try:
            return self._perform(method, path, sent, params, headers)
        except self._failures as error:
            if _status(error) in expected:
                return None
            _log.warning("index.failed", request=f"{method} {path}", error=str(error)[:500])
            raise SearchUnavailableError(
                f"{self.address.kind} at {self.address.host}:{self.address.port} does not answer as it must. "
                "Try again in a moment.",
                retryAfterSeconds=2,
            ) from error


def _lines(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def _status(error: Exception) -> int | None:
    found = getattr(error, "status_code", None)  # opensearch-py writes "N/A" where there was no answer
    return found if isinstance(found, int) else None


Perform = Callable[[str, str, bytes | None, Mapping[str, str], Mapping[str, str]], Any]
"""Method, path, body, parameters, headers: gives the answer's JSON."""

Client = tuple[Perform, Callable[[], object], tuple[type[Exception], ...]]
"""How to ask, how to close, and which exceptions are the client's own."""


def _elasticsearch(address: Address) -> Client:
    from elasticsearch import ApiError, Elasticsearch, TransportError

    client = Elasticsearch(
        f"{address.scheme}://{address.host}:{address.port}",
        basic_auth=(address.user, address.password) if address.user else None,
        request_timeout=TIMEOUT_S,
        max_retries=TRIES_AGAIN,
        connections_per_node=CONNECTIONS,
    )

    def perform(
        method: str, path: str, sent: bytes | None, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Any:
        return client.perform_request(method, path, params=params, headers=headers, body=sent).body

    return perform, client.close, (ApiError, TransportError)


def _opensearch(address: Address) -> Client:
    from opensearchpy import OpenSearch
    from opensearchpy.exceptions import OpenSearchException

    client = OpenSearch(
        hosts=[{"host": address.host, "port": address.port}],
        use_ssl=address.scheme == "https",
        http_auth=(address.user, address.password) if address.user else None,
        timeout=TIMEOUT_S,
        max_retries=TRIES_AGAIN,
        pool_maxsize=CONNECTIONS,
    )

    def perform(
        method: str, path: str, sent: bytes | None, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Any:
        return client.transport.perform_request(method, path, params=dict(params), headers=dict(headers), body=sent)

    return perform, client.close, (OpenSearchException,)
