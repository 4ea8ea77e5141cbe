"""Seats that are set aside, on the pages: an organiser's table and form, a buyer's access code."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.support.gateway import FakeGateway, problem
from tests.unit.storefront.conftest import availability, browser, hidden, log_in, token

from boxoffice.services.storefront.domain.aside import read_release, read_rows, say_rows
from boxoffice.services.storefront.domain.house import with_opened

PATH = "/events/7/allocations"
PAGE = "/organiser/events/7"
CODE = "ABCD-EFGH-JKMN-PQRS"


def allocation(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": number, "eventId": 7, "kind": "sponsor", "name": "Friends <b>", "state": "closed", "releaseAt": None,
        "hasAccessCode": False, "version": 0, "seats": 3, "free": 2, "held": 0, "sold": 1, "blocked": 0,
        "rows": [{"section": "Stalls", "row": "A", "seats": 3, "free": 2, "held": 0, "sold": 1, "blocked": 0}], **changes,
    }  # fmt: skip


@pytest.fixture
async def organiser(gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    login = {"accessToken": token(["customer", "organiser"]), "refreshToken": "r", "expiresInSeconds": 600}
    gateway.answers["POST /auth/login"] = (200, login)
    page = {"bookings": [], "pageNumber": 0, "totalElement": 0, "totalPages": 0, "isLast": True}
    gateway.answers["GET /bookings"] = (200, page)
    gateway.answers[f"GET {PATH}"] = (200, {"allocations": [allocation()]})
    async with browser(gateway) as client:
        await log_in(client)
        yield client


async def send(client: httpx.AsyncClient, address: str, **fields: str) -> httpx.Response:
    page = await client.get(PAGE)
    return await client.post(address, data={"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), **fields})


class TestOrganisersPage:
    async def test_lists_what_is_set_aside_with_counts_and_release_times(
        self, gateway: FakeGateway, organiser: httpx.AsyncClient
    ) -> None:
        later = allocation(2, name="Band", kind="artist", releaseAt="2027-03-01T10:00:00Z", hasAccessCode=True)
        gateway.answers[f"GET {PATH}"] = (200, {"allocations": [allocation(), later, allocation(3, kind="kill")]})
        page = (await organiser.get(PAGE)).text
        assert "Friends &lt;b&gt;" in page
        assert "Stalls, row A" in page
        assert "Mon 1 Mar 2027, 18:00" in page  # on the venue's clock
        assert page.count("Open now") == 2  # what is killed is not opened
        assert re.findall(r"<option(?: selected)?>([^<]+)</option>", page) == ["Stalls"]

    async def test_sets_rows_aside_until_a_time_on_the_venues_clock(
        self, gateway: FakeGateway, organiser: httpx.AsyncClient
    ) -> None:
        gateway.answers[f"POST {PATH}"] = (201, allocation())
        answer = await send(
            organiser, f"{PAGE}/allocations", kind="house", name="House", section="Stalls", rows="A, B",
            releaseAt="2027-03-01T18:00",
        )  # fmt: skip
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#aside")
        (asked,) = gateway.calls(f"POST {PATH}")
        assert asked.headers["idempotency-key"]
        assert asked.body == {
            "kind": "house", "name": "House", "section": "Stalls", "rows": ["A", "B"],
            "releaseAt": "2027-03-01T10:00:00+00:00",
        }  # fmt: skip

    async def test_names_the_seats_in_the_way_and_keeps_what_was_typed(
        self, gateway: FakeGateway, organiser: httpx.AsyncClient
    ) -> None:
        taken = [{"ticketId": 1, "section": "Stalls", "row": "A", "number": "2"}]
        gateway.answers[f"POST {PATH}"] = problem(409, "sales.seats_taken", "Taken", "Held or sold.", taken=taken)
        answer = await send(organiser, f"{PAGE}/allocations", kind="kill", name="Camera", section="Stalls")
        assert answer.status_code == 409
        assert "Stalls, row A, seat 2" in answer.text
        assert 'value="Camera"' in answer.text

    @pytest.mark.parametrize(("move", "call"), [("open", f"POST {PATH}/1/open"), ("release", f"DELETE {PATH}/1")])
    async def test_makes_a_move(self, gateway: FakeGateway, organiser: httpx.AsyncClient, move: str, call: str) -> None:
        gateway.answers[call] = (200, allocation())
        assert (await send(organiser, f"{PAGE}/allocations/1", move=move)).status_code == 303
        assert len(gateway.calls(call)) == 1

    async def test_shows_a_new_code_once(self, gateway: FakeGateway, organiser: httpx.AsyncClient) -> None:
        gateway.answers[f"PUT {PATH}/1/access-code"] = (200, {"accessCode": CODE})
        answer = await send(organiser, f"{PAGE}/allocations/1", move="code")
        assert CODE in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
        assert CODE not in (await organiser.get(PAGE)).text

    async def test_takes_no_form_of_another_site(self, gateway: FakeGateway, organiser: httpx.AsyncClient) -> None:
        answer = await organiser.post(f"{PAGE}/allocations/1", data={"csrf": "forged", "move": "release"})
        assert answer.status_code == 403
        assert not gateway.calls(f"DELETE {PATH}/1")

    async def test_of_an_event_without_any_right_shows_no_form(
        self, gateway: FakeGateway, organiser: httpx.AsyncClient
    ) -> None:
        gateway.answers[f"GET {PATH}"] = problem(404, "sales.event_not_found")
        assert "Set seats aside" not in (await organiser.get(PAGE)).text


class TestBuyersPage:
    @pytest.fixture
    def gateway(self, gateway: FakeGateway) -> FakeGateway:
        """Seats A1 and A3 are closed to everybody, and free for who has the code."""
        gateway.answers["GET /events/7/availability"] = (200, availability([3, 2, 3, 1, 0, 0, 3]))
        gateway.answers["POST /events/7/access-code"] = (200, {"ticketIds": [(7 << 20) | 0, (7 << 20) | 2]})
        return gateway

    async def test_offers_the_seats_of_a_code(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7/seats", params={"code": f" {CODE}"})
        boxes = re.findall(r'<input type="checkbox" name="place" value="(\d)"( disabled)?', page.text)
        assert [place for place, closed in boxes if not closed] == ["0", "2", "4", "5"]
        assert hidden(page, "code") == CODE
        assert "opens 2 seats" in page.text
        assert gateway.calls("POST /events/7/access-code")[0].body == {"accessCode": CODE}
        plan = await customer.get("/events/7", params={"code": CODE})
        assert 'data-opened="0,2"' in plan.text
        assert "4 places free" in plan.text

    async def test_without_one_asks_nothing_and_offers_a_field(
        self, gateway: FakeGateway, visitor: httpx.AsyncClient
    ) -> None:
        page = await visitor.get("/events/7")
        assert page.headers["cache-control"].startswith("public")
        assert 'data-opened=""' in page.text
        assert '<input name="code"' in page.text
        assert not gateway.calls("POST /events/7/access-code")

    async def test_is_for_who_is_logged_in_and_kept_by_no_proxy(
        self, visitor: httpx.AsyncClient, customer: httpx.AsyncClient
    ) -> None:
        answer = await visitor.get("/events/7", params={"code": CODE})
        assert answer.headers["location"] == f"/login?next=/events/7%3Fcode%3D{CODE}"
        answer = await customer.get("/events/7", params={"code": CODE})
        assert answer.headers["cache-control"] == "private, no-store"

    async def test_sends_the_code_with_the_hold(self, gateway: FakeGateway, customer: httpx.AsyncClient) -> None:
        page = await customer.get("/events/7", params={"code": CODE})
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), "code": CODE}
        await customer.post("/events/7/hold", data={**form, "place": ["0", "2"]})
        await customer.post("/events/7/hold", data={**form, "quantity": "2"})
        assert [asked.body["accessCode"] for asked in gateway.calls("POST /bookings/reserve")] == [CODE, CODE]

    @pytest.mark.parametrize("address", ["/events/7", "/events/7/seats"])
    async def test_says_that_a_code_opens_nothing(
        self, gateway: FakeGateway, customer: httpx.AsyncClient, address: str
    ) -> None:
        gateway.answers["POST /events/7/access-code"] = problem(404, "sales.access_code_unknown", "Opens nothing")
        page = await customer.get(address, params={"code": "wrong"})
        assert page.status_code == 404
        assert "Opens nothing" in page.text
        assert "Mahler" in page.text

    async def test_of_a_hold_with_a_code_that_was_taken_back_shows_the_event_again(
        self, gateway: FakeGateway, customer: httpx.AsyncClient
    ) -> None:
        page = await customer.get("/events/7", params={"code": CODE})
        gateway.answers["POST /bookings/reserve"] = problem(404, "sales.access_code_unknown", "Opens nothing")
        form = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), "code": CODE, "place": "0"}
        answer = await customer.post("/events/7/hold", data=form)
        assert (answer.status_code, "Opens nothing" in answer.text) == (404, True)
        assert len(gateway.calls("POST /events/7/access-code")) == 1  # a wrong code is not tried again

    async def test_of_who_has_to_log_in_first_keeps_the_code(self, visitor: httpx.AsyncClient) -> None:
        answer = await visitor.post("/events/7/hold", data={"place": "0", "code": CODE})
        assert answer.headers["location"].endswith(f"%26code%3D{CODE}")


class TestWords:
    def test_rows_are_read_and_said(self) -> None:
        assert read_rows(" A, B,,A ") == ["A", "B"]
        assert read_rows("") == []
        assert say_rows([("Stalls", "A"), ("Stalls", "B"), ("Circle", "C")]) == ["Stalls, rows A, B", "Circle, row C"]
        assert say_rows([("Stalls", str(row)) for row in range(1, 21)]) == ["Stalls, 20 rows, 1 to 20"]

    @pytest.mark.parametrize(
        ("typed", "read"),
        [
            ("", None),
            ("2027-03-01T18:00", "2027-03-01T10:00:00+00:00"),
            ("soon", "soon"),
            ("0001-01-01T00:00", "0001-01-01T00:00"),
        ],
    )
    def test_times_are_the_venues(self, typed: str, read: str | None) -> None:
        assert read_release(typed, "Asia/Hong_Kong") == read

    def test_only_what_is_closed_is_opened(self) -> None:
        assert with_opened([0, 1, 2, 3, 3], [0, 1, 2, 3, 99]) == [0, 1, 2, 0, 3]
