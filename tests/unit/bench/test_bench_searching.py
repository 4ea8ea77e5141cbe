"""What the three engines are filled with and asked."""

from bench.searching import changes, trace

REAL_CONCERTS = 3_540


class TestEvents:
    def test_are_the_real_concerts_and_then_the_same_elsewhere(self) -> None:
        made = [change.listing for change in changes(REAL_CONCERTS + 20)]
        for first, again in zip(made, made[REAL_CONCERTS:], strict=False):
            assert first is not None
            assert again is not None
            assert (first.works, first.performers) == (again.works, again.performers)
            assert first.venue != again.venue
            assert first.starts_at != again.starts_at


class TestTrace:
    def test_is_the_same_for_every_engine_and_another_in_every_round(self) -> None:
        assert trace(1, 50) == trace(1, 50) != trace(2, 50)

    def test_is_mixed(self) -> None:
        asked = trace(1, 300)
        assert any(one.near for one in asked)
        assert any(one.facets for one in asked)
        assert any(one.since for one in asked)
        assert sum(bool(one.q) for one in asked) > 200
