"""A payment provider in process: it says yes at once, costs nothing, and remembers nothing between two processes.

What pretix's ``manual`` provider is to pretix: nobody is called. Its reference carries all that it has to answer.
"""

from collections.abc import Mapping
from datetime import datetime

from boxoffice.kernel.ids import PaymentId, RefundId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import (
    Captured,
    CaptureOutcome,
    ForgedWebhookError,
    ProviderOrder,
    ProviderOrderState,
    Refunded,
    RefundOutcome,
)
from boxoffice.services.sales.providers import Begun, Movement, NewPayment, ProviderEvent


class Stub:
    """Every payment is approved when asked for."""

    name = "stub"
    payee = ""

    async def create(self, payment: NewPayment) -> Begun:
        total = payment.total
        return Begun(
            provider_ref=f"{payment.payment_id}/{payment.order_id}/{total.minor}/{total.currency}",
            approval_url="http://127.0.0.1/approved",
        )

    async def get(self, provider_ref: str) -> ProviderOrder:
        payment_id, order_id, minor, currency = provider_ref.split("/")
        return ProviderOrder(
            provider_ref=provider_ref, state=ProviderOrderState.APPROVED, total=Money(int(minor), currency),
            order_reference=order_id, payment_reference=payment_id,
        )  # fmt: skip

    async def capture(self, provider_ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        _, _, minor, currency = provider_ref.split("/")
        return Captured(capture_ref=f"c-{payment_id}", value=Money(int(minor), currency))

    async def void(self, provider_ref: str) -> None:
        """Forget it."""

    async def refund(self, capture_ref: str, *, refund_id: RefundId, value: Money) -> RefundOutcome:  # noqa: ARG002 - the Protocol's shape
        return Refunded(refund_ref=f"r-{refund_id}")

    async def webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:  # noqa: ARG002 - the Protocol's shape
        raise ForgedWebhookError("The stub sends none.")

    async def movements(self, begin: datetime, end: datetime) -> list[Movement]:  # noqa: ARG002 - the Protocol's shape
        return []
