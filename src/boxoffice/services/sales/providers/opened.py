"""Opens the clients of the providers that the settings name."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from boxoffice.runtime.settings import Settings
from boxoffice.services.sales.providers import PaymentProvider, Providers
from boxoffice.services.sales.providers.paypal import Credentials, open_paypal


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """Keep the clients open while inside; a provider without settings is not taken."""
    async with AsyncExitStack() as stack:
        found: dict[str, PaymentProvider] = {}
        if settings.paypal_api_url:
            paypal = await stack.enter_async_context(
                open_paypal(
                    api_url=settings.paypal_api_url,
                    credentials=Credentials(
                        client_id=settings.paypal_client_id, client_secret=settings.paypal_client_secret,
                        merchant_id=settings.paypal_merchant_id,
                    ),
                    public_url=settings.public_url,
                    webhook_id=settings.paypal_webhook_id,
                    webhook_ca_file=settings.paypal_webhook_ca_file,
                )
            )  # fmt: skip
            found[paypal.name] = paypal
        yield found
