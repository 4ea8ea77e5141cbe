"""The provider's side of the simulation: orders, approvals, captures, refunds, idempotency keys, and webhooks.

It keeps one promise whatever it is asked: an order is captured once, and never more is refunded than was captured. Its
keys are forgotten after a while. Everything else that can go wrong on the way is the scheduler's (``run.py``).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import (
    CaptureOutcome,
    Declined,
    ProviderCapture,
    ProviderOrder,
    ProviderOrderState,
    ProviderRefund,
    Refunded,
    RefundOutcome,
    RefundRefused,
    captured_or_not,
)

KEYS_LIVE = timedelta(hours=6)
"""How long the provider remembers an idempotency key (PayPal: 6 hours for captures, 45 days for refunds)."""
CURRENCY = "EUR"


class Webhook(NamedTuple):
    """A fact that the provider wants to tell; only its number and what it is about are used."""

    event_id: int
    ref: str


@dataclass
class Account:
    """One order in the provider's books."""

    ref: str
    order_id: int
    payment_id: int
    total: int
    state: ProviderOrderState = ProviderOrderState.WAITING
    declines: bool = False
    captured: bool = False
    pending: bool = False
    refused: bool = False
    captures: int = 0
    outdated: bool = False
    """Captured by a request that its caller had given up: another one was sent after it."""
    refunds: list[tuple[str, int]] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """The money that the provider took and did not give back."""
        return self.captures * self.total - sum(value for _, value in self.refunds)


class Bank:
    """The provider."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.webhooks: list[Webhook] = []
        self.told = 0
        self._keys: dict[tuple[str, str], tuple[datetime, object]] = {}

    def tell(self, ref: str) -> None:
        self.told += 1
        self.webhooks.append(Webhook(self.told, ref))

    def _remembered(self, scope: str, key: str, now: datetime) -> object | None:
        found = self._keys.get((scope, key))
        return found[1] if found is not None and now - found[0] < KEYS_LIVE else None

    def create(self, key: str, order_id: int, payment_id: int, total: int, now: datetime) -> str:
        """Make an order under a payment's id, once."""
        found = self._remembered("create", key, now)
        if isinstance(found, str):
            return found
        ref = f"P{len(self.accounts)}"
        self.accounts[ref] = Account(ref, order_id, payment_id, total)
        self._keys["create", key] = (now, ref)
        return ref

    def approve(self, ref: str, *, decline: bool) -> bool:
        """The buyer says yes, with a card that will be declined or not."""
        account = self.accounts[ref]
        if account.state is not ProviderOrderState.WAITING:
            return False
        account.state, account.declines = ProviderOrderState.APPROVED, decline
        self.tell(ref)
        return True

    def view(self, ref: str) -> ProviderOrder:
        """The order as the provider's API tells it."""
        account = self.accounts[ref]
        capture = None
        if account.captured:
            capture = ProviderCapture(
                capture_ref=f"C-{ref}", value=Money(account.total, CURRENCY), is_final=not account.pending,
                is_declined=account.refused,
            )  # fmt: skip
        return ProviderOrder(
            provider_ref=ref, state=account.state, total=Money(account.total, CURRENCY),
            order_reference=str(account.order_id), payment_reference=str(account.payment_id), capture=capture,
            refunds=tuple(
                ProviderRefund(refund_ref=f"R-{reference}", reference=reference, value=Money(value, CURRENCY))
                for reference, value in account.refunds
            ),
        )  # fmt: skip

    def capture(self, ref: str, key: str, now: datetime, *, pending: bool) -> CaptureOutcome:
        """Take the money of an approved order, once."""
        account = self.accounts[ref]
        if self._remembered("capture", key, now) or account.captured:
            return captured_or_not(self.view(ref))
        if account.state is not ProviderOrderState.APPROVED:
            return Declined(reason="ORDER_NOT_APPROVED")
        if account.declines:
            account.state, account.declines = ProviderOrderState.WAITING, False
            return Declined(reason="INSTRUMENT_DECLINED")
        account.captured, account.pending, account.captures = True, pending, account.captures + (not pending)
        account.state = ProviderOrderState.COMPLETED
        self._keys["capture", key] = (now, True)
        self.tell(ref)
        return captured_or_not(self.view(ref))

    def settle_pending(self, rnd: Random | None) -> None:
        """Decide what it was still thinking about."""
        for account in self.accounts.values():
            if account.pending:
                account.pending = False
                account.refused = rnd is not None and rnd.random() < 0.3
                account.captures += not account.refused
                self.tell(account.ref)

    def refund(self, ref: str, key: str, value: int, now: datetime) -> RefundOutcome:
        """Give money back, once for a key while it is remembered."""
        account = self.accounts[ref]
        found = self._remembered("refund", key, now)
        if isinstance(found, Refunded):
            return found
        if account.captures == 0 or account.kept < value:
            return RefundRefused(reason="REFUND_AMOUNT_EXCEEDED")
        account.refunds.append((key, value))
        answer = Refunded(refund_ref=f"R-{key}")
        self._keys["refund", key] = (now, answer)
        self.tell(ref)
        return answer
