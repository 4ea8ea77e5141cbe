"""Settle a payment: ask the provider, claim, capture, confirm. Redirect, webhook and resolver all do exactly this.

C1, C2 and F2 of the protocol (reliability section 4.5). Repeating it at any point, in any number of processes, changes
nothing more: the claim is a compare-and-set, capture carries the payment's id, confirming is one transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from boxoffice.kernel.ids import PaymentId
from boxoffice.runtime import tracing
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import (
    ENDED,
    Captured,
    Declined,
    Payment,
    PaymentNotFoundError,
    PaymentState,
    Pending,
    ProviderOrder,
    ProviderOrderState,
    Unknown,
    captured_or_not,
    disagreement,
    may_capture,
)
from boxoffice.services.sales.domain.refusals import WrongOrderStateError
from boxoffice.services.sales.providers import PaymentProvider, Providers
from boxoffice.services.sales.store import orders, payments
from boxoffice.services.sales.usecases.abandon_payment import client_of, finish_abandoning
from boxoffice.services.sales.usecases.confirm_order import confirm
from boxoffice.services.sales.usecases.continue_purchase import continuing_purchase
from boxoffice.services.sales.usecases.release_order import end_declined
from boxoffice.services.sales.usecases.return_late_money import return_late_money

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What settling needs: the database, the providers, and the key that signs tickets."""

    database: Database
    providers: Providers
    signer: KeyRing


async def settle(till: Settling, payment_id: PaymentId) -> Payment:
    """Bring a payment as far as the provider's answer allows; returns it as it is then.

    :raises PaymentNotFoundError: when there is no such payment.
    :raises ProviderSilentError: when the provider does not tell how it stands; nothing is changed then.
    """
    payment = await _read(till, payment_id)
    if not tracing.on():
        return await _settle(till, payment)
    async with continuing_purchase(till.database, payment.order_id, "settle payment"):
        return await _settle(till, payment)


async def _settle(till: Settling, payment: Payment) -> Payment:
    if payment.state is PaymentState.ABANDONING:  # also one that the provider never told us of
        await finish_abandoning(till.database, till.providers, payment)
        return await _read(till, payment.payment_id)
    if payment.state in ENDED or payment.provider_ref is None:
        return payment
    provider = client_of(till.providers, payment)
    order = await provider.get(payment.provider_ref)
    if not may_go_on(payment, order, provider):
        return payment
    await _capture(till, provider, payment, order)
    return await _read(till, payment.payment_id)


def may_go_on(payment: Payment, order: ProviderOrder, provider: PaymentProvider) -> bool:
    """Whether what the provider says lets us claim and capture; a disagreement is an alarm."""
    if order.state is not ProviderOrderState.ENDED:
        odd = disagreement(payment, order, payee=provider.payee)
        if odd is not None:
            _log.error("payment.disagrees", alarm=True, payment=str(payment.payment_id), what=odd)
    return may_capture(payment, order, payee=provider.payee)


async def _capture(till: Settling, provider: PaymentProvider, payment: Payment, order: ProviderOrder) -> None:
    # C1. From here on nobody can abandon the payment; and no call goes out before this has committed.
    async with till.database.transaction() as tx:
        fence = await payments.claim(tx, payment.payment_id)
    if fence is None:
        return
    outcome = captured_or_not(order)
    if order.capture is None:
        outcome = await provider.capture(order.provider_ref, payment_id=payment.payment_id)
    match outcome:
        case Captured():
            await _confirm(till, provider, payment, outcome)
        case Declined():
            await _decline(till, payment, outcome, fence)
        case Pending() | Unknown():
            _log.warning("payment.open", payment=str(payment.payment_id), why=outcome.reason)


async def _confirm(till: Settling, provider: PaymentProvider, payment: Payment, captured: Captured) -> None:
    if captured.value != payment.total:
        _log.error(
            "payment.disagrees", alarm=True, payment=str(payment.payment_id),
            what=f"captured value: ours {payment.total}, theirs {captured.value}",
        )  # fmt: skip
        return
    try:
        async with till.database.transaction() as tx:
            done = await confirm(
                tx, order_id=payment.order_id, payment_id=payment.payment_id, capture_ref=captured.capture_ref,
                signer=till.signer,
            )  # fmt: skip
    except WrongOrderStateError:
        await return_late_money(till.database, provider, payment.payment_id, captured)
        return
    if not done.repeated:
        _log.info("payment.captured", payment=str(payment.payment_id), order=str(payment.order_id))


async def _decline(till: Settling, payment: Payment, declined: Declined, fence: datetime) -> None:
    async with till.database.transaction() as tx:
        await orders.lock(tx, payment.order_id)
        # Another process may have asked again meanwhile, and its capture may succeed: then this "no" is out of date.
        if await payments.fence(tx, payment.payment_id, PaymentState.CAPTURING) != fence:
            return
        state = await end_declined(
            tx, order_id=payment.order_id, payment_id=payment.payment_id, failure=declined.reason
        )
    _log.info("payment.declined", payment=str(payment.payment_id), why=declined.reason, order=state.value)


async def _read(till: Settling, payment_id: PaymentId) -> Payment:
    payment = await payments.by_id(till.database, payment_id)
    if payment is None:
        raise PaymentNotFoundError("There is no such payment.")
    return payment
