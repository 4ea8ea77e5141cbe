"""Pages as a browser gets them: what they show, how they may be kept, and what their forms do at the API."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.gateway import Asked, FakeGateway, problem
from tests.unit.storefront.conftest import (
    BOOKING,
    SEATS,
    SHOP,
    TICKET,
    availability,
    booking,
    browser,
    event,
    hidden,
    log_in,
    seat,
)

from boxoffice.services.storefront.api.files import FOLDER, Files

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; script-src "
)
"""Written down once more, so that nothing is let in by a slip of the other."""


class TestPublicPages:
    async def test_can_be_kept_by_proxies_and_answered_with_not_modified(self, visitor: httpx.AsyncClient) -> None:
        first = await visitor.get("/events/7")
        assert first.status_code == 200
        assert first.headers["cache-control"].startswith("public, max-age=")
        assert first.headers["vary"] == "Cookie"
        assert "set-cookie" not in first.headers
        again = await visitor.get("/events/7", headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304
        assert not again.content

    @pytest.mark.parametrize(
        ("address", "browser_s", "shared_s", "at_most_s"),
        [("/", 10, 30, 50), ("/search?q=mahler", 10, 30, 50), ("/events/7", 5, 15, 25), ("/events/7/seats", 5, 10, 25)],
    )
    async def test_say_how_long_they_are_kept_and_how_old_they_may_be_shown(
        self, visitor: httpx.AsyncClient, address: str, browser_s: int, shared_s: int, at_most_s: int
    ) -> None:
        said = (await visitor.get(address)).headers["cache-control"]
        stale_s = at_most_s - shared_s
        assert said == f"public, max-age={browser_s}, s-maxage={shared_s}, stale-while-revalidate={stale_s}"

    async def test_show_the_event_with_its_price_levels_and_what_is_free(self, visitor: httpx.AsyncClient) -> None:
        page = (await visitor.get("/events/7")).text
        assert "Mahler Symphony No. 5" in page
        assert "Sunday 14 March 2027" in page
        assert "<strong>19:30</strong>" in page  # on the venue's clock
        assert re.search(r"80\.00 USD</b><span[^>]*>2 free", page)
        assert re.search(r"40\.50 USD</b><span[^>]*>3 free", page)
        assert 'data-letters="0001111"' in page
        assert "Plan: the house" in page  # the credit of the seat map

    @pytest.mark.parametrize("address", ["/", "/search?q=mahler", "/events/7", "/events/7/seats"])
    async def test_let_a_browser_load_and_frame_nothing_else(self, visitor: httpx.AsyncClient, address: str) -> None:
        page = await visitor.get(address)
        again = await visitor.get(address, headers={"if-none-match": page.headers["etag"]})
        assert (page.status_code, again.status_code) == (200, 304)
        for answer in (page, again):
            assert answer.headers.get_list("content-security-policy") == [f"{POLICY}'self'"]
            assert answer.headers["x-frame-options"] == "DENY"

    async def test_run_no_script_but_our_files(self, visitor: httpx.AsyncClient) -> None:
        page = await visitor.get("/")
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"<script(?![^>]*src=)", page.text)
        assert not re.search(r"\son\w+=", page.text)
        assert " style=" not in page.text

    async def test_take_and_send_nothing_from_and_to_elsewhere(
        self, visitor: httpx.AsyncClient, customer: httpx.AsyncClient
    ) -> None:
        for client, address, scripts in (
            (visitor, "/", "'self'"), (visitor, "/events/7", "'self'"), (customer, f"/bookings/{BOOKING}", "'nonce-…'"),
        ):  # fmt: skip
            page = await client.get(address)
            policy = re.sub(r"nonce-[\w-]+", "nonce-…", page.headers["content-security-policy"])
            assert dict(part.strip().split(" ", 1) for part in policy.split(";")) == {
                "default-src": "'none'", "style-src": "'self'", "img-src": "'self' data:", "connect-src": "'self'",
                "font-src": "'self'", "manifest-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
                "frame-ancestors": "'none'", "script-src": scripts,
            }  # fmt: skip
            loaded = re.findall(
                r"""<(?:script|link|img|iframe|source|form)\b[^>]*?\s(?:src|href|action)="([^"]*)""", page.text
            )
            assert loaded
            assert not [address for address in loaded if not re.match(r"/(?!/)", address)]

    async def test_render_what_people_typed_as_text(self, gateway: FakeGateway, visitor: httpx.AsyncClient) -> None:
        nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
        gateway.answers["GET /events/7"] = (200, event(name=nasty, description=nasty))
        gateway.answers["GET /tickets/event/7"] = (
            200,
            [{**seat, "priceLevel": nasty, "section": nasty} for seat in SEATS],
        )
        for address in ("/events/7", "/events/7/seats"):
            page = (await visitor.get(address)).text
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert "&lt;script&gt;alert(1)" in page

    async def test_a_search_passes_its_words_on(self, gateway: FakeGateway, visitor: httpx.AsyncClient) -> None:
        assert (await visitor.get("/search", params={"q": "mahlr", "pageNo": "2", "evil": "1"})).status_code == 200
        assert {"q=mahlr", "pageNo=2", "pageSize=20"} <= set(gateway.calls("GET /search")[0].query.split("&"))
        assert "evil" not in gateway.calls("GET /search")[0].query

    async def test_list_seats_without_a_script(self, visitor: httpx.AsyncClient) -> None:
        page = (await visitor.get("/events/7/seats")).text
        boxes = re.findall(r'<input type="checkbox" name="place" value="(\d)"( disabled)?', page)
        assert boxes == [("0", ""), ("1", " disabled"), ("2", ""), ("3", " disabled"), ("4", ""), ("5", ""), ("6", "")]

    async def test_places_in_no_plan_and_no_area_are_chosen_for_the_buyer(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        gateway.answers["GET /events/7"] = (200, event(seatMapId=None))
        page = (await visitor.get("/events/7")).text
        assert "<seat-map" not in page
        assert 'name="quantity"' in page

    async def test_general_admission_asks_how_many_for_each_area_and_explains_the_limit(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        general_admission(gateway, event(seatMapId=None, limitPerCustomer=12), {"Standing": 0, "Terrace": 4})
        page = (await visitor.get("/events/7")).text
        assert "<seat-map" not in page
        assert "Up to 8 places at once, 12 in all for one customer" in page
        assert re.findall(r'name="level" value="(\w+)"', page) == ["Standing", "Terrace"]
        assert re.findall(r"<fieldset( disabled)?>", page) == [" disabled", ""]
        assert re.findall(r'name="quantity" inputmode="numeric" min="1" max="(\d)"', page) == ["1", "4"]
        assert "none left at the moment" in page
        assert "4 places free" in page

    async def test_general_admission_is_no_list_of_seats(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        general_admission(gateway, event(seatMapId=None), {"Standing": 3})
        page = (await visitor.get("/events/7/seats")).text
        assert 'name="place"' not in page
        assert "places are not numbered" in page

    async def test_a_mixed_hall_shows_its_plan_and_its_areas(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        general_admission(gateway, event(), {"Standing": 5}, beside=SEATS)
        page = (await visitor.get("/events/7")).text
        assert 'data-letters="0002222"' in page
        assert "Places without a seat" in page
        assert "5 places free" in page
        assert re.findall(r'data-level-free="(\d)">(\d) free', page) == [("0", "2"), ("2", "3")]
        assert re.findall(r'<option value="([A-Z]\w+)"', page) == ["Standard", "Rear"]

    async def test_the_plain_list_offers_to_choose_for_the_buyer_too(self, visitor: httpx.AsyncClient) -> None:
        page = (await visitor.get("/events/7/seats")).text
        assert 'name="quantity"' in page
        assert 'name="together" value="yes" checked' in page


def general_admission(
    gateway: FakeGateway, shown: dict[str, Any], free: dict[str, int], *, beside: Sequence[dict[str, Any]] = ()
) -> None:
    """Let the event have areas with five places each, of which so many are free."""
    gateway.answers["GET /events/7"] = (200, shown)
    areas = [
        {"name": name, "capacity": 5, "free": n, "held": 5 - n, "sold": 0, "blocked": 0} for name, n in free.items()
    ]
    house = availability([0, 2, 0, 1, 0, 0, 0] if beside else [])
    gateway.answers["GET /events/7/availability"] = (
        200, {**house, "free": house["free"] + sum(free.values()), "areas": areas},
    )  # fmt: skip
    places = [
        {**seat(100 + 5 * number + at, "", str(at + 1), price="45.00", level=name), "section": name}
        for number, name in enumerate(free)
        for at in range(5)
    ]
    gateway.answers["GET /tickets/event/7"] = (200, [*beside, *places])


class TestPictureOfTheHouse:
    async def test_is_kept_for_ever_and_drawn_once(self, gateway: FakeGateway, visitor: httpx.AsyncClient) -> None:
        address = re.search(r'data-drawing="([^"]+)"', (await visitor.get("/events/7")).text)
        assert address
        picture = await visitor.get(address[1])
        assert picture.headers["content-type"] == "image/svg+xml; charset=utf-8"
        assert "immutable" in picture.headers["cache-control"]
        assert re.findall(r'data-p="(\d)" data-n="(\d)"', picture.text)[:3] == [("0", "1"), ("1", "2"), ("2", "3")]
        assert len(gateway.calls("GET /seat-maps/3")) == 1
        again = await visitor.get(address[1], headers={"if-none-match": picture.headers["etag"]})
        assert again.status_code == 304

    async def test_of_an_unknown_version_or_map_is_not_there(self, visitor: httpx.AsyncClient) -> None:
        assert (await visitor.get("/houses/3/none/house.svg")).status_code == 404
        assert (await visitor.get("/houses/99/1/house.svg")).status_code == 404


class TestFiles:
    async def test_are_kept_for_ever_at_their_versions_address(self, visitor: httpx.AsyncClient) -> None:
        page = (await visitor.get("/")).text
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            file = await visitor.get(address)
            assert file.status_code == 200
            assert "immutable" in file.headers["cache-control"]
        old = await visitor.get("/static/0000/shop.css")
        assert old.headers["cache-control"] == "no-cache"

    async def test_say_their_type_and_the_charset_where_they_are_text(self, visitor: httpx.AsyncClient) -> None:
        for address in ("/favicon.ico", *(f"/static/x/{path.name}" for path in FOLDER.iterdir())):
            said = (await visitor.get(address)).headers["content-type"]
            assert re.fullmatch(r"(text/(css|javascript)|image/svg\+xml); charset=utf-8", said), address

    @pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "app.py"])
    async def test_others_are_not_given_out(self, visitor: httpx.AsyncClient, name: str) -> None:
        assert (await visitor.get(f"/static/x/{name}")).status_code == 404

    @pytest.mark.parametrize(
        "address", ["/static", "/static/", "/static/{}", "/static/{}/", "/static/{}/.", "/houses/", "/docs/"]
    )
    async def test_of_a_folder_are_not_listed(self, visitor: httpx.AsyncClient, address: str) -> None:
        version = Files().version
        assert (await visitor.get(address.format(version))).status_code == 404

    @pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
    def test_keep_nothing_in_the_browser_and_load_nothing_from_elsewhere(self, file: Path) -> None:
        text = file.read_text()
        assert not re.findall(
            r"localStorage|sessionStorage|indexedDB|\bcaches\b|cookie|serviceWorker|cookieStore", text
        )
        assert not re.findall(r"sendBeacon|importScripts|\beval\(|new Function", text)
        assert set(re.findall(r"\w+://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.findall(r"[\"'`(]//\w", text)
        assert all(name.startswith("./") for name in re.findall(r"(?:from|import)\s*\(?[\"'`]([^\"'`]+)", text))


class TestPersonalPages:
    @pytest.mark.parametrize(
        "address", ["/bookings", f"/bookings/{BOOKING}", f"/bookings/{BOOKING}/cancel", "/organiser"]
    )
    async def test_lead_to_the_login_and_back(self, visitor: httpx.AsyncClient, address: str) -> None:
        answer = await visitor.get(address)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/login?next={address}"

    async def test_are_kept_nowhere_and_run_scripts_with_their_nonce_only(self, customer: httpx.AsyncClient) -> None:
        page = await customer.get(f"/bookings/{BOOKING}")
        assert page.headers["cache-control"] == "private, no-store"
        nonce = re.search(r"script-src 'nonce-([\w-]+)'$", page.headers["content-security-policy"])
        assert nonce
        assert set(re.findall(r"<script[^>]*>", page.text)) == {
            tag for tag in re.findall(r"<script[^>]*>", page.text) if f'nonce="{nonce[1]}"' in tag
        }

    @pytest.mark.parametrize(
        ("address", "status"),
        [
            ("/", 200), ("/events/7", 200), ("/events/7/seats", 200), (f"/bookings/{BOOKING}", 200), ("/forgot-password", 200),
            (f"/bookings/{BOOKING}/cancel", 200), ("/register", 200), ("/no/such/page", 404),
        ],
    )  # fmt: skip
    async def test_let_a_browser_load_and_frame_nothing_else(
        self, customer: httpx.AsyncClient, address: str, status: int
    ) -> None:
        page = await customer.get(address)
        assert page.status_code == status
        (policy,) = page.headers.get_list("content-security-policy")
        assert re.fullmatch(re.escape(POLICY) + r"'nonce-[\w-]{22}'", policy)
        assert page.headers["x-frame-options"] == "DENY"

    async def test_a_public_page_is_personal_for_who_is_logged_in(self, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7")
        assert page.headers["cache-control"] == "private, no-store"
        assert "Log out" in page.text

    async def test_carry_the_visitors_own_token(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        await customer.get(f"/bookings/{BOOKING}", headers={"x-forwarded-for": "203.0.113.9"})
        asked = gateway.calls(f"GET /bookings/{BOOKING}")[0]
        assert asked.headers["authorization"].startswith("Bearer head.")
        assert asked.headers["x-forwarded-for"] == "203.0.113.9"

    async def test_show_the_servers_seconds_and_the_price(self, customer: httpx.AsyncClient) -> None:
        page = (await customer.get(f"/bookings/{BOOKING}")).text
        assert 'data-seconds="1199"' in page
        assert "19:59" in page
        assert "120.50 USD" in page
        assert "get 80 % back" in page

    async def test_a_token_that_the_api_refuses_ends_the_login(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        gateway.answers["GET /bookings"] = problem(401, "identity.unauthenticated")
        answer = await customer.get("/bookings")
        assert answer.headers["location"] == "/login?next=/bookings"
        assert 'session="";' in answer.headers["set-cookie"] or "Max-Age=0" in answer.headers["set-cookie"]


class TestHold:
    async def test_holds_the_chosen_seats_once_for_a_double_click(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        page = await customer.get("/events/7")
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), "place": ["0", "4"]}
        answers = [await customer.post("/events/7/hold", data=form) for _ in range(2)]
        assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {
            (303, f"/bookings/{BOOKING}")
        }
        first, second = gateway.calls("POST /bookings/reserve")
        assert first.body == {"eventId": 7, "ticketIds": [(7 << 20) | 0, (7 << 20) | 4]}
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"]

    async def test_another_choice_is_another_wish(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7")
        fields = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key")}
        for place in ("0", "2"):
            await customer.post("/events/7/hold", data={**fields, "place": place})
        assert len({call.headers["idempotency-key"] for call in gateway.calls("POST /bookings/reserve")}) == 2

    async def test_asks_for_the_best_seats(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7")
        form = {"csrf": hidden(page, "csrf"), "key": "k", "quantity": "3", "level": "Rear", "together": "yes"}
        await customer.post("/events/7/hold", data=form)
        assert gateway.calls("POST /bookings/reserve")[0].body == {
            "eventId": 7, "quantity": 3, "priceLevel": "Rear", "together": True,
        }  # fmt: skip

    async def test_names_lost_seats_and_keeps_the_others_chosen(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        taken = [{"ticketId": 7 << 20, "section": "Stalls", "row": "A", "number": "1"}]
        gateway.answers["POST /bookings/reserve"] = problem(
            409, "sales.seats_taken", "Some seats are taken", taken=taken
        )
        page = await customer.get("/events/7")
        answer = await customer.post(
            "/events/7/hold", data={"csrf": hidden(page, "csrf"), "key": "k", "place": ["0", "2"]}
        )
        assert answer.status_code == 409
        assert "<li>Stalls, row A, seat 1</li>" in answer.text
        assert 'data-chosen="2"' in answer.text

    async def test_says_why_it_was_refused(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers["POST /bookings/reserve"] = problem(
            409, "sales.limit_reached", "Too many", "At most 8 tickets."
        )
        page = await customer.get("/events/7")
        answer = await customer.post("/events/7/hold", data={"csrf": hidden(page, "csrf"), "place": ["0"]})
        assert answer.status_code == 409
        assert "At most 8 tickets." in answer.text

    async def test_leads_to_the_login_and_keeps_the_choice(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        answer = await visitor.post("/events/7/hold", data={"place": ["0", "2"]})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=/events/7%3Fchoose%3D0%252C2"
        assert not gateway.calls("POST /bookings/reserve")
        page = await visitor.get("/events/7?choose=0,2,99,x")
        assert 'data-chosen="0,2"' in page.text

    async def test_of_a_login_that_ended_meanwhile_keeps_the_choice(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        page = await customer.get("/events/7")
        gateway.answers["POST /bookings/reserve"] = problem(401, "identity.unauthenticated")
        answer = await customer.post("/events/7/hold", data={"csrf": hidden(page, "csrf"), "place": "0"})
        assert answer.headers["location"] == "/login?next=/events/7%3Fchoose%3D0"

    @pytest.mark.parametrize("form", ["hold", "pay", "give-back"])
    async def test_a_forms_address_loaded_again_leads_back_to_its_page(
        self, customer: httpx.AsyncClient, form: str
    ) -> None:
        page = "/events/7" if form == "hold" else f"/bookings/{BOOKING}"
        assert (await customer.get(f"{page}/{form}")).headers["location"] == page


class TestPaying:
    async def test_leads_to_the_provider_by_a_page_of_ours(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        approval = "https://pay.example/approve?token=1"
        gateway.answers["POST /payments/create"] = (
            201,
            {"paymentId": BOOKING, "approvalUrl": approval, "status": "CREATED"},
        )
        page = await customer.get(f"/bookings/{BOOKING}")
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key")}
        answer = await customer.post(f"/bookings/{BOOKING}/pay", data=form)
        assert answer.status_code == 200
        assert answer.headers["refresh"] == f"0; url={approval}"
        body = gateway.calls("POST /payments/create")[0].body
        assert body["returnUrl"] == f"{SHOP}/bookings/{BOOKING}/return"

    @pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x"])
    async def test_never_leads_to_anything_but_a_web_address(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, address: str
    ) -> None:
        gateway.answers["POST /payments/create"] = (
            201,
            {"paymentId": BOOKING, "approvalUrl": address, "status": "CREATED"},
        )
        page = await customer.get(f"/bookings/{BOOKING}")
        answer = await customer.post(f"/bookings/{BOOKING}/pay", data={"csrf": hidden(page, "csrf"), "key": "k"})
        assert answer.status_code == 503
        assert address not in answer.text

    async def test_a_free_booking_is_confirmed_at_once(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking(total="0.00"))
        gateway.answers[f"PUT /bookings/confirm/{BOOKING}"] = (200, booking("CONFIRMED", total="0.00"))
        page = await customer.get(f"/bookings/{BOOKING}")
        answer = await customer.post(f"/bookings/{BOOKING}/pay", data={"csrf": hidden(page, "csrf"), "key": "k"})
        assert answer.headers["location"] == f"/bookings/{BOOKING}?paid=now"
        assert not gateway.calls("POST /payments/create")

    @pytest.mark.parametrize(("status", "leads_to"), [("CONFIRMED", "paid"), ("HELD", "unpaid"), ("EXPIRED", "unpaid")])
    async def test_coming_back_shows_what_the_api_says(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, status: str, leads_to: str
    ) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking(status))
        answer = await customer.get(f"/bookings/{BOOKING}/return?status=CAPTURED")
        assert answer.headers["location"] == f"/bookings/{BOOKING}?{leads_to}=now"

    async def test_waits_for_the_provider_but_not_for_ever(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking("PAYING"))
        assert "round=1" in (await customer.get(f"/bookings/{BOOKING}/return")).headers["refresh"]
        last = await customer.get(f"/bookings/{BOOKING}/return?round=40")
        assert "refresh" not in last.headers
        assert "kept for you" in last.text

    async def test_a_declined_card_is_called_by_its_name(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        payment = {"paymentId": BOOKING, "status": "FAILED"}
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking("RELEASED", payment=payment))
        assert "The payment did not go through" in (await customer.get(f"/bookings/{BOOKING}")).text
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking("RELEASED"))
        assert "The seats were given back" in (await customer.get(f"/bookings/{BOOKING}")).text


class TestTickets:
    async def test_stand_with_their_codes(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking("CONFIRMED"))
        gateway.answers[f"GET /tickets/{TICKET}/qr.png"] = (200, b"png")
        page = await customer.get(f"/bookings/{BOOKING}")
        assert f'src="/tickets/{TICKET}/qr.png"' in page.text
        code = await customer.get(f"/tickets/{TICKET}/qr.png")
        assert (code.content, code.headers["cache-control"]) == (b"png", "private, no-store")
        assert code.headers["content-disposition"] == 'inline; filename="ticket-11111111.png"'
        assert gateway.calls(f"GET /tickets/{TICKET}/qr.png")[0].headers["authorization"].startswith("Bearer ")

    @pytest.mark.parametrize(
        ("address", "asked", "name"),
        [
            (f"/tickets/{TICKET}/ticket.pdf", f"/tickets/{TICKET}.pdf", "ticket-11111111.pdf"),
            (f"/bookings/{BOOKING}/tickets.pdf", f"/bookings/{BOOKING}/tickets.pdf", "tickets-8a8f2c0e.pdf"),
        ],
    )
    async def test_are_saved_under_a_name_of_ours(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, address: str, asked: str, name: str
    ) -> None:
        gateway.answers[f"GET {asked}"] = (200, b"pdf")
        file = await customer.get(address)
        assert file.content == b"pdf"
        assert file.headers["content-disposition"] == f'attachment; filename="{name}"'

    async def test_are_for_their_owner_only(self, visitor: httpx.AsyncClient) -> None:
        assert (await visitor.get(f"/tickets/{TICKET}/qr.png")).status_code == 303

    async def test_cancelling_shows_the_policy_and_the_sum_first(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking("CONFIRMED"))
        gateway.answers[f"POST /bookings/{BOOKING}/cancel"] = (200, booking("CANCELLED"))
        page = await customer.get(f"/bookings/{BOOKING}/cancel")
        assert "80 %" in page.text
        assert "96.40 USD" in page.text  # 64.00 + 32.40, each rounded as the policy says
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), "ticket": str(SEATS[0]["ticketId"])}
        answer = await customer.post(f"/bookings/{BOOKING}/cancel", data=form)
        assert answer.headers["location"] == f"/bookings/{BOOKING}"
        assert gateway.calls(f"POST /bookings/{BOOKING}/cancel")[0].body == {"ticketIds": [SEATS[0]["ticketId"]]}


class TestChanges:
    async def test_more_time_is_asked_for_once_a_form(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking(extendable=True))
        gateway.answers[f"POST /bookings/{BOOKING}/extend"] = (200, booking())
        page = await customer.get(f"/bookings/{BOOKING}")
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key")}
        for _ in range(2):
            assert (await customer.post(f"/bookings/{BOOKING}/extend", data=form)).status_code == 303
        keys = [call.headers["idempotency-key"] for call in gateway.calls(f"POST /bookings/{BOOKING}/extend")]
        assert len(keys) == 2
        assert len(set(keys)) == 1

    async def test_is_not_offered_twice(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, booking(extendable=False))
        assert "/extend" not in (await customer.get(f"/bookings/{BOOKING}")).text

    async def test_names_who_comes_and_sends_only_what_changed(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        shown = booking("CONFIRMED")
        shown["tickets"][0] |= {"attendeeName": "Zoë <b>", "attendeeEmail": "zoe@example.org"}
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, shown)
        gateway.answers[f"PATCH /bookings/{BOOKING}/attendees"] = (200, shown)
        page = await customer.get(f"/bookings/{BOOKING}")
        assert "Zoë &lt;b&gt;" in page.text
        first, second = (ticket["ticketId"] for ticket in shown["tickets"])
        form = {"csrf": hidden(page, "csrf"), f"name-{first}": "Zoë <b>", f"name-{second}": "Jan"}
        assert (await customer.post(f"/bookings/{BOOKING}/attendees", data=form)).status_code == 303
        (call,) = gateway.calls(f"PATCH /bookings/{BOOKING}/attendees")
        assert call.body == {"attendees": [{"ticketId": second, "name": "Jan", "email": None}]}


class TestTicketTypes:
    async def test_are_chosen_before_paying_and_the_pages_total_is_what_is_paid(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        held = with_types(booking())
        cheaper = with_types(booking(total="60.50"), chosen="Child")
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, held)
        gateway.answers[f"PATCH /bookings/{BOOKING}/ticket-types"] = (200, cheaper)
        gateway.answers["POST /payments/create"] = (
            201, {"paymentId": BOOKING, "approvalUrl": "https://pay.example/1", "status": "CREATED"},
        )  # fmt: skip
        page = await customer.get(f"/bookings/{BOOKING}")
        assert re.findall(r'<option value="(\w+)" data-price="([\d.]+)"( selected)?', page.text) == [
            ("Adult", "80.00", " selected"), ("Child", "20.00", ""),
        ]  # fmt: skip
        first = held["tickets"][0]["ticketId"]
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), f"type-{first}": "Child", "shown": "120.50"}
        surprised = await customer.post(f"/bookings/{BOOKING}/pay", data=form)
        assert surprised.headers["location"] == f"/bookings/{BOOKING}?total=new"
        assert not gateway.calls("POST /payments/create")
        shown = await customer.post(f"/bookings/{BOOKING}/pay", data={**form, "shown": "60.50"})
        assert shown.headers["refresh"] == "0; url=https://pay.example/1"
        (call, _) = gateway.calls(f"PATCH /bookings/{BOOKING}/ticket-types")
        assert call.body == {"ticketTypes": {str(first): "Child"}}

    async def test_need_no_script_and_are_asked_for_only_when_they_change(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        held = with_types(booking())
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, held)
        gateway.answers[f"PATCH /bookings/{BOOKING}/ticket-types"] = (200, held)
        page = await customer.get(f"/bookings/{BOOKING}")
        assert f'formaction="/bookings/{BOOKING}/types"' in page.text
        for kind in ("Adult", "Child"):
            form = {"csrf": hidden(page, "csrf"), f"type-{held['tickets'][0]['ticketId']}": kind}
            answer = await customer.post(f"/bookings/{BOOKING}/types", data=form)
            assert answer.headers["location"] == f"/bookings/{BOOKING}"
        assert len(gateway.calls(f"PATCH /bookings/{BOOKING}/ticket-types")) == 1
        assert "The total is 120.50 USD now" in (await customer.get(f"/bookings/{BOOKING}?total=new")).text

    async def test_stand_beside_the_notice_of_a_limited_view(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        held = with_types(booking())
        held["tickets"][0] |= {"notice": "Behind a pillar"}
        gateway.answers[f"GET /bookings/{BOOKING}"] = (200, held)
        page = (await customer.get(f"/bookings/{BOOKING}")).text
        assert page.index("Behind a pillar") < page.index("<select name=") < page.index("data-pay")

    async def test_without_any_the_page_is_as_ever(self, customer: httpx.AsyncClient) -> None:
        page = (await customer.get(f"/bookings/{BOOKING}")).text
        assert "<select" not in page
        assert "Update the total" not in page

    async def test_of_a_price_level_are_shown_with_its_price(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        types = [
            {"name": "Adult", "price": "80.00", "currency": "USD"},
            {"name": "Child", "price": "20.00", "currency": "USD"},
        ]
        gateway.answers["GET /tickets/event/7/types"] = (200, [{"priceLevel": "Standard", "ticketTypes": types}])
        assert "Child 20.00 USD" in (await visitor.get("/events/7")).text


def with_types(shown: dict[str, Any], chosen: str = "Adult") -> dict[str, Any]:
    """Let a booking's first ticket be sold as adult or child."""
    types = [
        {"name": "Adult", "price": "80.00", "currency": "USD"},
        {"name": "Child", "price": "20.00", "currency": "USD"},
    ]
    first, *rest = shown["tickets"]
    return {**shown, "tickets": [{**first, "ticketType": chosen, "ticketTypes": types}, *rest]}


