"""A payment: one attempt to pay an order, its states, and what a provider may say about it (I3, I4, I13).

Claim before capture: money moves only after ``created -> capturing`` was committed. The way out, ``created ->
abandoning``, starts at the same state, so that whichever of the two commits first shuts the other one out.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.kernel.ids import EventId, OrderId, PaymentId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.bought import Bought

MAX_URL_LENGTH = 2_000
"""What browsers and providers take for an address."""


class PaymentState(StrEnum):
    """Where a payment stands."""

    CREATED = "created"
    CAPTURING = "capturing"
    CAPTURED = "captured"
    ABANDONING = "abandoning"
    VOIDED = "voided"
    FAILED = "failed"


class PaymentAction(StrEnum):
    """What can be done to a payment."""

    CLAIM = "claim"
    CAPTURE = "capture"
    DECLINE = "decline"
    ABANDON = "abandon"
    VOID = "void"


TRANSITIONS: dict[tuple[PaymentState, PaymentAction], PaymentState] = {
    (PaymentState.CREATED, PaymentAction.CLAIM): PaymentState.CAPTURING,
    (PaymentState.CREATED, PaymentAction.ABANDON): PaymentState.ABANDONING,
    (PaymentState.CAPTURING, PaymentAction.CAPTURE): PaymentState.CAPTURED,
    (PaymentState.CAPTURING, PaymentAction.DECLINE): PaymentState.FAILED,
    (PaymentState.ABANDONING, PaymentAction.VOID): PaymentState.VOIDED,
}
"""``captured``, ``voided`` and ``failed`` are ends; money that comes back is a refund, not a state of the payment."""

ENDED = frozenset({PaymentState.CAPTURED, PaymentState.VOIDED, PaymentState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One attempt, with what of its order a decision needs.

    ``tried_at`` doubles as a fence: every call that may move money is preceded by a committed change of it, and an
    outcome that gives seats back counts only while it is unchanged.
    """

    payment_id: PaymentId
    order_id: OrderId
    event_id: EventId
    user_id: UserId
    attempt: int
    provider: str
    provider_ref: str | None
    capture_ref: str | None
    approval_url: str | None
    return_url: str | None
    cancel_url: str | None
    state: PaymentState
    total: Money
    refunded: Money
    failure: str | None
    tried_at: datetime


class ProviderOrderState(StrEnum):
    """What a provider says of its order."""

    WAITING = "waiting"
    APPROVED = "approved"
    COMPLETED = "completed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRefund:
    """A refund in the provider's books; ``reference`` is the refund id that we sent along."""

    refund_ref: str
    reference: str | None
    value: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapture:
    """A capture in the provider's books. ``is_final`` is false while the provider still thinks about it."""

    capture_ref: str
    value: Money
    is_final: bool
    is_declined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOrder:
    """An order as the provider's API tells it: the only truth about an approval or a capture."""

    provider_ref: str
    state: ProviderOrderState
    total: Money
    order_reference: str | None
    payment_reference: str | None
    payee: str | None = None
    capture: ProviderCapture | None = None
    refunds: tuple[ProviderRefund, ...] = ()
    bought: Bought | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """The money is ours."""

    capture_ref: str
    value: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The provider will not take the money from this buyer; nothing moved."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The provider took note and decides later; not captured."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """No answer, or none that says what happened: it may or may not have. The resolver asks again with the same id."""

    reason: str


CaptureOutcome = Captured | Declined | Pending | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded:
    """The money went back."""

    refund_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRefused:
    """The provider will not do it; a person has to look."""

    reason: str


RefundOutcome = Refunded | RefundRefused | Unknown


def disagreement(payment: Payment, order: ProviderOrder, *, payee: str = "") -> str | None:
    """Compare a provider's order with our payment: currency and total, order, payment, and payee when we know ours.

    Returns what differs, in words, or none (I13: what was paid is what we asked for, for this order, to us).
    """
    pairs: list[tuple[str, object, object]] = [
        ("provider's order", payment.provider_ref, order.provider_ref),
        ("total", payment.total, order.total),
        ("booking", str(payment.order_id), order.order_reference),
        ("payment", str(payment.payment_id), order.payment_reference),
    ]
    if payee:
        pairs.append(("payee", payee, order.payee))
    if order.capture is not None:
        pairs.append(("captured value", payment.total, order.capture.value))
    found = [f"{what}: ours {ours}, theirs {theirs}" for what, ours, theirs in pairs if ours != theirs]
    return "; ".join(found) or None


