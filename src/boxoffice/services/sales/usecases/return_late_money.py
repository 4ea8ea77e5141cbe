"""Give back money that came for a payment which had ended: it bought nothing (I3). The target is that it never happens.

Claim before capture makes it impossible for a provider that captures only when we ask; it is here for the day when a
provider does otherwise, and it alarms.
"""

from uuid import UUID, uuid5

from boxoffice.kernel.ids import PaymentId, RefundId
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import Captured, PaymentState, Refunded
from boxoffice.services.sales.providers import PaymentProvider
from boxoffice.services.sales.store import payments

LATE = UUID("0d1c7f5e-7a6b-4f0e-9a55-1b3f7c2d9e10")
"""Namespace of the refund ids of late money: the same payment always gets the same one."""
ENDED_IN_VAIN = frozenset({PaymentState.FAILED, PaymentState.VOIDED})

_log = log(__name__)


def late_refund_id(payment_id: PaymentId) -> RefundId:
    """Name the refund of a payment's late money."""
    return RefundId(uuid5(LATE, str(payment_id)))


async def return_late_money(
    database: Database, provider: PaymentProvider, payment_id: PaymentId, captured: Captured
) -> bool:
    """Refund a capture of a payment that failed or was voided; tells whether the money is back.

    :raises ProviderSilentError: when the provider does not tell whether it was refunded before.
    """
    payment = await payments.by_id(database, payment_id)
    if payment is None or payment.state not in ENDED_IN_VAIN or payment.provider_ref is None:
        return False
    refund_id = late_refund_id(payment_id)
    order = await provider.get(payment.provider_ref)
    if any(refund.reference == str(refund_id) for refund in order.refunds):
        return True
    _log.error("payment.late_money", alarm=True, payment=str(payment_id), value=captured.value.decimal())
    outcome = await provider.refund(captured.capture_ref, refund_id=refund_id, value=captured.value)
    if isinstance(outcome, Refunded):
        return True
    _log.error("payment.late_money_stays", alarm=True, payment=str(payment_id), why=outcome.reason)
    return False
