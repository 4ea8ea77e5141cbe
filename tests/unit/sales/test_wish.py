"""What can be wished for: refused before the database is asked."""

from typing import Any
from uuid import UUID

import pytest

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, UserId, seat_id
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsUnknownError
from boxoffice.services.sales.usecases.place_hold import Wish

EVENT = EventId(7)
SEATS = tuple(seat_id(EVENT, place) for place in range(9))


def wish(**wanted: Any) -> Wish:
    return Wish(user_id=UserId(UUID(int=1)), event_id=EVENT, **wanted)


class TestWish:
    @pytest.mark.parametrize("wanted", [{"seat_ids": SEATS[:8]}, {"quantity": 8}, {"quantity": 1, "together": True}])
    def test_can_be_meant(self, wanted: dict[str, Any]) -> None:
        wish(**wanted).check()

    @pytest.mark.parametrize(
        ("wanted", "refusal"),
        [
            ({}, BadSelectionError),
            ({"seat_ids": SEATS[:1], "quantity": 1}, BadSelectionError),
            ({"seat_ids": ()}, BadSelectionError),
            ({"seat_ids": SEATS}, BadSelectionError),
            ({"seat_ids": (SEATS[0], SEATS[0])}, BadSelectionError),
            ({"quantity": 0}, BadSelectionError),
            ({"quantity": 9}, BadSelectionError),
            ({"quantity": -1}, BadSelectionError),
            ({"seat_ids": (seat_id(EventId(8), 0),)}, SeatsUnknownError),
        ],
    )
    def test_cannot_be_meant(self, wanted: dict[str, Any], refusal: type[DomainError]) -> None:
        with pytest.raises(refusal):
            wish(**wanted).check()
