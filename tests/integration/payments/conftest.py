"""The till with its HTTP API in front."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.payments import PUBLIC_URL, WINDOW, Till, paypal, simulator, till  # noqa: F401 - fixtures
from tests.support.sales import ORGANISATION
from tests.support.tokens import TokenFactory

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.runtime import web
from boxoffice.services.sales.api.payments import PaymentController, PaymentDesk
from boxoffice.services.sales.usecases.gather_payments import BeginDesk


@dataclass
class Api:
    """Calls the API as somebody."""

    client: httpx.AsyncClient
    tokens: TokenFactory

    def buyer(self, user_id: UserId) -> dict[str, str]:
        return self.tokens.headers(user_id)

    def organiser(self, role: str = "owner") -> dict[str, str]:
        return self.tokens.headers(uuid4(), ("customer", "organiser"), {ORGANISATION: role})

    def stranger(self) -> dict[str, str]:
        return self.tokens.headers(uuid4(), ("customer", "organiser"), {uuid4(): "owner"})

    def staff(self) -> dict[str, str]:
        return self.tokens.headers(uuid4(), ("support",))

    async def create(
        self, order_id: OrderId, user_id: UserId, *, key: str | None = None, **changes: Any
    ) -> httpx.Response:
        body = {
            "bookingId": str(order_id), "provider": "paypal", "returnUrl": f"{PUBLIC_URL}/back?lang=en",
            "cancelUrl": f"{PUBLIC_URL}/cancelled",
        }  # fmt: skip
        headers = self.buyer(user_id) | ({"Idempotency-Key": key} if key else {})
        return await self.client.post("/payments/create", json=body | changes, headers=headers)


@pytest.fixture
async def api(till: Till, tokens: TokenFactory) -> AsyncIterator[Api]:  # noqa: F811 - the fixture
    async with BeginDesk.open(till.database) as beginnings:
        desk = PaymentDesk(till=till.settling, beginnings=beginnings, public_url=PUBLIC_URL, window=WINDOW)
        app = web.make_app(
            "payments", routes=[PaymentController], verifier=tokens.verifier(), state={"payment_desk": desk}
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://payments.internal/api/v1") as client:
            yield Api(client, tokens)
