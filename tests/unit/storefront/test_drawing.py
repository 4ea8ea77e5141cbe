"""The drawn house: nothing overlaps, nothing is lost, and it looks like the hall it is."""

from collections import defaultdict
from functools import cache
from itertools import pairwise
from math import atan2, degrees, dist, hypot
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.contracts.hall import Hall, seats
from boxoffice.kernel.drawing import AISLE, PITCH, SEAT_SIZE, Drawing, Spot, draw
from boxoffice.kernel.plan import KEPT, Seat
from boxoffice.services.storefront.domain.svg import render

HALLS = Path(__file__).parents[3] / "data" / "halls"
CONCERT_HALL, THEATRE = "hk-cultural-centre-concert-hall", "hk-city-hall-theatre"


def places(hall: Hall) -> list[Seat]:
    return [
        Seat(place=seat.place, section=seat.section, row=seat.row, number=seat.number, block=seat.block, mark=seat.mark)
        for seat in seats(hall)
    ]


@cache
def published(name: str) -> tuple[Hall, Drawing]:
    hall = msgspec.json.decode((HALLS / f"{name}.json").read_bytes(), type=Hall)
    return hall, draw(places(hall), stage=hall.stage)


def nearest(spots: tuple[Spot, ...]) -> float:
    """The least distance between two spots, found through a grid of cells."""
    cells: defaultdict[tuple[int, int], list[Spot]] = defaultdict(list)
    least = float("inf")
    for spot in spots:
        column, row = int(spot.x // 20), int(spot.y // 20)
        for near in ((column + a, row + b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
            least = min([least, *(dist((spot.x, spot.y), (other.x, other.y)) for other in cells[near])])
        cells[column, row].append(spot)
    return least


@pytest.fixture
def concert_hall() -> Drawing:
    return published(CONCERT_HALL)[1]


@pytest.fixture
def theatre() -> Drawing:
    return published(THEATRE)[1]


class TestBothHalls:
    @pytest.mark.parametrize("name", [CONCERT_HALL, THEATRE])
    def test_no_two_seats_are_nearer_than_a_seat(self, name: str) -> None:
        assert nearest(published(name)[1].spots) >= SEAT_SIZE

    @pytest.mark.parametrize("name", [CONCERT_HALL, THEATRE])
    def test_every_place_is_drawn_once_in_reading_order(self, name: str) -> None:
        hall, drawing = published(name)
        assert [spot.seat.place for spot in drawing.spots] == list(range(sum(1 for _ in seats(hall))))

    @pytest.mark.parametrize("name", [CONCERT_HALL, THEATRE])
    def test_everything_is_within_the_frame(self, name: str) -> None:
        drawing = published(name)[1]
        left, top, width, height = drawing.frame
        for x, y in [*((spot.x, spot.y) for spot in drawing.spots), *drawing.platform]:
            assert left < x < left + width
            assert top < y < top + height

    @pytest.mark.parametrize("name", [CONCERT_HALL, THEATRE])
    def test_neighbours_stand_beside_each_other_and_aisles_are_gaps(self, name: str) -> None:
        spots = published(name)[1].spots
        for left, right in pairwise(spots):
            a, b = left.seat, right.seat
            if (a.section, a.row) != (b.section, b.row):
                continue
            apart = dist((left.x, left.y), (right.x, right.y))
            if a.block == b.block:
                assert apart <= 1.6 * PITCH
            elif KEPT not in (a.mark, b.mark):
                assert apart > 1.6 * PITCH

    def test_a_house_looks_the_same_every_time(self) -> None:
        hall, drawing = published(THEATRE)
        assert draw(places(hall), stage=hall.stage) == drawing


class TestConcertHall:
    def test_has_all_1979_places(self, concert_hall: Drawing) -> None:
        assert len(concert_hall.spots) == 1979

    def test_is_all_round_the_platform(self, concert_hall: Drawing) -> None:
        directions = {
            int(degrees(atan2(spot.x, spot.y)) // 45) for spot in concert_hall.spots if spot.seat.section == "Balcony"
        }
        assert directions == set(range(-4, 4))

    def test_has_the_stalls_inside_and_the_balcony_outside(self, concert_hall: Drawing) -> None:
        # In every direction in which both stand, every seat of the stalls is nearer than every seat of the balcony.
        inner: defaultdict[int, float] = defaultdict(float)
        outer: defaultdict[int, float] = defaultdict(lambda: float("inf"))
        for spot in concert_hall.spots:
            at, away = int(degrees(atan2(spot.x, spot.y)) // 5), hypot(spot.x, spot.y)
            if spot.seat.section.startswith("Stalls"):
                inner[at] = max(inner[at], away)
            elif spot.seat.section == "Balcony":
                outer[at] = min(outer[at], away)
        shared = set(inner) & set(outer)
        assert len(shared) > 20
        assert all(inner[at] < outer[at] for at in shared)

    def test_keeps_the_platform_free(self, concert_hall: Drawing) -> None:
        reach = max(hypot(x, y) for x, y in concert_hall.platform)
        assert min(hypot(spot.x, spot.y) for spot in concert_hall.spots) > reach + PITCH

    def test_numbers_run_round_the_hall_from_the_audiences_left(self, concert_hall: Drawing) -> None:
        middle = {
            number: next(
                spot
                for spot in concert_hall.spots
                if (spot.seat.section, spot.seat.row, spot.seat.number) == ("Balcony", row, number)
            )
            for row, number in (("E", "48"), ("M", "102"), ("E", "158"), ("B", "20"))
        }
        assert middle["48"].x < 0 < middle["158"].x  # left and right of the platform
        assert middle["102"].y > 0 > middle["20"].y  # the rear, and behind the platform
        assert abs(middle["102"].x) < 3 * PITCH
        assert abs(middle["20"].x) < 3 * PITCH

    def test_is_nearly_the_same_on_both_sides(self, concert_hall: Drawing) -> None:
        left = sum(1 for spot in concert_hall.spots if spot.x < 0)
        assert 0.45 < left / len(concert_hall.spots) < 0.55

    def test_names_every_section_and_box(self, concert_hall: Drawing) -> None:
        assert [label.text for label in concert_hall.section_names] == [
            "Stalls 1", "Stalls 2", "Balcony", "Box 1", "Box 2",
        ]  # fmt: skip


class TestTheatre:
    def test_rows_lie_behind_each_other_before_the_stage(self, theatre: Drawing) -> None:
        middle: dict[str, float] = {}
        for spot in theatre.spots:
            middle[spot.seat.row] = max(middle.get(spot.seat.row, 0.0), spot.y)
        depths = list(middle.values())
        assert depths == sorted(depths)
        assert max(y for _, y in theatre.platform) < min(spot.y for spot in theatre.spots)

    def test_numbers_grow_from_left_to_right(self, theatre: Drawing) -> None:
        for row in "AGW":
            xs = [spot.x for spot in theatre.spots if spot.seat.row == row]
            assert xs == sorted(xs)

    def test_rows_are_curved_towards_the_stage(self, theatre: Drawing) -> None:
        row = [spot for spot in theatre.spots if spot.seat.row == "T"]
        assert row[0].y < row[len(row) // 2].y > row[-1].y

    def test_rows_can_be_straight(self) -> None:
        hall, _ = published(THEATRE)
        row = [spot for spot in draw(places(hall), stage="front, straight rows").spots if spot.seat.row == "T"]
        assert max(spot.y for spot in row) - min(spot.y for spot in row) < PITCH / 5


class TestPicture:
    NASTY = "\"'><script>alert(1)</script>&lt;<image href=x onerror=alert(2)>"

    def test_what_organisers_typed_stays_text(self) -> None:
        """A page puts the picture into itself, so no name may become an element or an attribute."""
        seat = Seat(place=0, section=self.NASTY, row=self.NASTY, number=self.NASTY, block=0, mark=self.NASTY)
        plain = Seat(place=0, section="Stalls", row="A", number="1", block=0, mark="companion")
        nasty, harmless = (
            ET.fromstring(render(draw([one], stage="front"), title=title))  # noqa: S314 - our own drawing
            for one, title in ((seat, self.NASTY), (plain, "Small Hall"))
        )
        assert [element.tag for element in nasty.iter()] == [element.tag for element in harmless.iter()]
        assert [list(element.attrib) for element in nasty.iter()] == [
            list(element.attrib) for element in harmless.iter()
        ]
        shown = [word for element in nasty.iter() for word in (element.text, *element.attrib.values())]
        assert shown.count(self.NASTY) == 7, "title, section and row twice each, number, mark"


def row_of(blocks: list[int], *, start: int) -> list[tuple[int, list[str]]]:
    """Number the seats of a row's blocks, an aisle after each."""
    found, at = [], start
    for index, length in enumerate(blocks):
        found.append((index, [str(number) for number in range(at, at + length)]))
        at += length
    return found


houses = st.lists(
    st.lists(st.lists(st.integers(1, 22), min_size=1, max_size=5), min_size=1, max_size=9), min_size=1, max_size=4
)


class TestAnyHouse:
    @settings(max_examples=25, deadline=None)
    @given(house=houses, stage=st.sampled_from(["front", "front, straight rows", "surrounded: all round"]))
    def test_no_two_seats_overlap_whatever_the_map(self, house: list[list[list[int]]], stage: str) -> None:
        found: list[Seat] = []
        for section, rows in enumerate(house):
            for row, blocks in enumerate(rows):
                for block, numbers in row_of(blocks, start=1):
                    found += [
                        Seat(place=len(found) + at, section=f"S{section}", row=f"R{row}", number=number, block=block)
                        for at, number in enumerate(numbers)
                    ]
        drawing = draw(found, stage=stage)
        assert [spot.seat for spot in drawing.spots] == found
        assert nearest(drawing.spots) >= SEAT_SIZE

    def test_a_house_of_wheelchair_places_alone_is_drawn(self) -> None:
        house = [Seat(place=at, section="S", row="W", number=str(at), block=0, mark="wheelchair") for at in range(4)]
        assert len(draw(house, stage="front").spots) == 4

    def test_an_aisle_is_wider_than_the_space_between_neighbours(self) -> None:
        assert AISLE > PITCH > SEAT_SIZE
