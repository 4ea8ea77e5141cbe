"""Logins, their cookie, and forms that only our own pages may send."""

import base64
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute
from tests.support.gateway import Answer, Asked, FakeGateway, problem
from tests.unit.storefront.conftest import BOOKING, SECRET, browser, hidden, log_in, token

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services import storefront
from boxoffice.services.storefront.app import build
from boxoffice.services.storefront.domain.addresses import local_path
from boxoffice.services.storefront.domain.session import Session
from boxoffice.services.storefront.providers.sealing import Sealer

SESSION = Session(
    mark="m", access_token="a" * 900, refresh_token="r" * 60, expires_at=1, name="Ada", roles=("customer",)
)


def unreachable(_: Asked) -> tuple[int, Any]:
    raise httpx.ConnectError("nobody there")


class TestSeal:
    def test_opens_what_it_sealed(self) -> None:
        assert Sealer(SECRET).open(Sealer(SECRET).seal(SESSION)) == SESSION

    def test_opens_what_was_sealed_beforehand(self) -> None:
        """By AES-256-GCM under a key of HKDF with SHA-256: another cipher would open none of the cookies that are out."""
        sealed = (
            "6FW3h0vgGHPOV3sPcrWStzwNhdyzrHfA650TON7u6CbXqL_5UGvOUzJpRJIwiPtALk-y_dWmZ3hpOHR_vxyRRabNBhiwsOmEl_9t53K6HIQsUv93"
            "ZDUg0uYWGDwOzghpTRiMyXXOiVqPt7sNUWEou_97cQ"
        )
        assert Sealer(SECRET).open(sealed) == Session(mark="m", name="Ada")

    def test_shows_nothing_of_the_session(self) -> None:
        sealed = Sealer(SECRET).seal(SESSION)
        assert "aaaa" not in sealed
        assert sealed != Sealer(SECRET).seal(SESSION)

    def test_refuses_every_changed_byte(self) -> None:
        sealer = Sealer(SECRET)
        sealed = sealer.seal(SESSION)
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        assert sealer.open(base64.urlsafe_b64encode(raw).decode().rstrip("=")) == SESSION
        for at in range(len(raw)):
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
            assert sealer.open(base64.urlsafe_b64encode(changed).decode().rstrip("=")) is None

    @pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "=" * 50, "a" * 5000])
    def test_refuses_what_it_never_sealed(self, text: str) -> None:
        assert Sealer(SECRET).open(text) is None

    def test_refuses_another_secrets_seal(self) -> None:
        assert Sealer("another secret, also long").open(Sealer(SECRET).seal(SESSION)) is None

    def test_refuses_what_no_cookie_holds(self) -> None:
        with pytest.raises(ValueError, match="does not fit"):
            Sealer(SECRET).seal(Session(mark="m", access_token="a" * 4000))


class TestCookie:
    async def test_is_out_of_reach_of_scripts_and_other_sites(self, visitor: httpx.AsyncClient) -> None:
        cookie = (await log_in(visitor)).headers["set-cookie"].lower()
        assert cookie.startswith("session=")
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie

    async def test_is_bound_to_the_host_over_https(self, gateway: FakeGateway) -> None:
        async with browser(gateway, public_url="https://tickets.example") as client:
            cookie = (await client.get("/login")).headers["set-cookie"]
            assert cookie.startswith("__Host-session=")
            assert "Secure" in cookie
            assert "Domain" not in cookie

    async def test_of_another_key_is_thrown_away(self, gateway: FakeGateway) -> None:
        async with browser(gateway) as client:
            client.cookies.set("session", Sealer("another secret, also long").seal(SESSION))
            page = await client.get("/")
            assert "Log in" in page.text
            assert "Max-Age=0" in page.headers["set-cookie"]


