"""nginx and Varnish before the gateway: kept is what answers call public, and nothing of anybody's own.

Both run with their configuration from ``deploy/`` and must do the same.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.edge import PING, VARNISH, Edge, nginx, program, running

from boxoffice.services.catalog.api.parts import PRIVATE, PUBLIC
from boxoffice.services.gateway.domain.routes import SEAT_MAP_BODY_BYTES
from boxoffice.services.sales.api.parts import LIVE
from boxoffice.services.search.api import CACHE, CACHE_OF_NAMES
from boxoffice.services.storefront.api.browse import LISTS
from boxoffice.services.storefront.api.rendering import PERSONAL, Keep

pytestmark = pytest.mark.xdist_group("edge")
STRICT = "max-age=31536000; includeSubDomains"
ANSWERS = {
    "/public": [("Cache-Control", PUBLIC), ("Vary", "Authorization")],
    "/page": [("Cache-Control", LISTS.header), ("Vary", "Cookie")],
    "/page?q=bach": [("Cache-Control", LISTS.header), ("Vary", "Cookie")],
    "/brief": [("Cache-Control", Keep(browser_s=1, shared_s=3, at_most_s=6).header), ("Vary", "Cookie")],
    "/file": [("Cache-Control", "public, max-age=31536000, immutable"), ("Vary", "Accept-Encoding")],
    "/found": [("Cache-Control", CACHE)],
    "/names": [("Cache-Control", CACHE_OF_NAMES)],
    "/house": [("Cache-Control", LIVE)],
    "/private": [("Cache-Control", PRIVATE)],
    "/personal": [("Cache-Control", PERSONAL)],
    "/aged": [("Cache-Control", "max-age=60")],
    "/cookie": [("Cache-Control", PUBLIC), ("Set-Cookie", "session=sealed; Path=/")],
    "/strict": [("Strict-Transport-Security", STRICT)],
}


@pytest.fixture(scope="module", params=["nginx", "varnish"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running(request.param, tmp_path_factory.mktemp(request.param), ANSWERS) as started:
        yield started


def bodies(edge: Edge, path: str, *, times: int = 2, headers: dict[str, str] | None = None) -> list[str]:
    with edge.client() as client:
        return [client.get(path, headers=headers).text for _ in range(times)]


class TestConfigurations:
    def test_nginx_accepts_its_own(self, tmp_path: Path) -> None:
        command = nginx(tmp_path, port=8443, upstream=8000)
        done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_varnish_compiles_its_own(self) -> None:
        command = [program("varnishd"), "-j", "none", "-C", "-f", VARNISH]  # its jail may not read a checkout of root's
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class TestCache:
    @pytest.mark.parametrize("path", ["/public", "/page", "/found", "/names", "/house"])
    def test_keeps_what_is_public(self, edge: Edge, path: str) -> None:
        first, second = bodies(edge, path)
        assert first == second

    def test_keeps_one_page_for_all_who_have_no_session_whatever_other_cookies_they_have(self, edge: Edge) -> None:
        first, second = (bodies(edge, "/page", times=1, headers={"Cookie": f"seen={word}"}) for word in ("yes", "no"))
        assert first == second

    def test_gives_nobody_a_compressed_answer_who_cannot_read_it(self, edge: Edge) -> None:
        zipped, plain = (
            bodies(edge, "/file", times=1, headers={"Accept-Encoding": accepted})
            for accepted in ("gzip, br", "identity")
        )
        again = bodies(edge, "/file", times=1, headers={"Accept-Encoding": "br;q=1.0, gzip;q=0.8"})
        asked = [headers.get("accept-encoding", "") for _, path, headers in edge.upstream.seen if path == "/file"]
        assert zipped == again == plain, "it was kept twice, or not unpacked"
        assert asked == ["gzip"]
        with edge.client() as client:
            for accepted, said in (("gzip", "gzip"), ("identity", None)):
                answer = client.get("/file", headers={"Accept-Encoding": accepted})
                assert answer.headers.get("content-encoding") == said

    @pytest.mark.parametrize("path", ["/private", "/personal", "/aged", "/cookie", "/silent"])
    def test_keeps_nothing_else(self, edge: Edge, path: str) -> None:
        first, second = bodies(edge, path)
        assert first != second

    @pytest.mark.parametrize("path", ["/public", "/page"])
    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": "Bearer of-somebody"},
            {"Cookie": "session=sealed"},
            {"Cookie": "theme=dark; __Host-session=sealed"},
        ],
        ids=["token", "session", "secure-session"],
    )
    def test_gives_whoever_says_who_they_are_an_answer_of_their_own(
        self, edge: Edge, path: str, headers: dict[str, str]
    ) -> None:
        [kept] = bodies(edge, path, times=1)
        first, second = bodies(edge, path, headers=headers)
        assert len({kept, first, second}) == 3
        assert bodies(edge, path, times=1) == [kept]

    @pytest.mark.parametrize(
        "address",
        [
            "/page?utm_source=letter&utm_medium=email&utm_campaign=may", "/page?gclid=Cj0KCQ", "/page?fbclid=a&utm_id=b",
            "/page?q=bach&gclid=Cj0KCQ", "/page?q=bach&utm_source=letter&utm_term=%26x",
        ],
    )  # fmt: skip
    def test_keeps_one_page_for_all_who_followed_a_letter_or_an_advertisement(self, edge: Edge, address: str) -> None:
        plain = "/page?q=bach" if "q=bach" in address else "/page"
        assert bodies(edge, address, times=1) == bodies(edge, plain, times=1)
        assert address not in [path for _, path, _ in edge.upstream.seen], "what the key leaves out was handed on"

    @pytest.mark.parametrize(
        "address",
        ["/page?utm_source=letter&q=verdi", "/page?q=utm_source=verdi", "/page?gclids=1", "/page?q=a%26utm_source=b"],
    )
    def test_leaves_every_other_address_as_it_is(self, edge: Edge, address: str) -> None:
        bodies(edge, address, times=1)
        assert edge.upstream.seen[-1][1] == address

    def test_hands_on_no_cookie_but_the_shops(self, edge: Edge) -> None:
        bodies(edge, "/silent", times=1, headers={"Cookie": "seen=1; consent=yes"})
        assert "cookie" not in edge.upstream.seen[-1][2]
        bodies(edge, "/silent", times=1, headers={"Cookie": "seen=1; session=sealed"})
        assert "session=sealed" in edge.upstream.seen[-1][2]["cookie"]

    def test_shows_a_page_that_is_too_old_while_it_asks_for_a_new_one(self, edge: Edge) -> None:
        [first] = bodies(edge, "/brief", times=1)
        time.sleep(4.2)
        assert bodies(edge, "/brief", times=1) == [first]
        time.sleep(0.5)
        assert bodies(edge, "/brief", times=1) != [first]

    def test_keeps_addresses_apart(self, edge: Edge) -> None:
        edge.upstream.answers["/public?page=2"] = ANSWERS["/public"]
        assert bodies(edge, "/public", times=1) != bodies(edge, "/public?page=2", times=1)

    def test_shows_no_house_older_than_it_may_be(self, edge: Edge) -> None:
        [first] = bodies(edge, "/house", times=1)
        time.sleep(2.1)
        assert bodies(edge, "/house", times=1) != [first]

    def test_hands_writes_on_every_time(self, edge: Edge) -> None:
        with edge.client() as client:
            first, second = (client.post("/public", content=b"{}").text for _ in range(2))
        assert first != second


class TestDoor:
    def test_lets_sockets_through(self, edge: Edge) -> None:
        with edge.connected() as connection:
            connection.sendall(
                b"GET /api/v1/events/1/live HTTP/1.1\r\nHost: tickets.example.org\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            said = b""
            while b"\r\n\r\n" not in said:
                said += connection.recv(4096)
            assert said.startswith(b"HTTP/1.1 101 ")
            connection.sendall(PING)
            assert connection.recv(4096) == PING

    def test_takes_the_largest_body_of_the_gateway_and_no_larger(self, edge: Edge) -> None:
        with edge.client() as client:
            assert client.post("/api/v1/venues/1/seat-maps", content=b" " * SEAT_MAP_BODY_BYTES).status_code == 200
        with edge.client() as client:
            refused = client.post("/api/v1/venues/1/seat-maps", content=b" " * (SEAT_MAP_BODY_BYTES + 1))
            assert refused.status_code == 413

    @pytest.mark.parametrize("path", ["/metrics", "/health/ready", "/metrics?x=1"])
    def test_keeps_operations_inside(self, edge: Edge, path: str) -> None:
        with edge.client() as client:
            assert client.get(path).status_code == 404

    def test_says_itself_to_come_by_https_where_it_speaks_it(self, edge: Edge) -> None:
        """On what the gateway answered (once), and on its own refusals; without TLS the word would count for nothing."""
        too_large = b" " * (SEAT_MAP_BODY_BYTES + 1)
        with edge.client() as client:
            passed_on, inside = client.get("/strict"), client.get("/metrics")
        with edge.client() as client:
            refused = client.post("/", content=too_large)
        assert (passed_on.status_code, inside.status_code, refused.status_code) == (200, 404, 413)
        assert passed_on.headers.get_list("strict-transport-security") == [STRICT]
        for own in (inside, refused):
            said = own.headers.get_list("strict-transport-security")
            assert said == ([STRICT] if edge.url.startswith("https:") else [])

    def test_says_who_calls_whatever_the_client_claims(self, edge: Edge) -> None:
        with edge.client() as client:
            client.get("/silent", headers={"X-Forwarded-For": "203.0.113.7"})
        last = edge.upstream.seen[-1][2]["x-forwarded-for"].split(",")[-1].strip()
        assert last == "127.0.0.1"
