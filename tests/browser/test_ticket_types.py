"""Ticket types in Chromium: a child's ticket lowers the total on the page and at the payment page."""

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Opening
from tests.browser.test_storefront import PHONE, log_in
from tests.support.shop import Shop
from tests.support.staging import stage

pytestmark = pytest.mark.xdist_group("browser")

TYPES = [{"name": "Adult", "price": 45}, {"name": "Child", "price": 20}, {"name": "Student", "price": 32.5}]
LEVELS = [{"name": "Lawn", "quantity": 80, "ticketTypes": TYPES}]


@pytest.fixture(scope="module")
def family_day(shop: Shop) -> int:
    return stage(shop, "A Family Day", LEVELS)


class TestTicketTypes:
    def test_a_child_pays_less_and_the_ticket_says_so(self, family_day: int, open_page: Opening) -> None:
        with open_page() as watched:
            page = watched.page
            log_in(page, "buyer@example.org")
            page.goto(f"/events/{family_day}")
            expect(page.locator("[data-area=Lawn]")).to_contain_text("Child 20.00 USD")
            page.locator("[data-area=Lawn] input[type=number]").fill("3")
            page.get_by_role("button", name="Hold places").click()
            page.wait_for_url("**/bookings/*")
            total = page.locator("[data-total]")
            expect(total).to_have_text("135.00 USD")
            page.locator("select[name^=type-]").nth(1).select_option("Child")
            page.locator("select[name^=type-]").nth(2).select_option("Student")
            expect(total).to_have_text("97.50 USD")
            expect(page.locator("[data-pay]").first).to_have_text("Pay 97.50 USD")
            watched.screen("ticket-types")
            page.locator("[data-pay]").first.click()
            page.get_by_role("button", name="Pay now").wait_for()
            expect(page.locator("body")).to_contain_text("97.50")
            expect(page.locator("body")).to_contain_text("(Child)")
            watched.screen("ticket-types-payment")
            page.get_by_role("button", name="Pay now").click()
            page.wait_for_url(re.compile(r"\?paid=now"))
            expect(page.locator(".ticket")).to_have_count(3)
            expect(page.locator(".ticket").nth(1)).to_contain_text("Child")
            expect(page.locator(".ticket").nth(1)).to_contain_text("20.00 USD")
            watched.screen("ticket-types-tickets")

    def test_need_no_script(self, family_day: int, open_page: Opening) -> None:
        with open_page(java_script_enabled=False, **PHONE) as watched:
            page = watched.page
            log_in(page, "administrator@example.org")
            page.goto(f"/events/{family_day}")
            watched.screen("phone-ticket-types-event")
            page.locator("[data-area=Lawn] input[type=number]").fill("2")
            page.get_by_role("button", name="Hold places").click()
            page.wait_for_url("**/bookings/*")
            page.locator("select[name^=type-]").first.select_option("Child")
            page.click("text=Update the total")
            expect(page.locator("[data-total]")).to_have_text("65.00 USD")
            watched.screen("phone-ticket-types")
            page.locator("select[name^=type-]").nth(1).select_option("Child")
            page.locator("[data-pay]").first.click()
            expect(page.locator("main")).to_contain_text("The total is 40.00 USD now")
            watched.screen("phone-ticket-types-repriced")
            page.click("text=Give the places back")
