"""Composition root of the PayPal simulator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from litestar import Litestar, get

from boxoffice.simulators.paypal import api, control, page
from boxoffice.simulators.paypal.bank import Bank
from boxoffice.simulators.paypal.certificates import signer
from boxoffice.simulators.paypal.faults import Faults
from boxoffice.simulators.paypal.ledger import Ledger
from boxoffice.simulators.paypal.webhooks import Webhooks

LEDGER_FILE = "ledger.sqlite3"
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The merchant that the simulator knows: its credentials, and where its webhooks go."""

    client_id: str
    client_secret: str
    webhook_url: str = ""
    webhook_id: str = "SIMULATORWEBHOOK1"


def build(data_dir: Path, *, base_url: str, accounts: list[Account]) -> Litestar:
    """Build the simulator; webhooks go to the first account's listener."""
    data_dir.mkdir(parents=True, exist_ok=True)
    faults = Faults()
    ledger = Ledger(data_dir / LEDGER_FILE)
    webhooks = Webhooks(
        ledger=ledger, signer=signer(data_dir), faults=faults, base_url=base_url,
        url=accounts[0].webhook_url, webhook_id=accounts[0].webhook_id,
    )  # fmt: skip
    paypal = api.PayPal(
        bank=Bank(ledger, base_url),
        webhooks=webhooks,
        faults=faults,
        clients={account.client_id: account.client_secret for account in accounts},
    )

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with webhooks.delivering():
            yield
        ledger.close()

    @get("/health/live", sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "live", "service": "paypal-simulator"}

    return Litestar(
        route_handlers=[*api.routes(paypal), *control.routes(paypal), *page.routes(paypal), live],
        lifespan=[lifespan],
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
