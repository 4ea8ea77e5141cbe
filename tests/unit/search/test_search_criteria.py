"""What may be asked."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.kernel.errors import Category
from boxoffice.services.search.domain.criteria import FACETS, MAX_TEXT, BadSearchError, criteria
from boxoffice.services.search.domain.geography import Near, Point


def wrong_fields(**asked: Any) -> set[str]:
    with pytest.raises(BadSearchError) as refused:
        criteria(**{"texts": {}, **asked})
    assert refused.value.category is Category.INVALID
    return {entry["field"] for entry in refused.value.context["errors"]}  # type: ignore[attr-defined]


class TestCriteria:
    def test_are_everything_by_relevance_when_nothing_is_asked(self) -> None:
        asked = criteria(texts={})
        assert (asked.order, asked.page_no, asked.page_size, asked.facets) == ("relevance", 0, 20, ())

    @pytest.mark.parametrize(
        ("asked", "field"),
        [
            ({"page_size": 10**9}, "pageSize"),
            ({"page_size": 0}, "pageSize"),
            ({"page_no": -1}, "pageNo"),
            ({"page_no": 10**12}, "pageNo"),
            ({"sort_by": "password"}, "sortBy"),
            ({"sort_dir": "sideways"}, "sortDir"),
            ({"texts": {"q": "x" * 65_536}}, "q"),
            ({"texts": {"venueName": "x" * (MAX_TEXT + 1)}}, "venueName"),
            ({"date_from": "yesterday"}, "dateFrom"),
            ({"date_to": "2024-13-01"}, "dateTo"),
            ({"date_to": "9999-12-31"}, "dateTo"),
            ({"date_from": "2024-02-02", "date_to": "2024-02-01"}, "dateFrom"),
            ({"date_from": "2024-02-02T10:00:00Z", "date_to": "2024-02-02T10:00:00+05:00"}, "dateFrom"),
            ({"facets": "category,shoe_size"}, "facets"),
            ({"near": "22.29"}, "near"),
            ({"near": "22.29,114.17,3"}, "near"),
            ({"near": "north,east"}, "near"),
            ({"near": "nan,114.17"}, "near"),
            ({"near": "1e1,114.17"}, "near"),
            ({"near": "\u0662\u0662,114"}, "near"),
            ({"near": "114.17,22.29"}, "near"),
            ({"near": "22.29,180.01"}, "near"),
            ({"near": "9" * 60_000 + ",1"}, "near"),
            ({"near": "22.29,114.17", "radius_km": "0"}, "radiusKm"),
            ({"near": "22.29,114.17", "radius_km": "-5"}, "radiusKm"),
            ({"near": "22.29,114.17", "radius_km": "inf"}, "radiusKm"),
            ({"near": "22.29,114.17", "radius_km": "5 km"}, "radiusKm"),
            ({"near": "22.29,114.17", "radius_km": "20001"}, "radiusKm"),
            ({"radius_km": "5"}, "radiusKm"),
            ({"sort_by": "distance"}, "sortBy"),
            ({"near": "nowhere", "radius_km": "5", "sort_by": "distance"}, "near"),
        ],
    )
    def test_out_of_bounds_are_refused_by_field(self, asked: dict[str, Any], field: str) -> None:
        assert wrong_fields(**asked) == {field}

    def test_name_every_wrong_field_at_once(self) -> None:
        assert wrong_fields(page_size=0, sort_by="x", date_from="x") == {"pageSize", "sortBy", "dateFrom"}

    @given(st.text(max_size=40))
    def test_read_any_date_or_refuse_it(self, text: str) -> None:
        try:
            criteria(texts={}, date_from=text, date_to=text)
        except BadSearchError as refused:
            assert refused.context["errors"]  # noqa: PT017 - either is right, nothing else may come

    @pytest.mark.parametrize("name", ["startTime", "STARTTIME", "date", "relevance", "price", "name"])
    def test_take_the_allowed_orders_only_by_name(self, name: str) -> None:
        assert criteria(texts={}, sort_by=name, sort_dir="DESC").descending

    def test_take_a_point_and_a_radius(self) -> None:
        asked = criteria(texts={}, near="22.29386, -114.17", radius_km="2.5", sort_by="distance")
        assert asked.near == Near(point=Point(latitude=22.29386, longitude=-114.17), radius_km=2.5)
        assert criteria(texts={}, near="-90,180").near == Near(point=Point(latitude=-90, longitude=180), radius_km=50)

    @given(st.text(max_size=20), st.text(max_size=10))
    def test_read_any_place_or_refuse_it(self, near: str, radius: str) -> None:
        try:
            criteria(texts={}, near=near, radius_km=radius)
        except BadSearchError as refused:
            assert refused.context["errors"]  # noqa: PT017 - either is right, nothing else may come

    def test_take_facets_as_a_list_or_all(self) -> None:
        assert criteria(texts={}, facets="city, category").facets == ("category", "city")
        assert criteria(texts={}, facets="true").facets == FACETS
        assert criteria(texts={}, facets="false").facets == ()


class TestDays:
    def test_include_the_last_day_to_its_end(self) -> None:
        asked = criteria(texts={}, date_from="2024-12-31", date_to="2024-12-31")
        assert asked.since
        assert asked.until
        assert asked.since.at == datetime(2024, 12, 31)  # noqa: DTZ001 - the venue's clock
        assert asked.until.at == datetime(2025, 1, 1)  # noqa: DTZ001 - the venue's clock
        assert asked.since.is_local

    def test_are_instants_when_they_carry_an_offset(self) -> None:
        asked = criteria(texts={}, date_from="2024-12-31T19:30:00-05:00")
        assert asked.since
        assert asked.since.at == datetime(2025, 1, 1, 0, 30, tzinfo=UTC)

    def test_survive_a_plus_that_became_a_space(self) -> None:
        asked = criteria(texts={}, date_to="2024-12-31T19:30:00 02:00")
        assert asked.until
        assert asked.until.at == datetime(2024, 12, 31, 17, 30, 1, tzinfo=UTC)