READY = frozenset({ProviderOrderState.APPROVED, ProviderOrderState.COMPLETED})
"""What a provider must say of its order before its payment is claimed."""


def may_capture(payment: Payment, order: ProviderOrder, *, payee: str = "") -> bool:
    """Whether a provider's word lets us claim and capture (I13).

    A payment that was claimed before goes on even when the provider's order is gone or waits again: only the answer to
    a capture ends it.
    """
    if order.state is ProviderOrderState.ENDED:
        return payment.state is PaymentState.CAPTURING
    if disagreement(payment, order, payee=payee) is not None:
        return False
    return payment.state is PaymentState.CAPTURING or order.state in READY


def captured_or_not(order: ProviderOrder) -> CaptureOutcome:
    """Say what an order's capture came to."""
    if order.capture is None:
        return Unknown(reason=f"no capture in an order that is {order.state}")
    if order.capture.is_declined:
        return Declined(reason="CAPTURE_DECLINED")
    if not order.capture.is_final:
        return Pending(reason="PENDING")
    return Captured(capture_ref=order.capture.capture_ref, value=order.capture.value)


def checked_return_url(url: str, public_url: str) -> str:
    """Accept an address that people are sent back to: one of our own pages, nothing else.

    :raises ForeignUrlError: when it is malformed or of another origin.
    """
    try:
        address, ours = urlsplit(url), urlsplit(public_url)
        same = (address.scheme, address.hostname, address.port) == (ours.scheme, ours.hostname, ours.port)
    except ValueError:
        same = False
        address = urlsplit("")
    odd = "\\" in url or "@" in address.netloc or any(ord(letter) <= ord(" ") for letter in url)
    if not same or odd or len(url) > MAX_URL_LENGTH:
        raise ForeignUrlError(f"Send an address that begins with {public_url}.", publicUrl=public_url)
    return url


def way_back(url: str, *, order_id: UUID, payment_id: UUID, status: str) -> str:
    """Write the address that a buyer is sent back to, saying what became of the payment; the page asks us again."""
    address = urlsplit(url)
    ours = {"bookingId": str(order_id), "paymentId": str(payment_id), "status": status}
    kept = [(name, value) for name, value in parse_qsl(address.query, keep_blank_values=True) if name not in ours]
    return urlunsplit(address._replace(query=urlencode([*kept, *ours.items()])))


class PaymentNotFoundError(DomainError):
    """No such payment, or not the caller's: the two are not told apart."""

    code: ClassVar[str] = "sales.payment_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such payment"


class ProviderUnknownError(DomainError):
    """A provider that this shop does not work with."""

    code: ClassVar[str] = "sales.provider_unknown"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "This shop does not take that kind of payment"


class NoSuchListenerError(DomainError):
    """A webhook for a provider that this shop does not work with."""

    code: ClassVar[str] = "sales.webhook_unknown"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such webhook"


class ForeignUrlError(DomainError):
    """A return or cancel address that is not ours: an open redirect if we followed it."""

    code: ClassVar[str] = "sales.return_url_foreign"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "People can only be sent back to this shop"


class NothingToPayError(DomainError):
    """The order is free."""

    code: ClassVar[str] = "sales.nothing_to_pay"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "There is nothing to pay for this booking"


class PaymentEndingError(DomainError):
    """The last attempt is just being given up."""

    code: ClassVar[str] = "sales.payment_ending"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The last payment is still being given up"


class ProviderSilentError(DomainError):
    """The provider does not answer, or not in a way that tells anything."""

    code: ClassVar[str] = "sales.provider_unavailable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The payment provider does not answer"


class ProviderRefusedError(DomainError):
    """The provider will not even begin this payment."""

    code: ClassVar[str] = "sales.provider_refused"
    category: ClassVar[Category] = Category.CONFLICT
    title: ClassVar[str] = "The payment provider refuses this payment"


class ForgedWebhookError(DomainError):
    """A webhook that cannot be trusted: not signed, not by the provider, not for us, or not of now."""

    code: ClassVar[str] = "sales.webhook_refused"
    category: ClassVar[Category] = Category.UNAUTHENTICATED
    title: ClassVar[str] = "This webhook cannot be trusted"
