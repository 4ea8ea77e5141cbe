"""Take a provider's webhook: check it, then ask the provider's API. Nothing that it says is believed (I13)."""

from collections.abc import Mapping

from boxoffice.kernel.ids import PaymentId
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.payment import NoSuchListenerError, Payment
from boxoffice.services.sales.providers import ProviderEvent
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.settle_payment import Settling, settle

_log = log(__name__)


async def take_webhook(till: Settling, provider_name: str, headers: Mapping[str, str], body: bytes) -> PaymentId | None:
    """Act on a webhook once; returns the payment that was settled, none when it was a repeat or about nothing of ours.

    The event is noted after it was acted on: a crash in between lets the provider's repeat act again, which is
    harmless, while noting it first would lose it.

    :raises NoSuchListenerError: when the shop does not work with that provider.
    :raises ForgedWebhookError: when it cannot be trusted.
    :raises ProviderSilentError: when the provider cannot be asked; its repeat will find it.
    """
    provider = till.providers.get(provider_name)
    if provider is None:
        raise NoSuchListenerError("There is no such provider.")
    event = await provider.webhook(headers, body)
    if await payments.event_seen(till.database, provider_name, event.event_id):
        return None
    payment = await _payment_of(till, provider_name, event)
    if payment is None:
        # Answered with success, or the provider would repeat it for days; somebody has to look why it came to us.
        _log.error("webhook.unknown_order", alarm=True, provider=provider_name, event_type=event.event_type)
    else:
        await settle(till, payment.payment_id)
    async with till.database.transaction() as tx:
        await payments.note_event(tx, provider_name, event.event_id, event.payload)
    return None if payment is None else payment.payment_id


async def _payment_of(till: Settling, provider_name: str, event: ProviderEvent) -> Payment | None:
    if event.provider_ref is not None:
        return await payments.by_ref(till.database, provider_name, event.provider_ref)
    if event.capture_ref is not None:
        return await payments.by_capture(till.database, provider_name, event.capture_ref)
    return None
