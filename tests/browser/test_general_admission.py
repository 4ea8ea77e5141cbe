"""Places without a seat in Chromium: choose how many, follow the counts, hold, pay, get tickets and mail."""

import re
from contextlib import closing

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import expect
from tests.browser.conftest import Opening, Watched
from tests.browser.test_storefront import IS_LIVE, PHONE, SHARP, first_event, house_is_ready, log_in, register
from tests.support.shop import Shop
from tests.support.staging import answered, stage

pytestmark = pytest.mark.xdist_group("browser")

LEVELS = [
    {"name": "Standing", "price": 45, "quantity": 60},
    {"name": "Terrace", "price": 72.5, "quantity": 5},
]


@pytest.fixture(scope="module")
def open_air(shop: Shop) -> int:
    return stage(shop, "Serenades in the Yard", LEVELS, limitPerCustomer=12)


def chooser(area: str) -> str:
    return f"[data-area='{area}']"


def pay(watched: Watched) -> None:
    page = watched.page
    page.click("[data-pay]")
    page.get_by_role("button", name="Pay now").click()
    page.wait_for_url(re.compile(r"\?paid=now"))


class TestGeneralAdmission:
    def test_three_places_are_bought_end_to_end(self, open_air: int, open_page: Opening) -> None:
        with open_page(**SHARP) as watched:
            page = watched.page
            page.goto(f"/events/{open_air}")
            standing = page.locator(chooser("Standing"))
            watched.screen("general-admission")
            standing.get_by_role("button", name="One more").click()
            standing.get_by_role("button", name="One more").click()
            standing.get_by_role("button", name="One fewer").click()
            standing.locator("input[type=number]").press("ArrowUp")
            expect(standing.locator("input[type=number]")).to_have_value("3")
            standing.get_by_role("button", name="Hold places").click()
            page.wait_for_url(re.compile(r"/login\?next="))
            page.click("text=Make an account")
            email = register(page, "stands")
            page.wait_for_url(re.compile(r"/events/"))
            expect(page.locator(f"{chooser('Standing')} input[type=number]")).to_have_value("3")
            page.locator(chooser("Standing")).get_by_role("button", name="Hold places").click()
            page.wait_for_url(re.compile(r"/bookings/[0-9a-f-]{36}$"))
            expect(page.locator(".lines .total b")).to_have_text("135.00 USD")
            watched.screen("general-admission-hold")
            pay(watched)
            expect(page.locator("img.qr")).to_have_count(3)
            page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth)")
            with Image.open(watched.screen("general-admission-tickets")) as image:
                codes = {code.text for code in zxingcpp.read_barcodes(image.convert("RGB"))}
            assert len(codes) == 3
            page.goto("/mailbox")
            expect(page.locator(f"text={email}").first).to_be_visible()

    def test_counts_change_while_somebody_looks(self, shop: Shop, open_air: int, open_page: Opening) -> None:
        with open_page() as watched, closing(shop.new_customer("quick")[0]) as other:
            page = watched.page
            page.goto(f"/events/{open_air}")
            terrace = page.locator(chooser("Terrace"))
            expect(terrace.locator("[data-area-free]")).to_have_text("5 places free")
            page.wait_for_function("document.querySelector('live-places').live.isLive")
            page.route("**/availability", lambda route: route.abort())
            wish = {"eventId": open_air, "quantity": 4, "priceLevel": "Terrace"}
            first = answered(other.post("/bookings/reserve", json=wish))
            expect(terrace.locator("[data-area-free]")).to_have_text("1 place free")
            expect(terrace.get_by_role("button", name="One more")).to_be_disabled()
            second = answered(other.post("/bookings/reserve", json={**wish, "quantity": 1}))
            expect(terrace.locator("[data-area-free]")).to_have_text("none left at the moment")
            expect(terrace.get_by_role("button", name="Hold places")).to_be_disabled()
            watched.screen("general-admission-none-left")
            for held in (first, second):
                other.delete(f"/bookings/{held['bookingId']}/hold")
            expect(terrace.locator("[data-area-free]")).to_have_text("5 places free")

    def test_needs_no_script(self, open_air: int, open_page: Opening) -> None:
        with open_page(java_script_enabled=False, **PHONE) as watched:
            page = watched.page
            log_in(page, "buyer@example.org")
            page.goto(f"/events/{open_air}")
            page.locator(f"{chooser('Terrace')} input[type=number]").fill("2")
            watched.screen("general-admission-no-script")
            page.locator(chooser("Terrace")).get_by_role("button", name="Hold places").click()
            page.wait_for_url("**/bookings/*")
            expect(page.locator(".lines .total b")).to_have_text("145.00 USD")
            page.click("text=Give the places back")
            page.wait_for_url(f"**/events/{open_air}")

    def test_says_why_when_it_is_more_than_one_customer_may_have(self, open_air: int, open_page: Opening) -> None:
        with open_page(**PHONE) as watched:
            page = watched.page
            log_in(page, "buyer@example.org")
            for number in (8, 5):
                page.goto(f"/events/{open_air}")
                page.locator(f"{chooser('Standing')} input[type=number]").fill(str(number))
                if number == 8:
                    watched.screen("phone-general-admission")
                page.locator(chooser("Standing")).get_by_role("button", name="Hold places").click()
            expect(page.locator("#refused")).to_contain_text("more than one customer may buy")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            watched.screen("phone-general-admission-refused")
            page.goto("/bookings")
            page.locator(".card-link").first.click()
            page.click("text=Give the places back")


class TestMixedHouse:
    def test_shows_its_plan_and_its_areas_and_follows_both(self, shop: Shop, open_page: Opening) -> None:
        staged = first_event(shop)
        with closing(shop.client()) as anyone:
            there = answered(anyone.get(f"/events/{staged['id']}"))
        levels = [
            {
                "name": "Seats",
                "price": 60,
                "ticketTypes": [{"name": "Adult", "price": 60}, {"name": "Child", "price": 30}],
            },
            {"name": "Standing", "price": 15, "quantity": 30},
        ]
        event = stage(shop, "Late Night", levels, venueId=there["venue"]["id"], seatMapId=there["seatMapId"])
        with open_page() as watched, closing(shop.new_customer("beside")[0]) as other:
            page = watched.page
            page.goto(f"/events/{event}")
            house_is_ready(page)
            page.wait_for_function(IS_LIVE)
            expect(page.locator("[data-area-free]")).to_have_text("30 places free")
            answered(other.post("/bookings/reserve", json={"eventId": event, "quantity": 4, "priceLevel": "Standing"}))
            expect(page.locator("[data-area-free]")).to_have_text("26 places free")
            answered(other.post("/bookings/reserve", json={"eventId": event, "quantity": 2}))
            expect(page.locator("path.seat.held")).to_have_count(2)
            watched.screen("mixed-house")
            page.goto(f"/events/{event}/seats")
            expect(page.locator("input[name=place]").first).to_be_visible()
            watched.screen("mixed-house-seats", whole=False)
            log_in(page, "buyer@example.org")
            page.goto(f"/events/{event}/seats")
            page.locator("form.best select[name=quantity]").select_option("3")
            page.get_by_role("button", name="Find seats").click()
            page.wait_for_url("**/bookings/*")
            expect(page.locator(".lines select")).to_have_count(3)
            page.click("text=Give the seats back")
