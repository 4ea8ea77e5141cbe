"""Resolve payments that nobody finished: a lost reply, a process that died, a buyer who never came back (I3, I6).

Any number of processes may do this at once: what one claims, the others skip for as long as it may take.
"""

from datetime import timedelta

from boxoffice.kernel.ids import PaymentId
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import PaymentState, ProviderSilentError
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.abandon_payment import EXPIRED, abandon
from boxoffice.services.sales.usecases.settle_payment import Settling, settle

PATIENCE = timedelta(seconds=15)
"""Longer than the three calls of one settling may take together, so that two seldom work on the same payment."""
AT_ONCE = 20
"""Bounded, so that a provider who is slow does not keep the job from looking at newer ones for long."""

_log = log(__name__)


async def resolve_payments(till: Settling, *, patience: timedelta = PATIENCE, most: int = AT_ONCE) -> int:
    """Bring open payments on; returns how many came to an end."""
    async with till.database.transaction() as tx:
        claimed = await payments.due(tx, patience=patience, most=most)
    ended = 0
    for payment_id in claimed:
        ended += await _resolve(till, payment_id)
    return ended


async def _resolve(till: Settling, payment_id: PaymentId) -> bool:
    """Settle; what is still only ``created`` past its deadline is abandoned, with or without the provider's word."""
    try:
        payment = await settle(till, payment_id)
    except ProviderSilentError as silence:
        _log.warning("payment.open", payment=str(payment_id), why=silence.detail)
        found = await payments.by_id(till.database, payment_id)
        assert found is not None
        payment = found
    if payment.state is PaymentState.CREATED:
        return await abandon(till.database, till.providers, payment_id, because=EXPIRED)
    return payment.state in {PaymentState.CAPTURED, PaymentState.FAILED, PaymentState.VOIDED}
