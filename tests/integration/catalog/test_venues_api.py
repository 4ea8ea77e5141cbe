"""Venues, seat maps and categories over HTTP."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.support.catalog import Catalog

from boxoffice.contracts.hall import seats
from boxoffice.contracts.http.catalog import get_seat_map
from boxoffice.services.catalog.providers import published_files

SMALL: dict[str, Any] = {
    "format": "hall/1", "name": "Small", "credit": "Made for a test.",
    "published_totals": {"Stalls": 5, "Total": 7},
    "sections": [
        {"name": "Stalls 1", "rows": [{"row": "A", "blocks": ["1-3", "X1"], "marks": {"X1": "management"}}]},
        {"name": "Stalls 2", "rows": [{"row": "B", "blocks": ["1-2"]}]},
        {"name": "Balcony", "rows": [{"row": "A", "blocks": ["1-2"]}]},
    ],
}  # fmt: skip


class TestVenues:
    async def test_are_made_read_changed_and_deleted(self, catalog: Catalog) -> None:
        made = await catalog.venue(latitude=22.28, longitude=114.16, city="Hong Kong")
        path = f"/venues/{made['id']}"
        assert (await catalog.ask("GET", path, headers={})).json() == made
        body = {"name": "New Name", "location": "https://maps.example.org/1", "totalSeats": 5}
        changed = await catalog.ask("PUT", path, json=body)
        assert (changed.json()["name"], changed.json()["timeZone"]) == ("New Name", "UTC")
        assert (await catalog.ask("GET", "/venues", headers={})).json()["venues"] == [changed.json()]
        assert (await catalog.ask("DELETE", path)).status_code == 204
        assert (await catalog.ask("GET", path, headers={})).json()["code"] == "catalog.venue_not_found"

    async def test_strangers_change_nothing(self, catalog: Catalog) -> None:
        made = await catalog.venue()
        path = f"/venues/{made['id']}"
        body = {"name": "Mine", "location": "", "totalSeats": 5}
        for method, more, sent in (("PUT", "", body), ("DELETE", "", None), ("POST", "/seat-maps", SMALL)):
            for headers, status in (
                (catalog.headers(organisation=uuid4()), 404), (catalog.headers("box_office"), 404),
                (catalog.tokens.headers(catalog.user), 403), ({}, 401),
            ):  # fmt: skip
                answer = await catalog.ask(method, path + more, json=sent, headers=headers)
                assert answer.status_code == status, (method, answer.text)
        assert (await catalog.ask("POST", "/venues", json=body, headers=catalog.headers("scanner"))).status_code == 403

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"timeZone": "Mars/Olympus"}, "catalog.timezone_unknown"),
            ({"timeZone": "../../etc/passwd"}, "catalog.timezone_unknown"),
            ({"totalSeats": -1}, "request.invalid"),
            ({"latitude": 91, "longitude": 0}, "request.invalid"),
            ({"latitude": 1}, "catalog.venue_invalid"),
            ({"location": "a\x00b"}, "request.invalid"),
            ({"name": ""}, "request.invalid"),
        ],
    )
    async def test_what_cannot_be_is_refused(self, catalog: Catalog, change: dict[str, Any], code: str) -> None:
        body = {"name": "V", "location": "L", "totalSeats": 5, **change}
        refused = await catalog.ask("POST", "/venues", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)

    async def test_a_venue_with_events_stays(self, catalog: Catalog) -> None:
        made = await catalog.event()
        path = f"/venues/{made['venue']['id']}"
        refused = await catalog.ask("DELETE", path)
        assert (refused.status_code, refused.json()["code"]) == (409, "catalog.venue_in_use")
        await catalog.ask("DELETE", f"/events/{made['id']}")
        assert (await catalog.ask("DELETE", path)).status_code == 204

    async def test_a_changed_venue_is_told_with_its_events(self, catalog: Catalog) -> None:
        made = await catalog.published()
        body = {"name": "Renamed", "location": "L", "totalSeats": 5, "timeZone": "America/New_York"}
        await catalog.ask("PUT", f"/venues/{made['venue']['id']}", json=body)
        told = await catalog.told(made["id"])
        assert (told[-1]["version"], told[-1]["body"]["venue"]["name"]) == (3, "Renamed")
        assert (await catalog.ask("GET", f"/events/{made['id']}", headers={})).json()["version"] == 3


class TestSeatMaps:
    @pytest.mark.parametrize(
        ("name", "sellable", "places"),
        [("hk-cultural-centre-concert-hall", 1971, 1979), ("hk-city-hall-theatre", 463, 463)],
    )
    async def test_takes_the_real_halls(self, catalog: Catalog, name: str, sellable: int, places: int) -> None:
        venue = await catalog.venue()
        document = json.loads(published_files.hall(name).read_text())
        made = await catalog.ask("POST", f"/venues/{venue['id']}/seat-maps", json=document)
        assert made.status_code == 201, made.text
        assert (made.json()["version"], made.json()["seats"]) == (1, places)
        assert "CC BY 4.0" in made.json()["credit"]
        answer = await get_seat_map(catalog.peers, made.json()["id"])
        assert answer is not None
        assert sum(seat.sellable for seat in seats(answer.hall)) == sellable
        event = await catalog.event(venueId=venue["id"], seatMapId=made.json()["id"])
        assert event["availableSeats"] == sellable

    async def test_the_same_content_is_the_same_version_and_another_the_next(self, catalog: Catalog) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        first, again = [(await catalog.ask("POST", path, json=SMALL)).json() for _ in range(2)]
        assert first == again
        other = (await catalog.ask("POST", path, json={**SMALL, "name": "Small, changed"})).json()
        assert (other["version"], other["id"]) != (1, first["id"])
        assert other["version"] == 2

    async def test_may_be_kept_for_ever_and_never_changes(self, catalog: Catalog) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        made = (await catalog.ask("POST", path, json=SMALL)).json()
        answer = await catalog.ask("GET", f"/seat-maps/{made['id']}", headers={})
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable, stale-if-error=3600"
        assert answer.json()["hall"]["sections"] == SMALL["sections"]
        with pytest.raises(asyncpg.RaiseError):
            await catalog.database.fetch("UPDATE seat_maps SET name = 'other'")

    @pytest.mark.parametrize(
        ("totals", "said"),
        [
            ({"Stalls": 6, "Total": 7}, [{"section": "Stalls", "found": 5, "published": 6}]),
            ({"Balcony": 1}, [{"section": "Balcony", "found": 2, "published": 1}]),
            ({"Total": 8}, [{"section": "Total", "found": 7, "published": 8}]),
            ({"Gallery": 2}, [{"section": "Gallery", "found": None, "published": 2}]),
        ],
    )
    async def test_a_wrong_total_is_refused_naming_the_section(
        self, catalog: Catalog, totals: dict[str, int], said: list[dict[str, Any]]
    ) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        refused = await catalog.ask("POST", path, json={**SMALL, "published_totals": totals})
        assert (refused.status_code, refused.json()["code"]) == (422, "catalog.seat_map_totals_differ")
        assert refused.json()["totals"] == said
        assert said[0]["section"] in refused.json()["detail"]

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"format": "hall/2"}, "request.invalid"),
            ({"sections": []}, "catalog.seat_map_unreadable"),
            ({"name": "a\x00"}, "catalog.seat_map_unreadable"),
            ({"stage": "s" * 201}, "catalog.seat_map_unreadable"),
            ({"stage": "front\n"}, "catalog.seat_map_unreadable"),
            ({"seat_1_side": "s" * 201}, "catalog.seat_map_unreadable"),
            ({"credit": "c" * 2001}, "catalog.seat_map_unreadable"),
            ({"credit": "a\x00"}, "catalog.seat_map_unreadable"),
            ({"address": "a" * 2001}, "catalog.seat_map_unreadable"),
            ({"counting": "c" * 2001}, "catalog.seat_map_unreadable"),
            ({"marks": {"m" * 201: "kept"}}, "catalog.seat_map_unreadable"),
            ({"marks": {"kept": "m" * 2001}}, "catalog.seat_map_unreadable"),
            ({"marks": {str(at): "kept" for at in range(201)}}, "catalog.seat_map_unreadable"),
            ({"published_totals": {"t" * 201: 1}}, "catalog.seat_map_unreadable"),
            ({"standing": {"note": "n" * 2001}}, "catalog.seat_map_unreadable"),
            ({"sections": [{"name": "S", "rows": [{"row": "A", "blocks": ["1"], "marks": {"1": "m" * 201}}]}]},
             "catalog.seat_map_unreadable"),
            ({"latitude": 90.1}, "catalog.seat_map_unreadable"),
            ({"longitude": -180.1}, "catalog.seat_map_unreadable"),
            ({"longitude": "east"}, "request.invalid"),
            ({"sections": [{"name": "S", "rows": [{"row": "A", "blocks": ["3-1"]}]}]}, "catalog.seat_map_unreadable"),
            ({"sections": [{"name": "S", "rows": [{"row": "A", "blocks": ["1,1"]}]}]}, "catalog.seat_map_unreadable"),
            ({"sections": [{"name": "S", "rows": [{"row": "A", "blocks": ["1-99999"] * 9}]}]},
             "catalog.seat_map_unreadable"),
        ],
    )  # fmt: skip
    async def test_what_is_no_seat_map_is_refused(self, catalog: Catalog, change: dict[str, Any], code: str) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        refused = await catalog.ask("POST", path, json={**SMALL, "published_totals": {}, **change})
        assert (refused.status_code, refused.json()["code"]) == (422, code)

    async def test_takes_up_to_a_megabyte(self, catalog: Catalog) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        for places, status in ((80_000, 201), (100_000, 413)):  # eleven bytes a place
            row = {"row": "A", "blocks": [",".join(f"S{at:09}" for at in range(places))]}
            large = {"format": "hall/1", "name": "Large", "sections": [{"name": "S", "rows": [row]}]}
            assert (await catalog.ask("POST", path, json=large)).status_code == status

    async def test_a_seat_map_of_another_venue_is_unknown(self, catalog: Catalog) -> None:
        path = f"/venues/{(await catalog.venue())['id']}/seat-maps"
        made = (await catalog.ask("POST", path, json=SMALL)).json()
        body = await catalog.event_body(seatMapId=made["id"])
        assert (await catalog.ask("POST", "/events", json=body)).json()["code"] == "catalog.seat_map_unknown"

    async def test_an_unknown_one_is_not_found(self, catalog: Catalog) -> None:
        assert (await catalog.ask("GET", "/seat-maps/7", headers={})).json()["code"] == "catalog.seat_map_not_found"
        assert await get_seat_map(catalog.peers, 7) is None


class TestCategories:
    async def test_administrators_keep_them(self, catalog: Catalog) -> None:
        admin = catalog.administrator()
        made = (await catalog.ask("POST", "/categories", json={"name": "Opera"}, headers=admin)).json()
        path = f"/categories/{made['id']}"
        same = await catalog.ask("POST", "/categories", json={"name": "OPERA"}, headers=admin)
        assert (same.status_code, same.json()["code"]) == (409, "catalog.category_exists")
        event = await catalog.published(categoryId=made["id"])
        await catalog.ask("PUT", path, json={"name": "Operas"}, headers=admin)
        assert (await catalog.told(event["id"]))[-1]["body"]["category"] == "Operas"
        assert (await catalog.ask("GET", path, headers={})).json()["name"] == "Operas"
        refused = await catalog.ask("DELETE", path, headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (409, "catalog.category_in_use")
        empty = (await catalog.ask("POST", "/categories", json={"name": "Jazz"}, headers=admin)).json()
        assert (await catalog.ask("DELETE", f"/categories/{empty['id']}", headers=admin)).status_code == 204
        assert (await catalog.ask("GET", "/categories", headers={})).json()["totalElement"] == 1

    async def test_nobody_else_does(self, catalog: Catalog) -> None:
        for headers, status in ((catalog.headers(), 403), ({}, 401)):
            for method, path in (("POST", "/categories"), ("PUT", "/categories/1"), ("DELETE", "/categories/1")):
                sent = None if method == "DELETE" else {"name": "x"}
                assert (await catalog.ask(method, path, json=sent, headers=headers)).status_code == status
