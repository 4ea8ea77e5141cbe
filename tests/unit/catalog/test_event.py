"""What an event may become, and when it is on sale."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from boxoffice.services.catalog.domain import event as rules
from boxoffice.services.catalog.domain.event import TRANSITIONS, Action, Event, State, Terms, Venue
from boxoffice.services.catalog.domain.refusals import BadEventError, FrozenError, MoveRefusedError

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TERMS = Terms(
    name="Gala", description="", starts_at=NOW + timedelta(days=30), ends_at=NOW + timedelta(days=30, hours=2),
    on_sale_at=None, off_sale_at=None, venue_id=1, category_id=None, seat_map_id=None, capacity=100, currency="USD",
    limit_per_customer=8, hold_minutes=20, cancel_until_hours=24, refund_percent=100, programme=(),
)  # fmt: skip
VENUE = Venue(
    id=1, organisation_id=UUID(int=1), name="V", description="", location="L", total_seats=100, time_zone="UTC",
    latitude=None, longitude=None, city=None, region=None, country=None, version=1,
)  # fmt: skip


def event(state: State = State.PUBLISHED, *, asked_at: datetime = NOW, **changes: object) -> Event:
    return Event(
        id=1, organisation_id=UUID(int=1), state=state, terms=replace(TERMS, **changes), venue=VENUE, category=None,
        places=None, published_at=NOW - timedelta(days=1), source=None, version=1, asked_at=asked_at,
    )  # fmt: skip


class TestMoves:
    @pytest.mark.parametrize(("state", "action"), list(product(State, Action)))
    def test_lead_where_the_table_says_or_are_refused(self, state: State, action: Action) -> None:
        if (state, action) in TRANSITIONS:
            assert rules.next_state(state, action) is TRANSITIONS[state, action]
        else:
            with pytest.raises(MoveRefusedError) as refused:
                rules.next_state(state, action)
            assert refused.value.context == {"eventStatus": state.value, "action": action.value}

    def test_nothing_leaves_an_end(self) -> None:
        assert not [state for state, _ in TRANSITIONS if state in {State.CANCELLED, State.DELETED}]

    def test_nothing_that_was_published_is_deleted(self) -> None:
        assert [state for (state, _), after in TRANSITIONS.items() if after is State.DELETED] == [State.DRAFT]


class TestOnSale:
    def test_lasts_from_publishing_to_the_start(self) -> None:
        assert event().on_sale
        assert not event(asked_at=TERMS.starts_at).on_sale
        assert event(asked_at=TERMS.starts_at - timedelta(microseconds=1)).on_sale

    @pytest.mark.parametrize("state", [State.DRAFT, State.CANCELLED, State.DELETED])
    def test_is_for_published_events_only(self, state: State) -> None:
        assert not event(state).on_sale

    def test_goes_by_its_own_times_when_it_has_them(self) -> None:
        opens, ends = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
        window = {"on_sale_at": opens, "off_sale_at": ends}
        assert [event(asked_at=at, **window).on_sale for at in (NOW, opens, ends)] == [False, True, False]

    def test_a_window_without_length_never_opens(self) -> None:
        start = TERMS.starts_at
        assert not event(on_sale_at=start, off_sale_at=start, asked_at=start).on_sale


class TestCheck:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"ends_at": TERMS.starts_at}, "endTime"),
            ({"ends_at": TERMS.starts_at - timedelta(hours=1)}, "endTime"),
            ({"capacity": None}, "availableSeats"),
            ({"capacity": 0}, "availableSeats"),
            ({"on_sale_at": NOW, "off_sale_at": NOW - timedelta(hours=1)}, "offSaleAt"),
            ({"on_sale_at": TERMS.ends_at}, "onSaleAt"),
        ],
    )
    def test_names_the_field_that_is_wrong(self, changes: dict[str, object], field: str) -> None:
        with pytest.raises(BadEventError) as refused:
            rules.check(replace(TERMS, **changes))
        assert refused.value.context == {"field": field}

    def test_takes_what_can_be(self) -> None:
        rules.check(TERMS)
        rules.check(replace(TERMS, capacity=None, seat_map_id=1))

    @pytest.mark.parametrize(
        ("changes", "fields"),
        [
            ({"starts_at": NOW, "ends_at": NOW}, ["startTime", "endTime"]),
            ({"venue_id": 2}, ["venueId"]),
            ({"seat_map_id": 2}, ["seatMapId"]),
            ({"currency": "EUR"}, ["currency"]),
        ],
    )
    def test_a_published_event_keeps_what_people_buy_by(self, changes: dict[str, object], fields: list[str]) -> None:
        with pytest.raises(FrozenError) as refused:
            rules.check_change(State.PUBLISHED, TERMS, replace(TERMS, **changes))
        assert refused.value.context == {"fields": fields}
        rules.check_change(State.DRAFT, TERMS, replace(TERMS, **changes))

    def test_a_published_event_may_be_renamed(self) -> None:
        rules.check_change(State.PUBLISHED, TERMS, replace(TERMS, name="Other", refund_percent=50))
