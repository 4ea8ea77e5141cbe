"""The whole path in Chromium, as a person walks it: search, seats, hold, pay, tickets, mail, cancel."""

import base64
import random
import re
import time
import zlib
from contextlib import closing
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, WebSocketRoute, expect
from tests.browser.conftest import Opening, Watched
from tests.support.shop import DEMO_PASSWORD, Shop

from boxoffice.kernel.ids import place_of

pytestmark = pytest.mark.xdist_group("browser")

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
HEARD_WITHIN_S = 20.0
SHARP = {"device_scale_factor": 2}
LOSS = 0.3
CAUGHT_UP_WITHIN_S = 90.0
"""An answer that gets lost is missed after 5 s; then the page connects again."""
IS_LIVE = "document.querySelector('seat-map').live.isLive"
SHOWN_HASH = "document.querySelector('seat-map').live.hash()"
NO_SOCKETS = """
window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  constructor() { super(); setTimeout(() => this.dispatchEvent(new CloseEvent("close", { code: 1006 }))); }
  close() {}
};
"""


def first_event(shop: Shop) -> dict[str, Any]:
    """The next concert with seats on sale; search hears of a sale a moment after it begins."""
    deadline = time.monotonic() + HEARD_WITHIN_S
    while True:
        with shop.client() as api:
            found = api.get("/search", params={"sortBy": "startTime", "pageSize": 20}).json()["events"]
        on_sale = [event for event in found if event["saleState"] in {"on_sale", "few_left"}]
        if on_sale:
            return dict(on_sale[0])
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def free_places(shop: Shop, event_id: int) -> int:
    with shop.client() as api:
        return int(api.get(f"/events/{event_id}/availability").json()["free"])


def free_row(shop: Shop, event_id: int) -> tuple[str, str, list[int]]:
    """A row all of whose seats are free, and ordinary ones: its section, its name, its places."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with shop.client() as api:
        for seat in api.get(f"/tickets/event/{event_id}").json():
            rows.setdefault((seat["section"], seat["row"]), []).append(seat)
    for (section, row), seats in reversed(rows.items()):
        if all(seat["status"] == "AVAILABLE" and seat["mark"] is None for seat in seats):
            return section, row, [place_of(seat["ticketId"]) for seat in seats]
    raise AssertionError("no row is free")


def misspelt(event: dict[str, Any]) -> str:
    """A word of the event's name with a letter left out."""
    words = sorted(re.findall(r"[A-Za-z]{6,}", event["name"]), key=len)
    assert words, event["name"]
    return str(words[-1][:3] + words[-1][4:])


def servers_hash(shop: Shop, event_id: int) -> str:
    with shop.client() as api:
        states = api.get(f"/events/{event_id}/availability").json()["states"]
    return f"{zlib.crc32(base64.b64decode(states)):08x}"


def hold_two(customer: httpx.Client, event_id: int) -> tuple[str, int]:
    """Hold two places of the shop's choice; the booking, and one of the places."""
    answer = customer.post("/bookings/reserve", json={"eventId": event_id, "quantity": 2, "together": True})
    assert answer.status_code == 201, answer.text
    held = answer.json()
    return str(held["bookingId"]), int(place_of(held["reservedTickets"][0]["ticketId"]))


def register(page: Page, name: str) -> str:
    email = f"{name}@example.org"
    page.fill("input[name=name]", name.title())
    page.fill("main input[name=email]", email)
    page.fill("input[name=password]", "three plain words")
    page.click("text=Make the account")
    return email


def log_in(page: Page, email: str) -> None:
    page.goto("/login")
    page.fill("main input[name=email]", email)
    page.fill("input[name=password]", DEMO_PASSWORD)
    page.click("main button:has-text('Log in')")
    page.wait_for_url("**/bookings")


def house_is_ready(page: Page) -> None:
    page.wait_for_selector("seat-map[data-ready]")


def choose_by_mouse(page: Page, index: int) -> None:
    page.locator("path.seat.free").nth(index).click(force=True)


def find_by_a_misspelt_word(watched: Watched, event: dict[str, Any]) -> None:
    page = watched.page
    page.goto("/")
    expect(page.locator(".card").first).to_be_visible()
    watched.screen("home")
    page.fill("#q", event["name"].split()[0].strip(",")[:5])
    expect(page.locator(".suggestions li").first).to_be_visible()
    page.fill("#q", misspelt(event))
    page.press("#q", "Enter")
    page.wait_for_url(re.compile(r"/search\?q="))
    watched.screen("search")
    page.locator(f"a[href='/events/{event['id']}']").click()
    house_is_ready(page)


