"""Reconcile payments: the provider's list of what moved against our records, both ways (I2, I22).

What can be put right is: a capture that we did not note is settled, money for a payment that had ended goes back.
Everything is reported. What a restore lost is another use case's (``recover_sales``): a capture that we know nothing of
may be another program's of the same account, and is only reported here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from boxoffice.kernel.ids import PaymentId, RefundId
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import Captured, Payment, PaymentState, ProviderOrder, ProviderSilentError
from boxoffice.services.sales.providers import Movement, PaymentProvider
from boxoffice.services.sales.store import payments, refunds
from boxoffice.services.sales.store.refunds import Refund
from boxoffice.services.sales.usecases.return_late_money import ENDED_IN_VAIN, late_refund_id, return_late_money
from boxoffice.services.sales.usecases.settle_payment import Settling, settle

SLACK = timedelta(hours=24)
"""How much later than the provider we may have noted something: a crash and a night in between."""

_log = log(__name__)


class Kind(StrEnum):
    """How the two books differ."""

    CAPTURE_UNKNOWN = "capture_unknown"
    CAPTURE_NOT_NOTED = "capture_not_noted"
    CAPTURE_DIFFERS = "capture_differs"
    CAPTURE_MISSING = "capture_missing"
    LATE_MONEY = "late_money"
    REFUND_UNKNOWN = "refund_unknown"
    REFUND_NOT_NOTED = "refund_not_noted"
    REFUND_DIFFERS = "refund_differs"
    REFUND_MISSING = "refund_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference. ``resolved``: it was put right while it was found."""

    kind: Kind
    provider_ref: str | None
    payment_id: PaymentId | None = None
    refund_id: RefundId | None = None
    resolved: bool = False


async def reconcile(till: Settling, provider: PaymentProvider, begin: datetime, end: datetime) -> list[Difference]:
    """Compare what moved between two instants (at most 30 days apart) and put right what can be.

    :raises ProviderSilentError: when the provider does not list what moved.
    """
    listed = await provider.movements(begin - SLACK, end)
    captures = {movement.provider_ref: movement for movement in listed if movement.value.minor > 0}
    gone = _gone_back(listed)
    found: list[Difference | None] = []
    for movement in listed:
        if not movement.is_final or movement.moved_at < begin:
            continue
        if movement.value.minor > 0:
            found.append(await _check_capture(till, provider, movement, gone))
        else:
            found.append(await _check_refund(till, provider, movement, captures.get(movement.of_ref), gone))
    known = {movement.provider_ref for movement in listed}
    found += await _ours_captured(till, provider, known, begin, end)
    found += await _ours_refunded(till, provider, known, begin, end)
    differences = [difference for difference in found if difference is not None]
    for difference in differences:
        _log.error(
            "reconcile.differs", alarm=not difference.resolved, kind=difference.kind.value,
            provider_ref=difference.provider_ref, payment=str(difference.payment_id), resolved=difference.resolved,
        )  # fmt: skip
    return differences


def _gone_back(listed: Sequence[Movement]) -> frozenset[str]:
    """Name the captures of which everything was refunded: where we know nothing of one, nobody is owed anything."""
    back: Counter[str] = Counter()
    for movement in listed:
        if movement.value.minor < 0 and movement.is_final:
            back[movement.of_ref] -= movement.value.minor
    return frozenset(
        one.provider_ref for one in listed if one.value.minor > 0 and back[one.provider_ref] == one.value.minor
    )


async def _check_capture(
    till: Settling, provider: PaymentProvider, movement: Movement, gone: frozenset[str]
) -> Difference | None:
    payment_id = _uuid(movement.payment_reference)
    payment = None if payment_id is None else await payments.by_id(till.database, PaymentId(payment_id))
    if payment is None and movement.provider_ref in gone:
        return None
    if payment is None or payment.provider_ref != movement.of_ref:
        return Difference(kind=Kind.CAPTURE_UNKNOWN, provider_ref=movement.provider_ref)
    if payment.state is PaymentState.CAPTURED:
        if payment.capture_ref == movement.provider_ref and payment.total == movement.value:
            return None
        return Difference(kind=Kind.CAPTURE_DIFFERS, provider_ref=movement.provider_ref, payment_id=payment.payment_id)
    if payment.state in ENDED_IN_VAIN:
        return await _late_money(till, provider, payment, movement)
    try:
        settled = (await settle(till, payment.payment_id)).state is PaymentState.CAPTURED
    except ProviderSilentError:
        settled = False
    return Difference(
        kind=Kind.CAPTURE_NOT_NOTED, provider_ref=movement.provider_ref, payment_id=payment.payment_id,
        resolved=settled,
    )  # fmt: skip


