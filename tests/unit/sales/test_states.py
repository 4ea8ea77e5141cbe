"""The state tables: what leads where, and that nothing comes back from its end."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain import allocation, order, payment, seat, ticket
from boxoffice.services.sales.domain.order import Order, OrderState
from boxoffice.services.sales.domain.refund import RefundPolicy, refund_of
from boxoffice.services.sales.domain.sale import SaleState, sale_state
from boxoffice.services.sales.domain.seat import SeatAction, SeatState

NOW = datetime(2031, 5, 1, 19, 30, tzinfo=UTC)
ID = UUID(int=1)
TABLES = [
    (allocation.TRANSITIONS, allocation.AllocationState, allocation.AllocationAction),
    (seat.TRANSITIONS, seat.SeatState, seat.SeatAction),
    (order.TRANSITIONS, order.OrderState, order.OrderAction),
    (ticket.TRANSITIONS, ticket.TicketState, ticket.TicketAction),
    (payment.TRANSITIONS, payment.PaymentState, payment.PaymentAction),
]


def an_order(**changes: Any) -> Order:
    usual: dict[str, Any] = {
        "order_id": OrderId(ID), "event_id": EventId(1), "user_id": UserId(ID), "state": OrderState.HELD,
        "seat_ids": (SeatId(1),), "prices": (Money(100, "USD"),), "ticket_types": None, "total": Money(100, "USD"), "hold_expires_at": NOW, "pay_deadline": None,
        "cancel_until": NOW, "refund_percent": 100, "version": 0, "created_at": NOW, "released_because": None, "extended_at": None,
        "expired": False, "seconds_left": 0, "too_late": False,
    }  # fmt: skip
    return Order(**{**usual, **changes})


class TestTables:
    @pytest.mark.parametrize(("table", "states", "actions"), TABLES)
    def test_every_action_is_used_and_every_state_is_met(
        self, table: dict[Any, Any], states: type[StrEnum], actions: type[StrEnum]
    ) -> None:
        assert {action for _, action in table} == set(actions)
        assert {state for state, _ in table} | set(table.values()) == set(states)

    def test_seats_that_are_paid_for_or_sold_never_expire(self) -> None:
        for state in (SeatState.PAYING, SeatState.SOLD, SeatState.BLOCKED):
            for action in (SeatAction.EXPIRE, SeatAction.TAKE_OVER, SeatAction.HOLD):
                assert (state, action) not in seat.TRANSITIONS

    def test_an_order_that_ended_stays_so(self) -> None:
        ended = {OrderState.RELEASED, OrderState.CANCELLED}
        assert not [state for state, _ in order.TRANSITIONS if state in ended]


class TestShownState:
    @pytest.mark.parametrize(
        ("changes", "shown"),
        [
            ({}, "HELD"),
            ({"expired": True}, "EXPIRED"),
            ({"state": OrderState.PAYING, "expired": True}, "PAYING"),
            ({"state": OrderState.RELEASED, "released_because": "expired"}, "EXPIRED"),
            ({"state": OrderState.RELEASED, "released_because": "given_back"}, "RELEASED"),
            ({"state": OrderState.CANCELLED}, "CANCELLED"),
        ],
    )
    def test_says_what_a_buyer_understands(self, changes: dict[str, Any], shown: str) -> None:
        assert an_order(**changes).shown_state() == shown


class TestRefund:
    @pytest.mark.parametrize(("price", "percent", "refund"), [(4999, 100, 4999), (999, 50, 499), (1, 99, 0), (5, 0, 0)])
    def test_is_rounded_down_so_that_it_never_exceeds_the_capture(self, price: int, percent: int, refund: int) -> None:
        assert refund_of(Money(price, "USD"), percent) == Money(refund, "USD")

    @pytest.mark.parametrize("percent", [-1, 101])
    def test_refuses_what_is_no_percentage(self, percent: int) -> None:
        with pytest.raises(ValueError, match="percentage"):
            refund_of(Money(1, "USD"), percent)

    def test_the_policy_counts_hours_before_the_start(self) -> None:
        assert RefundPolicy(cancel_until_hours=24, refund_percent=100).cancel_until(NOW) == NOW - timedelta(days=1)


class TestSaleState:
    @pytest.mark.parametrize(
        ("is_open", "free", "held", "state"),
        [
            (False, 100, 0, SaleState.NOT_ON_SALE),
            (True, 100, 0, SaleState.ON_SALE),
            (True, 11, 0, SaleState.ON_SALE),
            (True, 10, 0, SaleState.FEW_LEFT),
            (True, 0, 1, SaleState.FEW_LEFT),
            (True, 0, 0, SaleState.SOLD_OUT),
        ],
    )
    def test_counts_honestly(self, *, is_open: bool, free: int, held: int, state: SaleState) -> None:
        assert sale_state(is_open=is_open, capacity=100, free=free, held=held) is state