class TestErrors:
    async def test_an_unknown_address_is_a_page(self, visitor: httpx.AsyncClient) -> None:
        answer = await visitor.get("/no/such/page")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "Find a concert" in answer.text

    async def test_an_unknown_event_says_what_to_do(self, visitor: httpx.AsyncClient) -> None:
        answer = await visitor.get("/events/99")
        assert answer.status_code == 404
        assert "search for what you are looking for" in answer.text

    async def test_a_shop_that_is_away_says_so_and_when_to_come_back(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        def away(_asked: Asked) -> tuple[int, object]:
            raise httpx.ConnectError("away")

        gateway.answers["GET /search"] = away
        answer = await visitor.get("/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert 5 <= int(answer.headers["refresh"]) <= 10, "spread, so that not everybody comes back at once"
        assert "tries again by itself" in answer.text

    async def test_a_form_that_failed_is_never_sent_again_by_itself(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        def away(_asked: Asked) -> tuple[int, object]:
            raise httpx.ConnectError("away")

        page = await customer.get("/events/7")
        gateway.answers["POST /bookings/reserve"] = away
        answer = await customer.post("/events/7/hold", data={"csrf": hidden(page, "csrf"), "key": "k", "place": "0"})
        assert answer.status_code == 503
        assert "refresh" not in answer.headers
        assert "tries again by itself" not in answer.text

    async def test_a_body_that_is_no_form_is_refused(self, customer: httpx.AsyncClient) -> None:
        answer = await customer.post("/events/7/hold", content=b"\x00" * 100_000)
        assert answer.status_code in {403, 413}


class TestOrganiser:
    async def test_sees_what_is_sold_and_the_revenue(self, gateway: FakeGateway) -> None:
        from tests.unit.storefront.conftest import token

        login = {"accessToken": token(["customer", "organiser"]), "refreshToken": "r", "expiresInSeconds": 600}
        gateway.answers["POST /auth/login"] = (200, login)
        gateway.answers["GET /events"] = (200, {"events": [event()], "totalElement": 1, "totalPages": 1})
        gateway.answers["GET /bookings"] = (
            200, {"bookings": [booking("CONFIRMED"), booking("HELD")], "totalElement": 2, "isLast": True},
        )  # fmt: skip
        gateway.answers["GET /events/7/availability"] = (200, availability([2, 2, 0, 1, 0, 0, 0]))
        async with browser(gateway) as client:
            await log_in(client)
            page = await client.get("/organiser")
            assert "120.50 USD" in page.text
            one = await client.get("/organiser/events/7")
            assert "Stalls, row A, seat 1" in one.text
