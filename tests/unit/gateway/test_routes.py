"""The route table, paths that two readers could understand differently, headers, clients, retries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.gateway.domain.clients import IN_PROCESS, bucket, client_address, networks
from boxoffice.services.gateway.domain.headers import inward, outward
from boxoffice.services.gateway.domain.retries import MOST_SAVED, RetryBudget, may_repeat
from boxoffice.services.gateway.domain.routes import ROUTES, SERVICES, Limit, find, is_plain


class TestRoutes:
    @pytest.mark.parametrize(
        ("path", "service"),
        [
            ("/.well-known/jwks.json", "identity"),
            ("/api/v1/auth/login", "identity"),
            ("/api/v1/users/me", "identity"),
            ("/api/v1/users/me/preferences", "notification"),
            ("/api/v1/organisations", "identity"),
            ("/api/v1/events", "catalog"),
            ("/api/v1/events/7", "catalog"),
            ("/api/v1/events/7/publish", "catalog"),
            ("/api/v1/events/7/availability", "tickets"),
            ("/api/v1/events/7/live", "tickets"),
            ("/api/v1/venues/3/seat-maps", "catalog"),
            ("/api/v1/seat-maps/3", "catalog"),
            ("/api/v1/categories", "catalog"),
            ("/api/v1/search/suggest", "search"),
            ("/api/v1/tickets/event/7/create", "tickets"),
            ("/api/v1/bookings/reserve", "bookings"),
            ("/api/v1/bookings/8a8f/tickets.pdf", "tickets"),
            ("/api/v1/payments/webhooks/paypal", "payments"),
            ("/api/v1/notifications/live", "notification"),
            ("/mailbox", "mailbox"),
            ("/mailbox/3", "mailbox"),
            ("/", "storefront"),
            ("/events/7", "storefront"),
            ("/apis", "storefront"),
        ],
    )
    def test_lead_to_the_service(self, path: str, service: str) -> None:
        route = find(path)
        assert route is not None
        assert route.service == service

    @pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/usersfoo", "/api/v2/users", "/api/v1/nothing"])
    def test_lead_nowhere_below_the_api_when_nobody_serves_it(self, path: str) -> None:
        assert find(path) is None

    @pytest.mark.parametrize(
        "path", ["/metrics/", "/metrics", "/health/ready/", "/health", "/openapi", "/openapi.json/"]
    )
    def test_do_not_lead_to_what_a_process_tells_those_who_run_it(self, path: str) -> None:
        assert find(path) is None

    def test_only_the_auth_paths_have_the_narrow_limit(self) -> None:
        assert [route.pattern for route in ROUTES if route.limit is Limit.AUTH] == ["/api/v1/auth"]

    def test_name_known_services(self) -> None:
        assert {route.service for route in ROUTES} <= {*SERVICES, "mailbox"}

    def test_a_narrower_pattern_stands_before_a_wider_one(self) -> None:
        for position, route in enumerate(ROUTES):
            for later in ROUTES[position + 1 :]:
                hidden = later.segments[: len(route.segments)] == route.segments
                assert not hidden, f"{later.pattern} is never reached behind {route.pattern}"


class TestPlainPaths:
    @pytest.mark.parametrize(
        ("path", "raw"),
        [
            ("/api/v1/../mailbox", b"/api/v1/../mailbox"),
            ("/api/v1/./users", b"/api/v1/./users"),
            ("//api/v1/users", b"//api/v1/users"),
            ("/api/v1/events/7/x", b"/api/v1/events/7%2Fx"),
            ("/api/v1/..", b"/api/v1/%2e%2e"),
            ("/a\\b", b"/a%5Cb"),
            ("/a\x00b", b"/a%00b"),
            ("/a\nb", b"/a%0Ab"),
            ("api", b"api"),
        ],
    )
    def test_refuse_what_can_be_read_in_two_ways(self, path: str, raw: bytes) -> None:
        assert not is_plain(path, raw)

    @pytest.mark.parametrize(
        "path", ["/", "/api/v1/events/7", "/static/seat-map.js", "/events/7-mahler", "/suche/größe"]
    )
    def test_take_the_rest(self, path: str) -> None:
        assert is_plain(path, path.encode())


class TestHeaders:
    def test_nobody_speaks_for_the_gateway(self) -> None:
        sent = [
            (b"x-user-id", b"1"), (b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-proto", b"https"),
            (b"x-real-ip", b"1.1.1.1"), (b"forwarded", b"for=1.1.1.1"), (b"authorization", b"Bearer x"),
        ]  # fmt: skip
        given_on = inward(sent, added=[(b"x-forwarded-for", b"9.9.9.9")])
        assert given_on == [(b"authorization", b"Bearer x"), (b"x-forwarded-for", b"9.9.9.9")]

    def test_a_connections_own_headers_end_with_it(self) -> None:
        sent = [(b"connection", b"close, X-Secret"), (b"x-secret", b"1"), (b"te", b"trailers"), (b"accept", b"*/*")]
        assert inward(sent, added=[]) == [(b"accept", b"*/*")]
        assert outward([(b"Transfer-Encoding", b"chunked"), (b"ETag", b'"1"')]) == [(b"etag", b'"1"')]


class TestClients:
    trusted = networks("10.0.0.0/8, fd00::/8")

    @pytest.mark.parametrize(
        ("peer", "forwarded", "client"),
        [
            ("203.0.113.5", [], "203.0.113.5"),
            ("203.0.113.5", ["1.1.1.1"], "203.0.113.5"),
            ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", ["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", ["1.1.1.1", "10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", ["nonsense"], "10.0.0.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
            (IN_PROCESS, ["1.1.1.1"], "1.1.1.1"),
            (IN_PROCESS, [], None),
        ],
    )
    def test_are_who_a_trusted_hop_says(self, peer: str, forwarded: list[str], client: str | None) -> None:
        assert client_address(peer, forwarded, self.trusted) == client

    def test_a_household_of_ipv6_is_one_client(self) -> None:
        assert bucket("2001:db8::1") == bucket("2001:db8::ffff") != bucket("2001:db8:0:1::1")
        assert bucket("203.0.113.5") == "203.0.113.5"


class TestRetries:
    def test_only_what_changes_nothing_is_repeated(self) -> None:
        assert may_repeat("GET", reached=True)
        assert not may_repeat("POST", reached=True)
        assert not may_repeat("DELETE", reached=True)
        assert may_repeat("POST", reached=False)

    @given(st.lists(st.booleans(), max_size=400))
    def test_are_never_more_than_a_tenth_beyond_what_was_saved(self, failures: list[bool]) -> None:
        budget, spent = RetryBudget(), 0
        for failed in failures:
            budget.called()
            spent += failed and budget.spend()
        assert spent <= MOST_SAVED + 0.1 * len(failures) + 1e-6