def pick_two_seats(watched: Watched) -> list[str]:
    """One by mouse, its neighbour by keyboard; gives their names as the page lists them."""
    page = watched.page
    choose_by_mouse(page, 320)
    expect(page.locator(".chosen li")).to_have_count(1)
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    there = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert there != focused
    assert re.fullmatch(r".+, row .+, seat .+, [\d,.]+ [A-Z]{3}, available", there)
    page.keyboard.press("Space")
    expect(page.locator(".chosen li")).to_have_count(2)
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"
    watched.screen("event")
    return [text.strip() for text in page.locator(".chosen li span").all_inner_texts()]


def hold_and_pay(watched: Watched, seats: list[str], name: str) -> str:
    """Hold (making an account on the way), see the clock run, pay; gives the account's address."""
    page = watched.page
    page.click("[data-hold]")
    page.wait_for_url(re.compile(r"/login\?next="))
    page.click("text=Make an account")
    email = register(page, name)
    house_is_ready(page)
    assert sorted(page.locator(".chosen li span").all_inner_texts()) == sorted(seats)
    page.click("[data-hold]")
    page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
    clock = page.locator("[data-face]")
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)
    assert re.fullmatch(r"\d{1,2}:\d\d", before)
    watched.screen("hold")
    page.click("[data-pay]")
    page.get_by_role("button", name="Pay now").click()
    page.wait_for_url(re.compile(r"\?paid=now"))
    return email


def read_codes(watched: Watched) -> list[str]:
    """Decode the QR codes from the screenshot, as a scanner reads a screen."""
    codes = watched.page.locator("img.qr")
    expect(codes).to_have_count(2)
    watched.page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
    with Image.open(watched.screen("tickets")) as image:
        return sorted(code.text for code in zxingcpp.read_barcodes(image.convert("RGB")))


def cancel_all(watched: Watched) -> None:
    page = watched.page
    page.click("text=Cancel tickets")
    total = page.locator("[data-refund-total]")
    whole = total.inner_text()
    page.locator("input[name=ticket]").first.uncheck()
    expect(total).not_to_have_text(whole)
    page.locator("input[name=ticket]").first.check()
    expect(total).to_have_text(whole)
    watched.screen("cancel")
    page.click("text=Cancel these tickets")
    expect(page.locator("text=This booking was cancelled")).to_be_visible()
    watched.screen("cancelled")


