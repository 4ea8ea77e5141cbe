"""Pictures of a house: deltas lead from one to the next, the ring remembers them, and the hash tells what is lost."""

import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.sales.domain.availability import pack
from boxoffice.services.sales.domain.picture import FEW_CHANGES, KEPT_DELTAS, Area, Delta, Picture, Ring, apply, delta

STATES = st.lists(st.integers(0, 3), min_size=1, max_size=600)


def picture(version: int, codes: Sequence[int], areas: tuple[Area, ...] = ()) -> Picture:
    return Picture(version=version, places=len(codes), packed=pack(bytes(codes)), areas=areas)


def area(free: int) -> Area:
    return Area(name="Lawn", capacity=100, free=free, held=0, sold=100 - free, blocked=0)


def changed(codes: Sequence[int], *places: int) -> list[int]:
    return [(code + 1) % 4 if place in places else code for place, code in enumerate(codes)]


class TestDelta:
    @given(STATES, st.lists(st.integers(0, 599), max_size=FEW_CHANGES, unique=True))
    def test_leads_to_the_next_picture(self, codes: list[int], places: list[int]) -> None:
        before, after = picture(1, codes), picture(2, changed(codes, *places))
        change = delta(before, after)
        assert change is not None
        assert [place for place, _ in change.changes] == sorted(place for place in places if place < len(codes))
        assert apply(before, change) == after

    def test_is_none_when_a_snapshot_is_shorter(self) -> None:
        codes = [0] * 240
        assert delta(picture(1, codes), picture(2, changed(codes, *range(FEW_CHANGES)))) is not None
        assert delta(picture(1, codes), picture(2, changed(codes, *range(FEW_CHANGES + 1)))) is None

    def test_is_none_when_there_are_other_places(self) -> None:
        assert delta(picture(1, [0]), picture(2, [0, 0])) is None

    def test_of_two_equal_pictures_changes_nothing(self) -> None:
        change = delta(picture(1, [0, 1]), picture(2, [0, 1]))
        assert change is not None
        assert change.changes == ()

    def test_tells_all_areas_when_one_changed(self) -> None:
        change = delta(picture(1, [0], (area(9),)), picture(2, [0], (area(8),)))
        assert change is not None
        assert change.areas == (area(8),)
        unchanged = delta(picture(1, [0], (area(9),)), picture(2, [1], (area(9),)))
        assert unchanged is not None
        assert unchanged.areas is None


class TestApply:
    def test_refuses_a_delta_for_another_version(self) -> None:
        change = delta(picture(1, [0, 0]), picture(2, [1, 0]))
        assert change is not None
        with pytest.raises(ValueError, match="does not fit"):
            apply(picture(0, [0, 0]), change)

    def test_notices_states_that_are_not_the_servers(self) -> None:
        change = delta(picture(1, [0, 0]), picture(2, [1, 0]))
        assert change is not None
        with pytest.raises(ValueError, match="should have the hash"):
            apply(picture(1, [0, 3]), change)


class TestHash:
    def test_is_the_crc_of_the_packed_states(self) -> None:
        """The storefront's module computes the same from the bytes of a snapshot."""
        assert picture(1, [1, 2, 0, 3, 2]).hash == f"{zlib.crc32(bytes([0b11001001, 0b11111110])):08x}"

    @given(STATES, st.integers(0, 599))
    def test_differs_when_one_place_does(self, codes: list[int], place: int) -> None:
        if place < len(codes):
            assert picture(1, codes).hash != picture(1, changed(codes, place)).hash


class TestTaken:
    def test_is_what_is_held_or_sold(self) -> None:
        assert picture(1, [0, 1, 2, 3, 0]).taken([0, 1, 2, 3, 4, 5, 1000]) == [1, 2]


def history(length: int, places: int = 50) -> list[Picture]:
    pictures = [picture(10, [0] * places)]
    codes = [0] * places
    for step in range(length):
        codes = changed(codes, step % places, (7 * step) % places)
        pictures.append(picture(11 + step, codes))
    return pictures


def ring_of(pictures: list[Picture]) -> Ring:
    ring = Ring()
    for before, after in pairwise(pictures):
        ring.add(delta(before, after))
    return ring


class TestRing:
    @given(st.integers(1, 40), st.data())
    def test_leads_from_any_known_version_to_the_last(self, length: int, data: st.DataObject) -> None:
        pictures = history(length)
        start = data.draw(st.sampled_from(pictures[:-1]))
        change = ring_of(pictures).since(start.version, start.hash)
        assert change is not None
        assert apply(start, change) == pictures[-1]

    def test_knows_nothing_before_what_it_keeps(self) -> None:
        pictures = history(KEPT_DELTAS + 5)
        ring = ring_of(pictures)
        assert ring.since(pictures[4].version) is None
        assert ring.since(pictures[5].version) is not None

    def test_knows_nothing_across_a_snapshot(self) -> None:
        pictures = history(3)
        ring = ring_of(pictures)
        ring.add(None)
        assert ring.since(pictures[2].version) is None
        last = picture(99, [3] * 50)
        after = picture(100, [3] * 49 + [0])
        ring.add(delta(last, after))
        assert ring.since(99) == delta(last, after)

    def test_never_bridges_a_gap(self) -> None:
        ring = Ring()
        ring.add(Delta(since=1, since_hash="a", version=2, changes=((0, 1),), hash="b"))
        ring.add(Delta(since=5, since_hash="e", version=6, changes=((1, 1),), hash="f"))
        assert ring.since(1) is None
        assert ring.since(5) is not None

    def test_knows_a_version_by_its_hash_too(self) -> None:
        pictures = history(3)
        ring = ring_of(pictures)
        assert ring.since(pictures[1].version, pictures[1].hash) is not None
        assert ring.since(pictures[1].version, "00000000") is None

    def test_has_nothing_for_who_has_everything(self) -> None:
        pictures = history(3)
        assert ring_of(pictures).since(pictures[-1].version) is None
