"""Events over HTTP: who sees and changes what, what is told, what is refused."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest
from tests.support.catalog import Catalog

from boxoffice.contracts.http.catalog import get_event, get_events


class TestEvents:
    async def test_takes_the_seeds_body_and_reads_times_in_the_venues_zone(self, catalog: Catalog) -> None:
        made = await catalog.event()
        assert (made["startTime"], made["endTime"]) == ("2030-05-01T23:30:00Z", "2030-05-02T02:00:00Z")
        assert (made["status"], made["onSale"], made["availableSeats"]) == ("draft", False, 100)
        assert made["organisationId"] == str(catalog.organisation)
        assert (made["timeZone"], made["venue"]["name"]) == ("America/New_York", "City Hall")

    async def test_a_draft_is_there_for_its_organisation_only(self, catalog: Catalog) -> None:
        made = await catalog.event()
        path = f"/events/{made['id']}"
        assert (await catalog.ask("GET", path)).status_code == 200
        assert (await catalog.ask("GET", path, headers=catalog.headers("scanner"))).status_code == 200
        for headers in ({}, catalog.headers(organisation=uuid4()), catalog.administrator()):
            refused = await catalog.ask("GET", path, headers=headers)
            missing = await catalog.ask("GET", "/events/999999", headers=headers)
            assert refused.status_code == missing.status_code == 404
            assert refused.json()["code"] == missing.json()["code"] == "catalog.event_not_found"
        assert (await catalog.ask("GET", "/events", headers={})).json()["totalElement"] == 0
        assert (await catalog.ask("GET", "/events")).json()["totalElement"] == 1

    async def test_strangers_change_nothing(self, catalog: Catalog) -> None:
        made = await catalog.published()
        body = await catalog.event_body(venueId=made["venue"]["id"])
        times = {"startTime": "2031-01-01T19:00:00", "endTime": "2031-01-01T20:00:00"}
        calls = [
            ("PUT", "", body), ("DELETE", "", None), ("POST", "/publish", None), ("POST", "/cancel", None),
            ("POST", "/reschedule", times),
        ]  # fmt: skip
        stranger = catalog.headers(organisation=uuid4())
        scanner = catalog.headers("scanner")
        customer = catalog.tokens.headers(catalog.user)
        for method, path, sent in calls:
            for headers, status in ((stranger, 404), (scanner, 404), (customer, 403), ({}, 401)):
                answer = await catalog.ask(method, f"/events/{made['id']}{path}", json=sent, headers=headers)
                assert answer.status_code == status, (method, path, answer.text)
        assert (await catalog.ask("GET", f"/events/{made['id']}")).json()["version"] == made["version"]

    async def test_every_change_is_told_with_a_version_that_grows_by_one(self, catalog: Catalog) -> None:
        made = await catalog.published()
        path = f"/events/{made['id']}"
        body = await catalog.event_body(venueId=made["venue"]["id"], name="Gala Night")
        assert (await catalog.ask("PUT", path, json=body)).json()["version"] == 3
        times = {"startTime": "2030-06-01T19:30:00", "endTime": "2030-06-01T22:00:00"}
        moved = await catalog.ask("POST", f"{path}/reschedule", json=times)
        assert moved.json()["startTime"] == "2030-06-01T23:30:00Z"
        assert (await catalog.ask("POST", f"{path}/cancel")).json()["status"] == "cancelled"
        told = await catalog.told(made["id"])
        assert [fact["type"].removeprefix("catalog.event.") for fact in told] == [
            "drafted", "published", "changed", "rescheduled", "cancelled",
        ]  # fmt: skip
        assert [fact["version"] for fact in told] == [1, 2, 3, 4, 5]
        assert told[2]["body"]["name"] == "Gala Night"
        assert told[4]["body"]["status"] == "cancelled"

    async def test_a_change_that_changes_nothing_tells_nothing(self, catalog: Catalog) -> None:
        made = await catalog.published()
        body = await catalog.event_body(venueId=made["venue"]["id"])
        assert (await catalog.ask("PUT", f"/events/{made['id']}", json=body)).json()["version"] == 2
        assert len(await catalog.told(made["id"])) == 2

    async def test_what_the_seeds_body_leaves_out_keeps_its_value(self, catalog: Catalog) -> None:
        made = await catalog.published(currency="HKD", limitPerCustomer=4, programme=[{"title": "Elektra"}])
        body = await catalog.event_body(venueId=made["venue"]["id"], name="Other")
        changed = (await catalog.ask("PUT", f"/events/{made['id']}", json=body)).json()
        assert (changed["name"], changed["currency"], changed["limitPerCustomer"]) == ("Other", "HKD", 4)
        assert [work["title"] for work in changed["programme"]] == ["Elektra"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"startTime": "2030-05-01T20:00:00"}, "startTime"),
            ({"endTime": "2030-05-01T23:00:00"}, "endTime"),
            ({"currency": "EUR"}, "currency"),
        ],
    )
    async def test_a_published_event_keeps_what_people_buy_by(
        self, catalog: Catalog, change: dict[str, Any], field: str
    ) -> None:
        made = await catalog.published()
        body = await catalog.event_body(venueId=made["venue"]["id"], **change)
        refused = await catalog.ask("PUT", f"/events/{made['id']}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "catalog.published_event_keeps")
        assert refused.json()["fields"] == [field]

    async def test_moves_that_the_state_does_not_allow_are_refused(self, catalog: Catalog) -> None:
        made = await catalog.published()
        path = f"/events/{made['id']}"
        for method, more in (("POST", "/publish"), ("DELETE", "")):
            refused = await catalog.ask(method, path + more)
            assert (refused.status_code, refused.json()["code"]) == (409, "catalog.move_refused")
        await catalog.ask("POST", f"{path}/cancel")
        body = await catalog.event_body(venueId=made["venue"]["id"])
        for method, more, sent in (("POST", "/cancel", None), ("POST", "/publish", None), ("PUT", "", body)):
            assert (await catalog.ask(method, path + more, json=sent)).status_code == 409

    async def test_a_deleted_draft_is_gone_and_told(self, catalog: Catalog) -> None:
        made = await catalog.event()
        path = f"/events/{made['id']}"
        assert (await catalog.ask("DELETE", path)).status_code == 204
        assert (await catalog.ask("GET", path)).status_code == 404
        assert (await catalog.ask("DELETE", path)).status_code == 404
        assert (await catalog.told(made["id"]))[-1]["body"]["status"] == "deleted"

    async def test_is_on_sale_from_its_on_sale_time_until_it_starts(self, catalog: Catalog) -> None:
        venue = (await catalog.venue())["id"]
        assert (await catalog.published(venueId=venue))["onSale"] is True
        assert (await catalog.published(venueId=venue, onSaleAt="2029-01-01T10:00:00"))["onSale"] is False
        past = {"startTime": "2020-05-01T19:30:00", "endTime": "2020-05-01T22:00:00"}
        assert (await catalog.published(venueId=venue, **past))["onSale"] is False


class TestBadEvents:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"endTime": "2030-05-01T19:00:00"}, "catalog.event_invalid"),
            ({"availableSeats": -1}, "request.invalid"),
            ({"availableSeats": None}, "catalog.event_invalid"),
            ({"name": "  "}, "request.invalid"),
            ({"name": "a\x00b"}, "request.invalid"),
            ({"description": "a\x00b"}, "request.invalid"),
            ({"name": "x" * 201}, "request.invalid"),
            ({"startTime": "tomorrow"}, "catalog.time_invalid"),
            ({"startTime": "0001-01-01T00:00:00"}, "catalog.time_invalid"),
            ({"startTime": "2030-03-10T02:30:00"}, "catalog.time_invalid"),
            ({"venueId": 10**9}, "catalog.venue_unknown"),
            ({"venueId": -1}, "request.invalid"),
            ({"venueId": 10**30}, "request.invalid"),
            ({"venueId": "x"}, "request.invalid"),
            ({"categoryId": 10**9}, "catalog.category_unknown"),
            ({"seatMapId": 10**9}, "catalog.seat_map_unknown"),
            ({"currency": "usd"}, "request.invalid"),
            ({"limitPerCustomer": 0}, "request.invalid"),
            ({"refundPolicy": {"refundPercent": 101}}, "request.invalid"),
            ({"status": "published"}, "request.invalid"),
            ({"version": 7}, "request.invalid"),
        ],
    )
    async def test_is_refused_with_a_code_and_nothing_is_made(
        self, catalog: Catalog, change: dict[str, Any], code: str
    ) -> None:
        body = {**await catalog.event_body(), **change}
        refused = await catalog.ask("POST", "/events", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert refused.headers["content-type"].startswith("application/problem+json")
        assert await catalog.database.fetchval("SELECT count(*) FROM events") == 0
        assert await catalog.database.fetchval("SELECT count(*) FROM outbox") == 0

    async def test_a_venue_of_another_organisation_is_unknown(self, catalog: Catalog) -> None:
        body = await catalog.event_body()
        refused = await catalog.ask("POST", "/events", json=body, headers=catalog.headers(organisation=uuid4()))
        assert (refused.status_code, refused.json()["code"]) == (422, "catalog.venue_unknown")

    async def test_an_organiser_of_several_organisations_names_one(self, catalog: Catalog) -> None:
        body = await catalog.event_body()
        both = catalog.tokens.headers(catalog.user, ("organiser",), {catalog.organisation: "manager", uuid4(): "owner"})
        refused = await catalog.ask("POST", "/events", json=body, headers=both)
        assert (refused.status_code, refused.json()["code"]) == (422, "catalog.organisation_needed")
        named = {**body, "organisationId": str(catalog.organisation)}
        assert (await catalog.ask("POST", "/events", json=named, headers=both)).status_code == 201
        foreign = {**body, "organisationId": str(uuid4())}
        assert (await catalog.ask("POST", "/events", json=foreign, headers=both)).status_code == 403

    @pytest.mark.parametrize("path", ["/events/x", "/events/-1", "/events/0", "/events/1e3"])
    async def test_ids_that_name_nothing_are_not_found(self, catalog: Catalog, path: str) -> None:
        assert (await catalog.ask("GET", path, headers={})).status_code == 404

    async def test_an_id_beyond_all_numbers_is_malformed(self, catalog: Catalog) -> None:
        assert (await catalog.ask("GET", f"/events/{10**40}", headers={})).status_code == 422

    @pytest.mark.parametrize(
        "query", ["pageSize=1000000000", "pageSize=0", "pageNo=-1", "pageSize=x", "pageNo=1000000000", "sortDir=up",
                  "status=x", "dateFrom=x", "organisationId=7", "venueId=-1"]
    )  # fmt: skip
    async def test_a_page_that_cannot_be_is_refused(self, catalog: Catalog, query: str) -> None:
        refused = await catalog.ask("GET", f"/events?{query}", headers={})
        assert refused.status_code == 422, refused.text
        assert refused.json()["code"] in {"request.invalid", "catalog.time_invalid"}

    async def test_a_body_of_ten_megabytes_is_too_large(self, catalog: Catalog) -> None:
        body = {**await catalog.event_body(), "description": "x" * 10_000_000}
        assert (await catalog.ask("POST", "/events", json=body)).status_code == 413


class TestReading:
    async def test_lists_by_start_in_pages(self, catalog: Catalog) -> None:
        venue = (await catalog.venue())["id"]
        for day in (3, 1, 2):
            times = {"startTime": f"2030-05-0{day}T19:30:00", "endTime": f"2030-05-0{day}T22:00:00"}
            await catalog.published(venueId=venue, name=f"Day {day}", **times)
        first = (await catalog.ask("GET", "/events?pageSize=2", headers={})).json()
        assert [event["name"] for event in first["events"]] == ["Day 1", "Day 2"]
        assert (first["totalElement"], first["totalPages"], first["isLast"], first["pageNumber"]) == (3, 2, False, 0)
        last = (await catalog.ask("GET", "/events?pageSize=2&pageNo=1", headers={})).json()
        assert ([event["name"] for event in last["events"]], last["isLast"]) == (["Day 3"], True)
        latest = (await catalog.ask("GET", "/events?sortDir=desc&dateTo=2030-05-03", headers={})).json()
        assert [event["name"] for event in latest["events"]] == ["Day 2", "Day 1"]

    async def test_answers_304_to_the_etag_that_it_gave(self, catalog: Catalog) -> None:
        made = await catalog.published()
        for path in (f"/events/{made['id']}", "/events", f"/venues/{made['venue']['id']}", "/venues", "/categories"):
            answer = await catalog.ask("GET", path, headers={})
            assert answer.headers["cache-control"].startswith("public"), path
            again = await catalog.ask("GET", path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b""), path
        path = f"/events/{made['id']}"
        before = (await catalog.ask("GET", path, headers={})).headers["etag"]
        await catalog.ask("POST", f"{path}/cancel")
        assert (await catalog.ask("GET", path, headers={"If-None-Match": before})).status_code == 200

    async def test_no_cache_keeps_a_draft(self, catalog: Catalog) -> None:
        made = await catalog.event()
        assert "private" in (await catalog.ask("GET", f"/events/{made['id']}")).headers["cache-control"]
        assert "private" in (await catalog.ask("GET", "/events")).headers["cache-control"]

    async def test_the_typed_client_reads_the_same_fact_as_was_told(self, catalog: Catalog) -> None:
        made = await catalog.published(programme=[{"title": "Elektra", "soloists": ["A. Singer (soprano)"]}])
        answer = await get_event(catalog.peers, made["id"])
        assert answer is not None
        told = await catalog.told(made["id"])
        assert answer.version == told[-1]["version"]

        assert msgspec.to_builtins(answer.fact()) == msgspec.to_builtins(
            msgspec.convert(told[-1]["body"], type(answer.fact()))
        )
        assert await get_event(catalog.peers, 999_999) is None
        page = await get_events(catalog.peers, page_no=0)
        assert (page.total_element, page.is_last, page.events[0].id) == (1, True, made["id"])


class TestFindingByWords:
    async def found(self, catalog: Catalog, q: str) -> list[str]:
        page = (await catalog.ask("GET", "/events", params={"q": q}, headers={})).json()
        assert page["totalElement"] == len(page["events"])
        return [event["name"] for event in page["events"]]

    async def test_finds_by_beginnings_of_words_of_event_programme_venue_and_category(self, catalog: Catalog) -> None:
        admin = catalog.administrator()
        category = (await catalog.ask("POST", "/categories", json={"name": "Opera"}, headers=admin)).json()
        venue = await catalog.venue(name="Golden Hall", location="2 Karlsplatz, Vienna")
        works = [{"title": "Elektra", "composer": "Richard Strauss", "soloists": ["A. Singer"]}]
        await catalog.published(name="An evening", programme=works, venueId=venue["id"], categoryId=category["id"])
        await catalog.published(name="Another evening")
        await catalog.event(name="An evening that is a draft")
        for q in (
            "elek",
            "STRAUSS",
            "richard singer",
            "golden",
            "vienna opera",
            "evening karlsplatz elektra",
            "opera an",
        ):
            assert await self.found(catalog, q) == ["An evening"], q
        assert await self.found(catalog, "evening") == ["An evening", "Another evening"]
        assert await self.found(catalog, "evening nothing") == []
        assert await self.found(catalog, "lektra") == [], "a word begins with it, or it is not found"

    @pytest.mark.parametrize("q", ["'", "a:*|b", "!", "& |", "\\", "%00", "<->", "a" * 200, "é 😀", "drop'); --"])
    async def test_takes_what_is_typed_as_words_only(self, catalog: Catalog, q: str) -> None:
        await catalog.published()
        answer = await catalog.ask("GET", "/events", params={"q": q}, headers={})
        assert answer.status_code == 200, answer.text


class TestRepeating:
    async def test_the_same_key_makes_one_event(self, catalog: Catalog) -> None:
        body = await catalog.event_body()
        headers = {**catalog.headers(), "Idempotency-Key": "k-1"}
        first = await catalog.ask("POST", "/events", json=body, headers=headers)
        second = await catalog.ask("POST", "/events", json=body, headers=headers)
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert await catalog.database.fetchval("SELECT count(*) FROM events") == 1
        other = await catalog.ask("POST", "/events", json={**body, "name": "Other"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "request.idempotency_key_reused")

    async def test_publishing_twice_with_one_key_is_once(self, catalog: Catalog) -> None:
        made = await catalog.event()
        headers = {**catalog.headers(), "Idempotency-Key": "k-2"}
        first = await catalog.ask("POST", f"/events/{made['id']}/publish", headers=headers)
        second = await catalog.ask("POST", f"/events/{made['id']}/publish", headers=headers)
        assert (first.status_code, first.content) == (second.status_code, second.content) == (200, first.content)

    async def test_a_change_of_what_changed_meanwhile_is_refused(self, catalog: Catalog) -> None:
        made = await catalog.event()
        path = f"/events/{made['id']}"
        seen = (await catalog.ask("GET", path)).headers["etag"]
        body = await catalog.event_body(venueId=made["venue"]["id"], name="First")
        headers = {**catalog.headers(), "If-Match": seen}
        assert (await catalog.ask("PUT", path, json=body, headers=headers)).status_code == 200
        refused = await catalog.ask("PUT", path, json={**body, "name": "Second"}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (412, "catalog.changed_meanwhile")
        malformed = {**catalog.headers(), "If-Match": "yesterday"}
        assert (await catalog.ask("PUT", path, json=body, headers=malformed)).status_code == 422
