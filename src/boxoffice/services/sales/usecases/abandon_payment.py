"""Abandon a payment: shut capture out first, then let the provider void it, then give the seats back.

D and F of the protocol (reliability section 4.5). A payment that was claimed first is not abandoned: the claim won.
"""

from typing import Literal

from boxoffice.kernel.ids import PaymentId
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import Payment, PaymentState, ProviderSilentError
from boxoffice.services.sales.providers import PaymentProvider, Providers
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.release_order import end_declined, release_voided

Because = Literal["payment_expired", "payment_abandoned", "provider_refused"]
EXPIRED: Because = "payment_expired"
TURNED_BACK: Because = "payment_abandoned"
REFUSED: Because = "provider_refused"

_log = log(__name__)


async def abandon(database: Database, providers: Providers, payment_id: PaymentId, *, because: Because) -> bool:
    """Give a payment up; false when it was claimed or had ended before, or (expired) its deadline has not passed.

    The seats of a buyer who turned back are held again while there is time; those of one who stayed away are freed.
    """
    async with database.transaction() as tx:
        if not await payments.abandon(tx, payment_id, because=because):
            return False
        payment = await payments.by_id(tx, payment_id)
    assert payment is not None
    await finish_abandoning(database, providers, payment)
    return True


async def finish_abandoning(database: Database, providers: Providers, payment: Payment) -> None:
    """Void an ``abandoning`` payment at the provider and give its seats back; left to the resolver on silence."""
    if payment.state is not PaymentState.ABANDONING:
        return
    if payment.provider_ref is not None:
        try:
            await client_of(providers, payment).void(payment.provider_ref)
        except ProviderSilentError as silence:
            _log.warning("payment.not_voided", payment=str(payment.payment_id), why=silence.detail)
            return
    async with database.transaction() as tx:
        if payment.failure == EXPIRED:
            state = await release_voided(tx, order_id=payment.order_id, payment_id=payment.payment_id)
        else:
            state = await end_declined(
                tx, order_id=payment.order_id, payment_id=payment.payment_id, before=PaymentState.ABANDONING,
                failure=payment.failure or TURNED_BACK,
            )  # fmt: skip
    _log.info("payment.abandoned", payment=str(payment.payment_id), because=payment.failure, order=state.value)


def client_of(providers: Providers, payment: Payment) -> PaymentProvider:
    """Give the client of a payment's provider.

    :raises ProviderSilentError: when this process has none: it was taken out of the settings with payments still open.
    """
    provider = providers.get(payment.provider)
    if provider is None:
        raise ProviderSilentError(f"There is no client for {payment.provider}.", retryAfterSeconds=60)
    return provider
