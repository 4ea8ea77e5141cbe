"""What is near, on every kind of engine, against a reference that looks at every event and measures differently."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from tests.support.concert_facts import NOW
from tests.support.globe import CENTRES, globe, straight_km
from tests.support.search_engines import Kind, SearchEngines

from boxoffice.services.search.domain.criteria import Criteria, criteria
from boxoffice.services.search.domain.geography import Near, Point, distance_km, point_of
from boxoffice.services.search.domain.listing import Listing, ListingChange, Sale, SaleChange
from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.usecases.take_changes import apply

ALL_OVER = globe()
LISTED: dict[int, Listing] = {change.event_id: change.listing for change in ALL_OVER if change.listing}
EDGE_KM = 1e-3
"""Two formulas may differ by so much; what lies so close to the edge is left to ``Near.holds``."""

middles = st.sampled_from([Point(latitude=one, longitude=other) for one, other in CENTRES]) | st.builds(
    Point, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180)
)
radii = st.sampled_from([0.5, 15.0, 400.0, 5_000.0, 20_000.0]) | st.floats(0.1, 20_000)


@pytest.fixture(scope="module")
def globes(search_engines: SearchEngines) -> Iterator[Callable[[Kind], SearchEngine]]:
    with ExitStack() as stack:
        known: dict[Kind, SearchEngine] = {}

        def give(kind: Kind) -> SearchEngine:
            if kind not in known:
                known[kind] = stack.enter_context(search_engines.fresh(kind))
                apply(known[kind], ALL_OVER)
            return known[kind]

        yield give


@pytest.fixture
def everywhere(kind: Kind, globes: Callable[[Kind], SearchEngine]) -> SearchEngine:
    return globes(kind)


def asked(middle: Point, radius: float, **more: Any) -> Criteria:
    return replace(criteria(texts={"q": more.pop("q", "")}), near=Near(point=middle, radius_km=radius), **more)


def reference(near: Near, name: str = "") -> dict[int, Listing]:
    """What is near, by looking at every event."""
    found = {}
    for event_id, listing in LISTED.items():
        point = point_of(listing.venue.latitude, listing.venue.longitude)
        if point is None or name not in listing.name:
            continue
        away = straight_km(near.point, point)
        if abs(away - near.radius_km) <= EDGE_KM:
            reject()
        if away < near.radius_km:
            found[event_id] = listing
    return found


def in_order(near: Near, found: dict[int, Listing], *, descending: bool) -> list[int]:
    def place(event_id: int) -> tuple[float, str, bool, float]:
        listing = found[event_id]
        point = point_of(listing.venue.latitude, listing.venue.longitude)
        assert point is not None
        away = distance_km(near.point, point)
        until = (listing.starts_at - NOW).total_seconds()
        return -away if descending else away, f"{point.latitude!r},{point.longitude!r}", until < 0, abs(until)

    return sorted(found, key=place)


def walked(engine: SearchEngine, question: Criteria) -> tuple[list[int], int]:
    """All pages of an answer, and the total that the first one says."""
    ids: list[int] = []
    total = 1
    while len(ids) < total:
        page = engine.search(replace(question, page_no=len(ids) // question.page_size), now=NOW)
        if not ids:
            total = page.total
        ids += [entry.event_id for entry in page.hits]
        if not page.hits:
            break
    return ids, total


class TestNear:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        middles, radii, st.sampled_from(["asc", "desc"]), st.sampled_from(["", "Mahler"]), st.sampled_from([100, 37])
    )
    def test_finds_and_orders_as_one_who_looks_at_every_event(
        self, everywhere: SearchEngine, middle: Point, radius: float, direction: str, name: str, page_size: int
    ) -> None:  # fmt: skip
        near, descending = Near(point=middle, radius_km=radius), direction == "desc"
        expected = reference(near, name)
        question = asked(middle, radius, q=name, order="distance", descending=descending, page_size=page_size)
        ids, total = walked(everywhere, question)
        assert (ids, total) == (in_order(near, expected, descending=descending), len(expected))

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(middles, radii, st.sampled_from(["relevance", "date", "name", "price"]))
    def test_combines_with_every_order_and_counts_facets_within(
        self, everywhere: SearchEngine, middle: Point, radius: float, order: Any
    ) -> None:
        expected = reference(Near(point=middle, radius_km=radius))
        question = asked(middle, radius, order=order, facets=("category",), page_size=100)
        assert sorted(walked(everywhere, question)[0]) == sorted(expected)
        counts = {one.value: one.count for one in everywhere.search(question, now=NOW).facets["category"]}
        assert sum(counts.values()) == len(expected)
        assert counts.get("Mahler", 0) == sum(listing.category == "Mahler" for listing in expected.values())

    def test_sees_both_sides_of_the_date_line_and_all_meridians_at_a_pole(self, everywhere: SearchEngine) -> None:
        for middle, radius, reached in (
            (Point(latitude=-16.85, longitude=179.999), 30.0, {(-16.8, 179.99), (-16.9, -179.98)}),
            (Point(latitude=0.0, longitude=180.0), 1.0, {(0.0, 180.0), (0.0, -180.0)}),
            (Point(latitude=89.95, longitude=-168.0), 40.0, {(89.9, 12.0), (90.0, 0.0)}),
            (Point(latitude=-90.0, longitude=0.0), 5.0, {(-90.0, 77.0), (-89.99, -140.0)}),
        ):
            hits = everywhere.search(asked(middle, radius, page_size=100), now=NOW).hits
            points = {(hit.listing.venue.latitude, hit.listing.venue.longitude) for hit in hits if hit.listing}
            assert points >= reached

    def test_knows_nothing_of_venues_without_coordinates(self, everywhere: SearchEngine) -> None:
        nowhere = {event_id for event_id, listing in LISTED.items() if listing.venue.latitude is None}
        found = {event_id for lat in (-45.0, 45.0) for event_id in walked(
            everywhere, asked(Point(latitude=lat, longitude=0.0), 20_000.0, page_size=100))[0]}  # fmt: skip
        assert len(nowhere) == 5
        assert found == set(LISTED) - nowhere

    def test_says_nothing_is_near_the_middle_of_nowhere(self, everywhere: SearchEngine) -> None:
        for order in ("relevance", "distance"):
            question = asked(Point(latitude=-48.8767, longitude=-123.3933), 1.0, order=order, facets=("city",))
            found = everywhere.search(question, now=NOW)
            assert (found.total, list(found.hits)) == (0, [])

    def test_forgives_typing_errors_within_the_radius_only(self, everywhere: SearchEngine) -> None:
        middle = Point(latitude=22.29386, longitude=114.17011)
        near = Near(point=middle, radius_km=1_000.0)
        found = everywhere.search(asked(middle, 1_000.0, q="mahlr", page_size=100), now=NOW)
        assert {hit.event_id for hit in found.hits} == set(reference(near, "Mahler"))

    def test_follows_a_venue_that_moves_and_an_event_that_goes(self, engine: SearchEngine) -> None:
        here, there = Point(latitude=48.2, longitude=16.37), Point(latitude=52.5, longitude=13.4)
        listing = LISTED[1]
        for version, point in ((1, here), (2, there)):
            venue = replace(listing.venue, latitude=point.latitude, longitude=point.longitude)
            apply(engine, [ListingChange(event_id=1, version=version, listing=replace(listing, venue=venue))])
        sale = Sale(state="on_sale", lowest_price_minor=1_000, currency="EUR")
        apply(engine, [SaleChange(event_id=1, version=1, sale=sale)])
        assert [engine.search(asked(point, 10.0), now=NOW).total for point in (here, there)] == [0, 1]
        apply(engine, [ListingChange(event_id=1, version=3, listing=None)])
        assert engine.search(asked(there, 10.0, order="distance"), now=NOW).total == 0
