from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from boxoffice.kernel.ids import EventId, OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import (
    ENDED,
    TRANSITIONS,
    ForeignUrlError,
    Payment,
    PaymentAction,
    PaymentState,
    ProviderCapture,
    ProviderOrder,
    ProviderOrderState,
    checked_return_url,
    disagreement,
    way_back,
)

SHOP = "https://shop.example.org"
PAYMENT = Payment(
    payment_id=PaymentId(UUID(int=1)), order_id=OrderId(UUID(int=2)), event_id=EventId(7), user_id=UserId(UUID(int=3)),
    attempt=1, provider="paypal", provider_ref="REF", capture_ref=None, approval_url=None, return_url=None,
    cancel_url=None, state=PaymentState.CREATED, total=Money(9_900, "USD"), refunded=Money(0, "USD"), failure=None,
    tried_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
ORDER = ProviderOrder(
    provider_ref="REF", state=ProviderOrderState.APPROVED, total=Money(9_900, "USD"),
    order_reference=str(UUID(int=2)), payment_reference=str(UUID(int=1)), payee="US",
)  # fmt: skip


class TestTransitions:
    def test_nothing_leaves_an_end(self) -> None:
        assert not [state for state, _ in TRANSITIONS if state in ENDED]

    def test_captured_comes_only_after_the_claim(self) -> None:
        assert [before for before, after in _edges() if after is PaymentState.CAPTURED] == [PaymentState.CAPTURING]
        assert [before for before, after in _edges() if after is PaymentState.CAPTURING] == [PaymentState.CREATED]

    def test_no_way_leads_from_abandoning_to_captured(self) -> None:
        reached, todo = set(), [PaymentState.ABANDONING]
        while todo:
            state = todo.pop()
            reached.add(state)
            todo += [after for before, after in _edges() if before is state and after not in reached]
        assert reached == {PaymentState.ABANDONING, PaymentState.VOIDED}

    def test_five_moves_of_thirty_are_allowed(self) -> None:
        assert len(set(product(PaymentState, PaymentAction)) - set(TRANSITIONS)) == 25


def _edges() -> list[tuple[PaymentState, PaymentState]]:
    return [(before, after) for (before, _), after in TRANSITIONS.items()]


class TestDisagreement:
    def test_finds_none_where_everything_agrees(self) -> None:
        assert disagreement(PAYMENT, ORDER) is None
        assert disagreement(PAYMENT, ORDER, payee="US") is None
        capture = ProviderCapture(capture_ref="C", value=Money(9_900, "USD"), is_final=True)
        assert disagreement(PAYMENT, replace(ORDER, capture=capture)) is None

    @pytest.mark.parametrize(
        "changed",
        [
            {"total": Money(9_899, "USD")}, {"total": Money(9_900, "EUR")}, {"order_reference": str(UUID(int=9))},
            {"order_reference": None}, {"payment_reference": str(UUID(int=9))}, {"provider_ref": "OTHER"},
            {"payee": "SOMEBODY"}, {"payee": None},
            {"capture": ProviderCapture(capture_ref="C", value=Money(1, "USD"), is_final=True)},
        ],
        ids=str,
    )  # fmt: skip
    def test_names_what_differs(self, changed: dict[str, object]) -> None:
        assert disagreement(PAYMENT, replace(ORDER, **changed), payee="US")  # type: ignore[arg-type]


class TestReturnUrl:
    @pytest.mark.parametrize("url", [SHOP, f"{SHOP}/", f"{SHOP}/bookings/7?x=1#y"])
    def test_takes_our_own_pages(self, url: str) -> None:
        assert checked_return_url(url, SHOP) == url

    @pytest.mark.parametrize(
        "url",
        [
            "", "/here", "//evil.net", "https://evil.net", "http://shop.example.org", f"{SHOP}.evil.net", f"{SHOP}@evil.net",
            f"{SHOP}:8443/", f"{SHOP}\\@evil.net", "https://user@shop.example.org/", f"{SHOP}/\r\nSet-Cookie: x=1",
            f"{SHOP}/ x", "https://[", "javascript:alert(1)", f"{SHOP}/{'x' * 2000}", "https://shop.example.org:99999/",
        ],
    )  # fmt: skip
    def test_refuses_everything_else(self, url: str) -> None:
        with pytest.raises(ForeignUrlError):
            checked_return_url(url, SHOP)

    def test_the_way_back_says_what_became_of_it_and_overrides_what_was_there(self) -> None:
        ids = {"order_id": UUID(int=2), "payment_id": UUID(int=1)}
        url = way_back(f"{SHOP}/p?lang=en&status=CAPTURED&e=#top", **ids, status="FAILED")
        assert url == (f"{SHOP}/p?lang=en&e=&bookingId={UUID(int=2)}&paymentId={UUID(int=1)}&status=FAILED#top")
