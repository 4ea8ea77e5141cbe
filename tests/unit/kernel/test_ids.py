"""An event seat's id tells its event and its place, and fits a JavaScript number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.kernel.ids import MAX_PLACES, EventId, event_of, place_of, seat_id


class TestSeatId:
    @given(st.integers(1, 2**33 - 1), st.integers(0, MAX_PLACES - 1))
    def test_tells_event_and_place(self, event: int, place: int) -> None:
        seat = seat_id(EventId(event), place)
        assert (event_of(seat), place_of(seat)) == (event, place)
        assert seat < 2**53

    @pytest.mark.parametrize("place", [-1, MAX_PLACES])
    def test_refuses_a_place_that_does_not_fit(self, place: int) -> None:
        with pytest.raises(ValueError, match="outside"):
            seat_id(EventId(1), place)