async def _late_money(
    till: Settling, provider: PaymentProvider, payment: Payment, movement: Movement
) -> Difference | None:
    order = await provider.get(movement.of_ref)
    if any(refund.reference == str(late_refund_id(payment.payment_id)) for refund in order.refunds):
        return None
    captured = Captured(capture_ref=movement.provider_ref, value=movement.value)
    returned = await return_late_money(till.database, provider, payment.payment_id, captured)
    return Difference(
        kind=Kind.LATE_MONEY, provider_ref=movement.provider_ref, payment_id=payment.payment_id, resolved=returned
    )


async def _check_refund(
    till: Settling, provider: PaymentProvider, movement: Movement, capture: Movement | None, gone: frozenset[str]
) -> Difference | None:
    refund_id = _uuid(movement.reference)
    refund = None if refund_id is None else await refunds.by_id(till.database, RefundId(refund_id))
    if refund is None:
        payment_id = _uuid(capture.payment_reference) if capture is not None else None
        if payment_id is not None and late_refund_id(PaymentId(payment_id)) == refund_id:
            return None  # late money that went back; it has no record of its own
        payment = await payments.by_capture(till.database, provider.name, movement.of_ref)
        if payment is None and movement.of_ref in gone:
            return None
        return Difference(kind=Kind.REFUND_UNKNOWN, provider_ref=movement.provider_ref)
    kind: Kind | None = None
    if refund.value.minor != -movement.value.minor or refund.value.currency != movement.value.currency:
        kind = Kind.REFUND_DIFFERS
    elif refund.state != "done":  # the worker looks before it asks again, and will find it
        kind = Kind.REFUND_NOT_NOTED
    if kind is None:
        return None
    return Difference(
        kind=kind, provider_ref=movement.provider_ref, payment_id=refund.payment_id, refund_id=refund.refund_id
    )


async def _ours_captured(
    till: Settling, provider: PaymentProvider, known: set[str], begin: datetime, end: datetime
) -> list[Difference]:
    missing: list[Difference] = []
    for payment in await payments.captured_between(till.database, provider.name, begin, end):
        if payment.capture_ref in known:
            continue
        order = await _look(provider, payment.provider_ref)
        if order is None or order.capture is None or order.capture.capture_ref != payment.capture_ref:
            missing.append(
                Difference(kind=Kind.CAPTURE_MISSING, provider_ref=payment.capture_ref, payment_id=payment.payment_id)
            )
    return missing


async def _ours_refunded(
    till: Settling, provider: PaymentProvider, known: set[str], begin: datetime, end: datetime
) -> list[Difference]:
    missing: list[Difference] = []
    for refund in await refunds.done_between(till.database, provider.name, begin, end):
        if refund.refund_ref in known:
            continue
        order = await _look(provider, refund.provider_ref)
        if order is None or not any(entry.refund_ref == refund.refund_ref for entry in order.refunds):
            missing.append(_refund_missing(refund))
    return missing


def _refund_missing(refund: Refund) -> Difference:
    return Difference(
        kind=Kind.REFUND_MISSING, provider_ref=refund.refund_ref, payment_id=refund.payment_id,
        refund_id=refund.refund_id,
    )  # fmt: skip


async def _look(provider: PaymentProvider, provider_ref: str | None) -> ProviderOrder | None:
    """Ask about one order: the list may be hours behind (PayPal: three)."""
    return None if provider_ref is None else await provider.get(provider_ref)


def unresolved(differences: Sequence[Difference]) -> list[Difference]:
    """Pick what a person has to look at."""
    return [difference for difference in differences if not difference.resolved]


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
