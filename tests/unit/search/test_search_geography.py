"""Distances on the globe, and boxes that hold what is near."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.globe import straight_km

from boxoffice.services.search.domain.criteria import MAX_RADIUS_KM, BadSearchError, criteria
from boxoffice.services.search.domain.geography import Near, Point, boxes, distance_km, point_of
from boxoffice.services.search.providers.contents import point_at, point_key
from boxoffice.services.search.providers.nearby import MAX_POINTS, Area, nearby, page_by_distance

points = st.builds(
    Point,
    latitude=st.floats(-90, 90) | st.sampled_from([-90.0, -89.999, 0.0, 89.999, 90.0]),
    longitude=st.floats(-180, 180) | st.sampled_from([-180.0, -179.999, 0.0, 179.999, 180.0]),
)
radii = st.floats(0.001, MAX_RADIUS_KM) | st.sampled_from([0.1, 1.0, 50.0, 500.0])
VICTORIA = Point(latitude=22.2823, longitude=114.1617)


class TestDistance:
    @pytest.mark.parametrize(
        ("one", "other", "km"),
        [
            (Point(latitude=40.6413, longitude=-73.7781), Point(latitude=51.47, longitude=-0.4543), 5_540),
            (Point(latitude=-90, longitude=0), Point(latitude=0, longitude=77), 10_007.6),
            (Point(latitude=0, longitude=179.5), Point(latitude=0, longitude=-179.5), 111.2),
            (Point(latitude=90, longitude=10), Point(latitude=90, longitude=-160), 0),
            (Point(latitude=0, longitude=0), Point(latitude=0, longitude=180), 20_015.1),
        ],
    )
    def test_is_what_atlases_say(self, one: Point, other: Point, km: float) -> None:
        assert distance_km(one, other) == pytest.approx(km, rel=0.002, abs=1e-9)

    @given(points, points)
    def test_agrees_with_another_formula(self, one: Point, other: Point) -> None:
        assert distance_km(one, other) == pytest.approx(straight_km(one, other), rel=1e-6, abs=1e-3)


class TestBoxes:
    @given(points, points, radii)
    def test_hold_everything_that_is_near(self, middle: Point, other: Point, radius: float) -> None:
        near = Near(point=middle, radius_km=radius)
        assume(near.holds(straight_km(middle, other)))
        assert any(inside(other, near_boxes) for near_boxes in boxes(near))

    @given(points, st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 200))
    def test_hold_what_is_just_within_the_edge(self, middle: Point, north: float, east: float, radius: float) -> None:
        latitude = middle.latitude + north * radius / 111
        assume(abs(latitude) <= 90)
        other = Point(latitude=latitude, longitude=(middle.longitude + east * 4 + 180) % 360 - 180)
        near = Near(point=middle, radius_km=radius)
        assume(near.holds(straight_km(middle, other)))
        assert any(inside(other, box) for box in boxes(near))

    def test_are_two_where_the_date_line_runs_through(self) -> None:
        assert len(boxes(Near(point=Point(latitude=-17, longitude=179.9), radius_km=50))) == 2
        assert len(boxes(Near(point=VICTORIA, radius_km=50))) == 1

    def test_do_not_hold_the_rest_of_the_world(self) -> None:
        (box,) = boxes(Near(point=VICTORIA, radius_km=50))
        assert box.north - box.south < 1
        assert box.east - box.west < 1


class TestPoint:
    @pytest.mark.parametrize(
        ("latitude", "longitude"), [(None, 1.0), (1.0, None), (90.1, 0.0), (0.0, -181.0), (float("nan"), 0.0)]
    )
    def test_is_none_without_coordinates_on_earth(self, latitude: float | None, longitude: float | None) -> None:
        assert point_of(latitude, longitude) is None

    @given(points)
    def test_is_read_back_to_the_last_digit(self, point: Point) -> None:
        assert point_at(point_key(point)) == point

    def test_at_the_edge_is_near(self) -> None:
        other = Point(latitude=22.29386, longitude=114.17011)
        assert Near(point=VICTORIA, radius_km=distance_km(VICTORIA, other)).holds(distance_km(VICTORIA, other))


class TestNearby:
    def test_refuses_a_radius_that_reaches_too_many_points(self) -> None:
        def everywhere(_areas: object, most: int) -> list[str]:
            return [point_key(Point(latitude=22.0, longitude=number / 1e4)) for number in range(most)]

        assert len(nearby(Near(point=VICTORIA, radius_km=20_000), lambda a, m: everywhere(a, m)[:MAX_POINTS])) > 0
        with pytest.raises(BadSearchError, match="radiusKm reaches more than"):
            nearby(Near(point=VICTORIA, radius_km=20_000), everywhere)

    def test_leaves_out_the_corners_of_the_box(self) -> None:
        (box,) = boxes(Near(point=VICTORIA, radius_km=50))
        corner = Point(latitude=box.north, longitude=box.east)
        seen: list[Area] = []

        def points_in(areas: object, _most: int) -> list[str]:
            seen.extend(areas)  # type: ignore[call-overload]
            return [point_key(corner), point_key(VICTORIA)]

        assert nearby(Near(point=VICTORIA, radius_km=50), points_in) == {point_key(VICTORIA): 0.0}
        assert len(seen) == 1


class TestPageByDistance:
    def test_goes_from_point_to_point_across_pages(self) -> None:
        within = {"far": 9.0, "here": 1.0, "there": 4.0}
        ahead, past = {"here": 2, "far": 1}, {"here": 1, "there": 3}
        whole = ["here+", "here+", "here-", "there-", "there-", "there-", "far+"]
        for size in range(1, 9):
            found: list[str] = []
            for page_no in range(-(-len(whole) // size)):
                asked = criteria(texts={}, near="0,0", sort_by="distance", page_no=page_no, page_size=size)
                for one in page_by_distance(asked, within, ahead=ahead, past=past):
                    found += [f"{one.point}{'+' if one.ahead else '-'}"] * one.take
            assert found == whole

    def test_begins_with_the_farthest_when_that_is_asked(self) -> None:
        asked = criteria(texts={}, near="0,0", sort_by="distance", sort_dir="desc", page_size=1)
        (first,) = page_by_distance(asked, {"near": 1.0, "far": 2.0}, ahead={"near": 1, "far": 1}, past={})
        assert first.point == "far"


def inside(point: Point, box: object) -> bool:
    south, north, west, east = (getattr(box, side) for side in ("south", "north", "west", "east"))
    return bool(south <= point.latitude <= north and west <= point.longitude <= east)