class TestOnePurchase:
    def test_from_a_misspelt_search_to_cancelled_tickets(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        free = free_places(shop, event["id"])
        with open_page(**SHARP) as watched:
            page = watched.page
            find_by_a_misspelt_word(watched, event)
            seats = pick_two_seats(watched)
            email = hold_and_pay(watched, seats, "journey")
            codes = read_codes(watched)
            assert len(codes) == 2
            assert all(code.startswith("BX1:") for code in codes)
            assert "journey" not in "".join(codes).lower()
            assert free_places(shop, event["id"]) == free - 2
            with page.expect_download() as download:
                page.click("text=Download PDF")
            assert download.value.path().read_bytes().startswith(b"%PDF")
            booking = page.url.split("?")[0]
            page.goto("/mailbox")
            expect(page.locator(f"text={email}").first).to_be_visible()
            watched.screen("mailbox")
            page.goto(booking)
            cancel_all(watched)
            assert free_places(shop, event["id"]) == free
            page.goto("/bookings")
            expect(page.locator(".badge.bad")).to_have_text("Cancelled")
            watched.screen("bookings")


class TestTwoBuyers:
    def test_a_seat_that_is_lost_leaves_the_choice_with_a_word(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        with open_page() as one, open_page() as other:
            log_in(one.page, "buyer@example.org")
            log_in(other.page, "administrator@example.org")
            for watched in (one, other):
                watched.page.goto(f"/events/{event['id']}")
                house_is_ready(watched.page)
            places = [one.page.locator("path.seat.free").nth(at).get_attribute("data-place") for at in (500, 520, 540)]
            for place in places:
                one.page.locator(f"[data-place='{place}']").click(force=True)
            expect(one.page.locator(".chosen li")).to_have_count(3)
            # The first is taken while the page looks on: it hears of it, and does not ask.
            one.page.wait_for_function(IS_LIVE)
            one.page.route("**/availability", lambda route: route.abort())
            other.page.locator(f"[data-place='{places[0]}']").click(force=True)
            other.page.click("[data-hold]")
            other.page.wait_for_url("**/bookings/*")
            expect(one.page.locator("[data-say]")).to_contain_text("just taken by somebody else")
            expect(one.page.locator(".chosen li")).to_have_count(2)
            one.screen("lost-while-looking", whole=False)
            # The second is taken behind its back.
            one.page.evaluate("document.querySelector('seat-map').live.stop()")
            other.page.goto(f"/events/{event['id']}")
            house_is_ready(other.page)
            other.page.locator(f"[data-place='{places[1]}']").click(force=True)
            other.page.click("[data-hold]")
            other.page.wait_for_url("**/bookings/*")
            one.page.click("[data-hold]")
            expect(one.page.locator("#refused")).to_contain_text("taken by somebody else a moment ago")
            house_is_ready(one.page)
            expect(one.page.locator(".chosen li")).to_have_count(1)
            one.screen("lost-at-the-hold", whole=False)


class TestLiveHouse:
    def test_is_asked_for_now_and_then_where_no_socket_opens(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        with open_page() as watched, closing(shop.new_customer("looks-on")[0]) as customer:
            page = watched.page
            page.add_init_script(NO_SOCKETS)
            page.goto(f"/events/{event['id']}")
            house_is_ready(page)
            booking, place = hold_two(customer, event["id"])
            expect(page.locator(f"[data-place='{place}']")).to_have_class(re.compile("held"))
            assert not page.evaluate(IS_LIVE)
            customer.delete(f"/bookings/{booking}/hold")

    def test_a_page_that_loses_messages_ends_with_the_servers_hash(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        chance, lost = random.Random(4), []

        def lossy(client: WebSocketRoute) -> None:
            def pass_on(message: str | bytes) -> None:
                if chance.random() < LOSS:
                    lost.append(message)
                else:
                    client.send(message)

            client.connect_to_server().on_message(pass_on)

        with open_page() as watched, closing(shop.new_customer("loses")[0]) as customer:
            page = watched.page
            page.route_web_socket(re.compile(r"/live(\?|$)"), lossy)
            page.goto(f"/events/{event['id']}")
            house_is_ready(page)
            deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
            while len(lost) < 3 or page.evaluate(SHOWN_HASH) != servers_hash(shop, event["id"]):
                booking, _ = hold_two(customer, event["id"])
                customer.delete(f"/bookings/{booking}/hold")
                page.evaluate("document.querySelector('seat-map').live.check()")
                page.wait_for_timeout(100)
                assert time.monotonic() < deadline, (len(lost), page.evaluate(SHOWN_HASH))


class TestPlanThatDoesNotCome:
    """The server is too busy for the plan of the house: it is asked for again, and then the visitor is told."""

    BUSY = "the server responded with a status of 503"

    def test_is_asked_for_again(self, shop: Shop, open_page: Opening) -> None:
        with open_page() as watched:
            answers = iter((503, 503))
            watched.page.route(
                "**/house.svg",
                lambda route: route.fulfill(status=busy) if (busy := next(answers, 0)) else route.continue_(),
            )
            watched.page.goto(f"/events/{first_event(shop)['id']}")
            house_is_ready(watched.page)
            assert self.told_of(watched) == 2

    def test_is_told_after_a_while(self, shop: Shop, open_page: Opening) -> None:
        with open_page() as watched:
            watched.page.route("**/house.svg", lambda route: route.fulfill(status=503))
            watched.page.goto(f"/events/{first_event(shop)['id']}")
            expect(watched.page.locator("[data-say]")).to_contain_text("Choose from the plain list", timeout=20_000)
            watched.screen("plan-does-not-come", whole=False)
            assert self.told_of(watched) == 5

    def told_of(self, watched: Watched) -> int:
        """Take what was meant to go wrong from what went wrong; gives how often it did."""
        meant = [line for line in watched.wrong if line.startswith("503 ")]
        watched.wrong[:] = [line for line in watched.wrong if line not in meant and self.BUSY not in line]
        return len(meant)


class TestWithoutScripts:
    def test_seats_are_chosen_from_a_list(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        with open_page(java_script_enabled=False) as watched:
            page = watched.page
            log_in(page, "buyer@example.org")
            page.goto(f"/events/{event['id']}")
            watched.screen("no-script-event")
            page.click("main >> text=Choose from a plain list")
            page.locator("input[name=place]:not([disabled])").nth(40).check()
            page.locator("input[name=place]:not([disabled])").nth(41).check()
            watched.screen("no-script-list", whole=False)
            page.click("text=Hold the ticked seats")
            page.wait_for_url("**/bookings/*")
            expect(page.locator(".lines li")).to_have_count(3)
            page.click("text=Give the seats back")
            page.wait_for_url(f"**/events/{event['id']}")


class TestOnAPhone:
    def test_a_tap_comes_closer_and_then_chooses(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        with open_page(**PHONE) as watched:
            page = watched.page
            page.goto("/")
            watched.screen("phone-home")
            page.goto(f"/events/{event['id']}")
            house_is_ready(page)
            watched.screen("phone-event")
            seat = page.locator("path.seat.free").nth(300)
            before = page.locator("svg.plan").get_attribute("viewBox")
            for _ in range(2):
                box = seat.bounding_box()
                assert box
                page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(150)
            assert page.locator("svg.plan").get_attribute("viewBox") != before
            expect(page.locator(".chosen li")).to_have_count(1)
            expect(page.locator("[data-hold]")).to_be_in_viewport()
            watched.screen("phone-chosen", whole=False)
            for address in ("/", "/search", f"/events/{event['id']}", "/login"):
                page.goto(address)
                assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


class TestSetAside:
    def test_a_row_is_sold_to_who_has_the_code_and_given_back(self, shop: Shop, open_page: Opening) -> None:
        event = first_event(shop)
        address = f"/events/{event['id']}"
        section, row, places = free_row(shop, event["id"])
        with open_page() as organiser, open_page() as buyer:
            log_in(organiser.page, "organiser@example.org")
            organiser.page.goto(f"/organiser{address}")
            organiser.page.click("text=Set seats aside")
            organiser.page.select_option("select[name=kind]", "sponsor")
            organiser.page.fill("input[name=name]", "Friends of the hall")
            organiser.page.select_option("select[name=section]", section)
            organiser.page.fill("input[name=rows]", row)
            organiser.page.fill("input[name=releaseAt]", "2040-05-01T18:00")
            organiser.screen("organiser-set-aside")
            organiser.page.click("button:has-text('Set aside')")
            expect(organiser.page.locator("#aside tbody tr")).to_have_count(1)
            organiser.page.click("button:has-text('Make a code')")
            code = organiser.page.locator("code.code").inner_text()
            organiser.screen("organiser-code")

            log_in(buyer.page, "buyer@example.org")
            buyer.page.goto(address)
            house_is_ready(buyer.page)
            seat = f"path.seat[data-place='{places[0]}']"
            expect(buyer.page.locator(seat)).to_have_class(re.compile("blocked"))
            buyer.page.click("text=Have an access code?")
            buyer.page.fill("input[name=code]", code.lower())
            buyer.screen("event-code-field")
            buyer.page.click("text=Show its seats")
            house_is_ready(buyer.page)
            expect(buyer.page.locator(seat)).to_have_class(re.compile("free"))
            with closing(shop.new_customer("beside")[0]) as other:  # a change comes live: what the code opens stays so
                _, elsewhere = hold_two(other, event["id"])
                expect(buyer.page.locator(f"path.seat[data-place='{elsewhere}']")).to_have_class(re.compile("held"))
            expect(buyer.page.locator(seat)).to_have_class(re.compile("free"))
            for place in places[:2]:
                buyer.page.locator(f"path.seat[data-place='{place}']").click(force=True)
            expect(buyer.page.locator(".chosen li")).to_have_count(2)
            buyer.screen("event-code")
            buyer.page.goto(f"{address}/seats?section={quote(section)}&code={quote(code)}")
            buyer.screen("seats-code")
            buyer.page.goto(f"{address}?code={quote(code)}&choose={places[0]},{places[1]}")
            house_is_ready(buyer.page)
            buyer.page.click("[data-hold]")
            buyer.page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))

            organiser.page.goto(f"/organiser{address}")
            counts = organiser.page.locator("#aside tbody tr td.n").all_inner_texts()
            assert counts == [str(len(places)), str(len(places) - 2), "2", "0", "0"]
            organiser.page.click("button:has-text('Give back')")
            expect(organiser.page.locator("text=Every seat is in the public sale.")).to_be_visible()
            organiser.screen("organiser-given-back")


class TestOtherPages:
    def test_the_organiser_sees_what_is_sold(self, open_page: Opening) -> None:
        with open_page() as watched:
            log_in(watched.page, "organiser@example.org")
            watched.page.goto("/organiser")
            expect(watched.page.locator("tbody tr").first).to_be_visible()
            watched.screen("organiser")
            watched.page.locator("tbody a").first.click()
            expect(watched.page.locator("h2:has-text('Orders')")).to_be_visible()
            watched.screen("organiser-event")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_house_looks_good_by_day_and_by_night(self, shop: Shop, open_page: Opening, scheme: str) -> None:
        with open_page(color_scheme=scheme) as watched:
            watched.page.goto(f"/events/{first_event(shop)['id']}")
            house_is_ready(watched.page)
            watched.screen(f"house-{scheme}", whole=False)

    def test_an_unknown_address_says_what_to_do(self, open_page: Opening) -> None:
        with open_page() as watched:
            watched.page.goto("/no/such/page")
            expect(watched.page.locator("h1")).to_have_text("There is nothing at this address")
            watched.screen("error")
            watched.wrong = [word for word in watched.wrong if "404" not in word]
