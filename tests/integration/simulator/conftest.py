"""The simulator alone, talked to as PayPal is."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.payments import Simulated, paypal, simulator  # noqa: F401 - fixtures

RETURN_URL = "http://shop.example.org/success?lang=en"


class Merchant:
    """Calls PayPal's API with a token."""

    def __init__(self, simulated: Simulated) -> None:
        self.simulated = simulated
        self.http = simulated.client
        granted = self.http.post(
            "/v1/oauth2/token", data={"grant_type": "client_credentials"},
            auth=(simulated.simulator.client_id, simulated.simulator.client_secret),
        )  # fmt: skip
        self.token = granted.json()["access_token"]

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "PayPal-Request-Id": key or str(uuid4())}
        return self.http.post(path, json=body or {}, headers=headers)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query, headers={"Authorization": f"Bearer {self.token}"})

    def order(self, value: str = "99.00", *, key: str | None = None, **unit: Any) -> Any:
        body = {
            "intent": "CAPTURE",
            "purchase_units": [{"custom_id": str(uuid4()), "amount": {"currency_code": "USD", "value": value}, **unit}],
            "payment_source": {
                "paypal": {
                    "experience_context": {
                        "brand_name": "Boxoffice", "return_url": RETURN_URL,
                        "cancel_url": "http://shop.example.org/cancel",
                    }
                }
            },
        }  # fmt: skip
        return self.post("/v2/checkout/orders", body, key=key)


@pytest.fixture
def merchant(paypal: Simulated) -> Merchant:  # noqa: F811 - the fixture
    return Merchant(paypal)
