"""The simulator's own webhooks, sent to our API over real sockets: repeated, shuffled, dropped, late."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from tests.support.audit import assert_clean
from tests.support.payments import PUBLIC_URL, WINDOW, Simulated, Till, client_of
from tests.support.sales import put_on_sale
from tests.support.tokens import TokenFactory

from boxoffice.runtime import web
from boxoffice.runtime.database import Database
from boxoffice.services.sales.api.payments import PaymentController, PaymentDesk
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.simulators.paypal import launch

PATIENCE_S = 20.0


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def listening(sales_url: str, tokens: TokenFactory, tmp_path: Path) -> AsyncIterator[Till]:
    """A till whose API the simulator knows."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        simulator = await asyncio.to_thread(
            launch.start, tmp_path, webhook_url=f"{address}/api/v1/payments/webhooks/paypal"
        )
        try:
            async with (
                Database.open(sales_url) as database,
                client_of(simulator) as provider,
                BeginDesk.open(database) as beginnings,
            ):
                with httpx.Client(base_url=simulator.url, trust_env=False) as control:
                    till = Till(
                        database=database, provider=provider, paypal=Simulated(simulator, control),
                        seats=await put_on_sale(database, 60),
                    )  # fmt: skip
                    desk = PaymentDesk(till=till.settling, beginnings=beginnings, public_url=PUBLIC_URL, window=WINDOW)
                    app = web.make_app(
                        "payments", routes=[PaymentController], verifier=tokens.verifier(), state={"payment_desk": desk}
                    )
                    async with serving(app, listener):
                        yield till
        finally:
            await asyncio.to_thread(simulator.stop)


async def until_confirmed(till: Till, orders: list[Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any([await till.order_state(order) != "confirmed" for order in orders]):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def undelivered(till: Till) -> int:
    webhooks = await asyncio.to_thread(lambda: till.paypal.client.get("/simulator/webhooks").json())
    return sum(webhook["delivered_at"] is None for webhook in webhooks)


class TestDeliveries:
    async def test_a_webhook_alone_confirms(self, listening: Till) -> None:
        """The buyer closed the browser after saying yes."""
        payment = await listening.begin()
        await asyncio.to_thread(listening.paypal.approve, payment.provider_ref)
        await until_confirmed(listening, [payment.order_id])
        await listening.check(payment.order_id)

    async def test_a_shuffled_storm_of_repeats_changes_nothing_more(self, listening: Till) -> None:
        listening.paypal.fault("shuffle", "webhook")
        listening.paypal.fault("repeat", "webhook", copies=10)
        begun = [await listening.begin() for _ in range(8)]
        for payment in begun:
            await asyncio.to_thread(listening.paypal.approve, payment.provider_ref)
        orders = [payment.order_id for payment in begun]
        await until_confirmed(listening, orders)
        async with asyncio.timeout(PATIENCE_S):
            while await undelivered(listening):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        await listening.check(*orders)
        noted = await listening.database.fetchval("SELECT count(*) FROM provider_events")
        assert noted == 16, "an approval and a capture of each, each noted once"
        await assert_clean(listening.database)

    async def test_what_we_could_not_take_comes_again(self, listening: Till) -> None:
        listening.paypal.fault("refuse", "get_order", times=3)
        payment = await listening.begin()
        await asyncio.to_thread(listening.paypal.approve, payment.provider_ref)
        await until_confirmed(listening, [payment.order_id])
        await listening.check(payment.order_id)
