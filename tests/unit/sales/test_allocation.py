"""Allocations and access codes: what is refused, and that a code is understood however it is typed."""

from datetime import UTC, datetime

import pytest

from boxoffice.kernel.ids import EventId, SeatId, seat_id
from boxoffice.services.sales.domain.access_code import BITS, digest, spell
from boxoffice.services.sales.domain.allocation import (
    TRANSITIONS,
    Allocation,
    AllocationAction,
    AllocationKind,
    AllocationState,
    BadAllocationError,
    Selection,
    WrongAllocationStateError,
    check_terms,
)
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsUnknownError
from boxoffice.services.sales.domain.seat import SeatState, TicketStatus, shown

EVENT = EventId(7)
NOW = datetime(2031, 5, 1, tzinfo=UTC)


def allocation(state: AllocationState, kind: AllocationKind = AllocationKind.HOUSE) -> Allocation:
    return Allocation(
        allocation_id=1,
        event_id=EVENT,
        kind=kind,
        name="House",
        state=state,
        release_at=None,
        has_code=False,
        version=0,
    )


def seats(*places: int) -> tuple[SeatId, ...]:
    return tuple(seat_id(EVENT, place) for place in places)


class TestMoves:
    @pytest.mark.parametrize("state", AllocationState)
    @pytest.mark.parametrize("action", AllocationAction)
    def test_are_those_of_the_table(self, state: AllocationState, action: AllocationAction) -> None:
        expected = TRANSITIONS.get((state, action))
        if expected is None:
            with pytest.raises(WrongAllocationStateError):
                allocation(state).after(action)
        else:
            assert allocation(state).after(action) is expected

    def test_never_close_what_is_open_nor_bring_back_what_is_released(self) -> None:
        assert not [after for (state, _), after in TRANSITIONS.items() if state is AllocationState.RELEASED]
        assert AllocationState.CLOSED not in {
            after for (state, _), after in TRANSITIONS.items() if state is AllocationState.OPEN
        }

    def test_open_nothing_that_is_killed(self) -> None:
        with pytest.raises(WrongAllocationStateError):
            allocation(AllocationState.CLOSED, AllocationKind.KILL).after(AllocationAction.OPEN)
        assert allocation(AllocationState.CLOSED, AllocationKind.KILL).after(AllocationAction.RELEASE)


class TestTerms:
    def test_give_the_name_as_it_is_kept(self) -> None:
        assert check_terms(AllocationKind.ARTIST, "  The band ", NOW) == "The band"

    @pytest.mark.parametrize(("kind", "name", "release_at"), [("house", " ", None), ("kill", "Camera", NOW)])
    def test_refuse_no_name_and_an_hour_for_what_is_killed(
        self, kind: str, name: str, release_at: datetime | None
    ) -> None:
        with pytest.raises(BadAllocationError):
            check_terms(AllocationKind(kind), name, release_at)


class TestSelection:
    @pytest.mark.parametrize(
        "selection",
        [
            Selection(seat_ids=seats(0, 5)),
            Selection(section="Stalls"),
            Selection(section="Stalls", rows=("A", "B")),
        ],
    )
    def test_is_seats_or_a_section_or_rows(self, selection: Selection) -> None:
        selection.check(EVENT)
        assert not selection.is_empty

    @pytest.mark.parametrize(
        "selection",
        [
            Selection(),
            Selection(rows=("A",)),
            Selection(seat_ids=seats(0), section="Stalls"),
            Selection(seat_ids=seats(0), rows=("A",)),
            Selection(seat_ids=seats(0, 0)),
            Selection(section="Stalls", rows=()),
            Selection(seat_ids=seats(*range(20_001))),
        ],
    )
    def test_refuses_what_cannot_be_meant(self, selection: Selection) -> None:
        with pytest.raises(BadSelectionError):
            selection.check(EVENT)

    def test_refuses_seats_of_another_event(self) -> None:
        with pytest.raises(SeatsUnknownError):
            Selection(seat_ids=(seat_id(EventId(8), 0),)).check(EVENT)


class TestAccessCode:
    def test_is_four_groups_of_four_letters(self) -> None:
        assert spell(0) == "0000-0000-0000-0000"
        assert spell((1 << BITS) - 1) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ"
        assert spell(1) == "0000-0000-0000-0001"
        assert len({spell(1 << bit) for bit in range(BITS)}) == BITS

    @pytest.mark.parametrize("bits", [-1, 1 << BITS])
    def test_has_80_bits(self, bits: int) -> None:
        with pytest.raises(ValueError, match="80 bits"):
            spell(bits)

    @pytest.mark.parametrize("typed", ["a1b0-z00o", "A1B0 Z000", " aLbo-ZoO0 ", "AIB0Z000"])
    def test_is_understood_however_it_is_typed(self, typed: str) -> None:
        assert digest(typed) == digest("A1B0-Z000")

    def test_of_another_letter_is_another(self) -> None:
        assert digest(spell(1)) != digest(spell(2))


class TestShownState:
    @pytest.mark.parametrize("state", SeatState)
    def test_of_a_closed_seat_is_blocked_only_while_nobody_has_it(self, state: SeatState) -> None:
        free = state is SeatState.FREE
        assert (shown(state, closed=True) == shown(state, closed=False)) is not free
        assert not free or shown(state, closed=True) is TicketStatus.BLOCKED