class TestLogin:
    async def test_goes_where_the_visitor_was_going(self, visitor: httpx.AsyncClient) -> None:
        answer = await log_in(visitor, next_path="/events/7?choose=1,2")
        assert (answer.status_code, answer.headers["location"]) == (303, "/events/7?choose=1,2")

    @pytest.mark.parametrize(
        "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"]
    )
    async def test_never_leads_elsewhere(self, visitor: httpx.AsyncClient, elsewhere: str) -> None:
        assert (await log_in(visitor, next_path=elsewhere)).headers["location"] == "/bookings"

    async def test_makes_a_new_mark(self, visitor: httpx.AsyncClient) -> None:
        before = hidden(await visitor.get("/login"), "csrf")
        await log_in(visitor)
        answer = await visitor.post("/logout", data={"csrf": before})
        assert answer.status_code == 403

    async def test_shows_what_was_wrong_and_never_the_password(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        gateway.answers["POST /auth/login"] = problem(401, "identity.bad_credentials", "These do not fit")
        answer = await log_in(visitor)
        assert answer.status_code == 401
        assert "These do not fit" in answer.text
        assert 'value="ada@example.org"' in answer.text
        assert "some words here" not in answer.text

    async def test_over_another_ends_that_one(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        form = {
            "csrf": hidden(await customer.get("/events/7"), "csrf"),
            "email": "eve@example.org",
            "password": "wrong",
        }
        entered, gateway.answers["POST /auth/login"] = gateway.answers["POST /auth/login"], problem(401, "identity.no")
        await customer.post("/login", data=form)
        assert gateway.calls("POST /auth/logout") == []
        gateway.answers["POST /auth/login"] = entered
        answer = await customer.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/bookings")
        assert [call.body for call in gateway.calls("POST /auth/logout")] == [{"refreshToken": "r1"}]

    @pytest.mark.parametrize("answer_of_the_old", [problem(401, "identity.no"), problem(503, "no"), unreachable])
    async def test_over_another_goes_on_when_that_one_cannot_be_ended(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, answer_of_the_old: Answer
    ) -> None:
        form = {"csrf": hidden(await customer.get("/events/7"), "csrf"), "email": "a@example.org", "password": "words"}
        gateway.answers["POST /auth/logout"] = answer_of_the_old
        answer = await customer.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/bookings")

    async def test_ends_here_and_at_the_api(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        answer = await log_out(customer)
        assert answer.headers["location"] == "/"
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert gateway.calls("POST /auth/logout")[0].body == {"refreshToken": "r1"}
        assert (await customer.get("/bookings")).status_code == 303

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_ends_here_and_says_so_when_the_api_does_not_hear_of_it(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, status: int
    ) -> None:
        gateway.answers["POST /auth/logout"] = problem(status, "runtime.peer_unavailable", retryAfterSeconds=2)
        answer = await log_out(customer)
        assert answer.status_code == 503
        assert "in this browser only" in answer.text
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert (await customer.get("/bookings")).status_code == 303

    async def test_that_was_over_already_ends_as_ever(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers["POST /auth/logout"] = problem(401, "identity.login_over")
        answer = await log_out(customer)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def log_out(customer: httpx.AsyncClient) -> httpx.Response:
    """Press the button of a page."""
    page = await customer.get("/events/7")
    field = re.search(r'action="/logout"[^>]*>\s*<input type="hidden" name="csrf" value="([^"]+)"', page.text)
    assert field
    return await customer.post("/logout", data={"csrf": field[1]})


class TestRenewal:
    async def test_happens_before_the_token_ends_with_one_key_for_all(self, gateway: FakeGateway) -> None:
        gateway.answers["GET /bookings"] = (200, {"bookings": []})
        gateway.answers["POST /auth/refresh"] = (
            200, {"accessToken": token(["customer"]), "refreshToken": "r2", "expiresInSeconds": 600},
        )  # fmt: skip
        async with browser(gateway) as client:
            client.cookies.set("session", Sealer(SECRET).seal(SESSION))
            answers = [
                await client.get("/bookings", headers={"cookie": f"session={Sealer(SECRET).seal(SESSION)}"})
                for _ in "ab"
            ]
        assert all(answer.status_code == 200 and "set-cookie" in answer.headers for answer in answers)
        keys = {call.headers["idempotency-key"] for call in gateway.calls("POST /auth/refresh")}
        assert len(keys) == 1
        assert gateway.calls("GET /bookings")[0].headers["authorization"] == f"Bearer {token(['customer'])}"

    async def test_of_a_login_that_is_over_leads_to_the_login(self, gateway: FakeGateway) -> None:
        gateway.answers["POST /auth/refresh"] = problem(401, "identity.login_over")
        async with browser(gateway) as client:
            client.cookies.set("session", Sealer(SECRET).seal(SESSION))
            answer = await client.get("/bookings")
        assert answer.headers["location"] == "/login?next=/bookings"
        assert "Max-Age=0" in answer.headers["set-cookie"]

    async def test_that_identity_cannot_answer_now_keeps_the_login(self, gateway: FakeGateway) -> None:
        gateway.answers["POST /auth/refresh"] = problem(503, "runtime.peer_unavailable", retryAfterSeconds=2)
        async with browser(gateway) as client:
            client.cookies.set("session", Sealer(SECRET).seal(SESSION))
            answer = await client.get("/")
        assert "Log out" in answer.text


class TestPasswordFields:
    @pytest.mark.parametrize(
        ("page", "says"),
        [("/login", "current-password"), ("/register", "new-password"), ("/reset-password?token=t", "new-password")],
    )
    async def test_hide_what_is_typed_and_let_it_be_filled_in(
        self, visitor: httpx.AsyncClient, page: str, says: str
    ) -> None:
        fields = re.findall(r'<input [^>]*name="password"[^>]*>', (await visitor.get(page)).text)
        assert len(fields) == 1
        assert 'type="password"' in fields[0]
        assert f'autocomplete="{says}"' in fields[0]
        assert not re.search(r"readonly|\son\w+=|maxlength", fields[0]), "a paste is neither stopped nor cut in silence"

    def test_no_script_stops_a_paste(self) -> None:
        listened = re.compile(r"""(['"`]|\bon)(paste|beforeinput|copy|drop)\b""")
        scripts = sorted((Path(storefront.__file__).parent / "static").glob("*.js"))
        assert scripts
        assert [script.name for script in scripts if listened.search(script.read_text())] == []


PARTS = {"event_id": "7", "allocation_id": "4", "booking_id": BOOKING}
"""What stands in the addresses of forms."""


def form_addresses() -> list[str]:
    """Every address of the storefront that takes anything but a question, as its routes say."""
    app = build(Settings(session_secret=SECRET), Peers({}))
    return sorted(
        "".join(f"/{part if isinstance(part, str) else PARTS[part.name]}" for part in route.path_components)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.methods - {"GET", "HEAD", "OPTIONS"}
    )


class TestForms:
    FORMS = form_addresses()

    def test_are_all_looked_at(self) -> None:
        assert {"/login", "/events/7/hold", f"/bookings/{BOOKING}/extend"} < set(self.FORMS)
        assert len(self.FORMS) == 15

    @pytest.mark.parametrize("address", FORMS)
    async def test_without_the_pages_token_change_nothing(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, address: str
    ) -> None:
        before = len(gateway.asked)
        for csrf in ({}, {"csrf": ""}, {"csrf": "AAAA"}, {"csrf": "é%"}):
            answer = await customer.post(address, data={**csrf, "place": "0", "ticket": "1"})
            assert answer.status_code == 403, address
        assert len(gateway.asked) == before

    @pytest.mark.parametrize("address", FORMS)
    @pytest.mark.parametrize(
        "sender",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ],
    )
    async def test_from_another_site_change_nothing(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, address: str, sender: dict[str, str]
    ) -> None:
        page = await customer.get(f"/bookings/{BOOKING}")
        before = len(gateway.asked)
        answer = await customer.post(address, data={"csrf": hidden(page, "csrf")}, headers=sender)
        assert answer.status_code == 403
        assert len(gateway.asked) == before

    async def test_from_our_own_page_are_taken(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7")
        form = {"csrf": hidden(page, "csrf"), "key": "k", "place": "0"}
        answer = await customer.post("/events/7/hold", data=form, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 303
        assert gateway.calls("POST /bookings/reserve")

    async def test_of_another_visitor_are_refused(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        async with browser(gateway) as other:
            await log_in(other)
            foreign = hidden(await other.get("/events/7"), "csrf")
        assert (await customer.post("/events/7/hold", data={"csrf": foreign, "place": "0"})).status_code == 403

    async def test_carry_a_token_that_looks_different_each_time(self, customer: httpx.AsyncClient) -> None:
        tokens = {hidden(await customer.get("/events/7"), "csrf") for _ in range(3)}
        assert len(tokens) == 3


class TestLocalPath:
    @pytest.mark.parametrize("path", ["/", "/events/7?choose=1,2", "/bookings#x"])
    def test_passes_our_own_pages(self, path: str) -> None:
        assert local_path(path) == path

    @pytest.mark.parametrize(
        "text",
        ["", None, "events", "//evil", "///evil", "/\\evil", "\\/evil", "https://evil", "javascript:alert(1)", "/\n/evil",
         "/ /evil", "/\x00", "/\x7f", "/" + "a" * 3000],
    )  # fmt: skip
    def test_refuses_everything_else(self, text: str | None) -> None:
        assert local_path(text, default="/here") == "/here"
