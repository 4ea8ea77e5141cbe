"""The simulator answers as PayPal's documentation says, keeps its books, and fails when told to."""

import base64
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.integration.simulator.conftest import Merchant
from tests.support.payments import SLOW_S

from boxoffice.simulators.paypal import launch


def issue(answer: httpx.Response) -> str:
    body = answer.json()
    assert set(body) >= {"name", "message", "debug_id", "details"}
    return str(body["details"][0]["issue"])


class TestToken:
    def test_a_wrong_secret_is_refused(self, merchant: Merchant) -> None:
        answer = merchant.http.post("/v1/oauth2/token", auth=("boxoffice-simulator", "wrong"))
        assert answer.status_code == 401

    def test_a_call_without_token_is_refused(self, merchant: Merchant) -> None:
        assert merchant.http.get("/v2/checkout/orders/X").status_code == 401


class TestOrders:
    def test_an_order_waits_for_its_payer(self, merchant: Merchant) -> None:
        answer = merchant.order()
        assert answer.status_code == 201
        order = answer.json()
        assert order["status"] == "PAYER_ACTION_REQUIRED"
        assert {"self", "payer-action"} <= {link["rel"] for link in order["links"]}
        assert merchant.get(f"/v2/checkout/orders/{order['id']}").json() == order

    def test_the_same_request_id_gives_the_same_order(self, merchant: Merchant) -> None:
        key, custom_id = str(uuid4()), str(uuid4())
        first, second = [merchant.order(key=key, custom_id=custom_id) for _ in range(2)]
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]

    def test_the_same_request_id_with_another_body_is_refused(self, merchant: Merchant) -> None:
        key = str(uuid4())
        merchant.order("1.00", key=key)
        answer = merchant.order("2.00", key=key)
        assert (answer.status_code, issue(answer)) == (422, "DUPLICATE_REQUEST_ID")

    @pytest.mark.parametrize("value", ["0.00", "-1.00", "1.001", "much"])
    def test_a_value_that_cannot_be_is_refused(self, merchant: Merchant, value: str) -> None:
        assert merchant.order(value).status_code in {400, 422}

    def test_items_must_sum_up(self, merchant: Merchant) -> None:
        item = {"name": "A", "quantity": "1", "unit_amount": {"currency_code": "USD", "value": "1.00"}}
        assert issue(merchant.order("99.00", items=[item])) == "ITEM_TOTAL_MISMATCH"

    def test_an_unknown_order_is_not_found(self, merchant: Merchant) -> None:
        answer = merchant.get("/v2/checkout/orders/NOBODY")
        assert (answer.status_code, answer.json()["name"]) == (404, "RESOURCE_NOT_FOUND")


class TestCapture:
    def test_needs_an_approval(self, merchant: Merchant) -> None:
        order = merchant.order().json()
        answer = merchant.post(f"/v2/checkout/orders/{order['id']}/capture")
        assert (answer.status_code, issue(answer)) == (422, "ORDER_NOT_APPROVED")

    def test_takes_the_money_once(self, merchant: Merchant) -> None:
        order = merchant.order().json()
        merchant.simulated.approve(order["id"])
        path, key = f"/v2/checkout/orders/{order['id']}/capture", str(uuid4())
        first, again, other = merchant.post(path, key=key), merchant.post(path, key=key), merchant.post(path)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert issue(other) == "ORDER_ALREADY_CAPTURED"
        books = merchant.simulated.books(order["purchase_units"][0]["custom_id"])
        assert (len(books["captures"]), books["captured_minor"]) == (1, 9_900)

    def test_a_declined_card_needs_another_approval(self, merchant: Merchant) -> None:
        order = merchant.order().json()
        merchant.simulated.approve(order["id"], decline=True)
        path = f"/v2/checkout/orders/{order['id']}/capture"
        assert issue(merchant.post(path)) == "INSTRUMENT_DECLINED"
        assert issue(merchant.post(path)) == "ORDER_NOT_APPROVED"
        merchant.simulated.approve(order["id"])
        assert merchant.post(path).json()["status"] == "COMPLETED"


class TestRefund:
    def capture(self, merchant: Merchant) -> tuple[str, str]:
        order = merchant.order().json()
        merchant.simulated.approve(order["id"])
        captured = merchant.post(f"/v2/checkout/orders/{order['id']}/capture").json()
        return captured["purchase_units"][0]["payments"]["captures"][0]["id"], order["id"]

    def test_in_parts_up_to_the_capture(self, merchant: Merchant) -> None:
        capture, order = self.capture(merchant)
        path = f"/v2/payments/captures/{capture}/refund"
        part = {"amount": {"currency_code": "USD", "value": "40.00"}, "custom_id": "mine"}
        first = merchant.post(path, part)
        assert (first.status_code, first.json()["amount"]["value"]) == (201, "40.00")
        assert merchant.get(f"/v2/payments/captures/{capture}").json()["status"] == "PARTIALLY_REFUNDED"
        assert (
            issue(merchant.post(path, {"amount": {"currency_code": "USD", "value": "60.00"}}))
            == "REFUND_AMOUNT_EXCEEDED"
        )
        rest = merchant.post(path)
        assert rest.json()["amount"]["value"] == "59.00"
        assert issue(merchant.post(path)) == "CAPTURE_FULLY_REFUNDED"
        assert merchant.get(f"/v2/payments/refunds/{rest.json()['id']}").json() == rest.json()
        shown = merchant.get(f"/v2/checkout/orders/{order}").json()["purchase_units"][0]["payments"]["refunds"]
        assert [refund["custom_id"] for refund in shown] == ["mine", None]

    def test_the_same_request_id_refunds_once(self, merchant: Merchant) -> None:
        capture, _ = self.capture(merchant)
        path, part = f"/v2/payments/captures/{capture}/refund", {"amount": {"currency_code": "USD", "value": "40.00"}}
        first, second = [merchant.post(path, part, key=f"r-{capture}") for _ in range(2)]
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]

    def test_the_list_of_transactions_shows_both(self, merchant: Merchant) -> None:
        capture, _ = self.capture(merchant)
        refund = merchant.post(f"/v2/payments/captures/{capture}/refund").json()["id"]
        now = datetime.now(UTC)
        found: dict[str, str] = {}
        for page in range(1, 100):
            answer = merchant.get(
                "/v1/reporting/transactions", start_date=(now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                end_date=(now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"), page=page, page_size=50,
            ).json()  # fmt: skip
            lines = [line["transaction_info"] for line in answer["transaction_details"]]
            found |= {line["transaction_id"]: line["transaction_amount"]["value"] for line in lines}
            if page >= answer["total_pages"]:
                break
        assert (found[capture], found[refund]) == ("99.00", "-99.00")


class TestPage:
    def page(self, merchant: Merchant, order_id: str) -> httpx.Response:
        return merchant.http.get("/checkoutnow", params={"token": order_id})

    def test_says_that_it_is_a_simulator_and_what_is_paid(self, merchant: Merchant) -> None:
        item = {
            "name": "Row <b>1</b>, seat 2",
            "quantity": "1",
            "unit_amount": {"currency_code": "USD", "value": "99.00"},
        }
        order = merchant.order(items=[item]).json()
        answer = self.page(merchant, order["id"])
        assert answer.status_code == 200
        assert "SIMULATOR: this is not PayPal" in answer.text
        assert "99.00 USD" in answer.text
        assert "Row &lt;b&gt;1&lt;/b&gt;, seat 2" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]

    @pytest.mark.parametrize(("card", "status"), [("good", "COMPLETED"), ("declined", None)])
    def test_paying_sends_back_with_token_and_payer(self, merchant: Merchant, card: str, status: str | None) -> None:
        order = merchant.order().json()
        answer = merchant.http.post("/checkoutnow", params={"token": order["id"]}, data={"choice": "pay", "card": card})
        assert answer.status_code == 303
        address = urlsplit(answer.headers["location"])
        query = parse_qs(address.query)
        assert address.path == "/success"
        assert (query["token"], query["lang"]) == ([order["id"]], ["en"])
        assert query["PayerID"]
        captured = merchant.post(f"/v2/checkout/orders/{order['id']}/capture")
        assert captured.json().get("status") == status

    def test_cancelling_sends_back_and_approves_nothing(self, merchant: Merchant) -> None:
        order = merchant.order().json()
        answer = merchant.http.post("/checkoutnow", params={"token": order["id"]}, data={"choice": "cancel"})
        assert answer.headers["location"] == f"http://shop.example.org/cancel?token={order['id']}"
        assert merchant.get(f"/v2/checkout/orders/{order['id']}").json()["status"] == "PAYER_ACTION_REQUIRED"

    def test_an_unknown_order_has_no_page(self, merchant: Merchant) -> None:
        assert self.page(merchant, "NOBODY").status_code == 404


class TestFaults:
    def test_lost_replies_were_done(self, merchant: Merchant) -> None:
        merchant.simulated.fault("lose", "create_order", times=1)
        key, custom_id = str(uuid4()), str(uuid4())
        with pytest.raises(httpx.RemoteProtocolError):
            merchant.order(key=key, custom_id=custom_id)
        assert merchant.order(key=key, custom_id=custom_id).status_code == 200

    def test_slow_is_slow_and_refused_is_not_done(self, merchant: Merchant) -> None:
        merchant.simulated.fault("slow", "create_order", seconds=SLOW_S, times=1)
        begun = time.monotonic()
        assert merchant.order().status_code == 201
        assert time.monotonic() - begun >= SLOW_S
        merchant.simulated.fault("refuse", "create_order", status=500, times=1)
        key, custom_id = str(uuid4()), str(uuid4())
        assert merchant.order(key=key, custom_id=custom_id).status_code == 500
        assert merchant.simulated.books(custom_id)["orders"] == []
        merchant.simulated.fault("throttle", times=1)
        assert merchant.order(key=key, custom_id=custom_id).status_code == 429
        assert merchant.order(key=key, custom_id=custom_id).status_code == 201

    def test_forgotten_keys_do_it_again(self, merchant: Merchant) -> None:
        key, custom_id = str(uuid4()), str(uuid4())
        merchant.order(key=key, custom_id=custom_id)
        merchant.simulated.forget_keys()
        assert merchant.order(key=key, custom_id=custom_id).status_code == 201
        assert len(merchant.simulated.books(custom_id)["orders"]) == 2

    def test_an_unknown_fault_is_refused(self, merchant: Merchant) -> None:
        answer = merchant.http.post("/simulator/faults", json={"kind": "explode"})
        assert answer.status_code == 400


class TestSignature:
    def test_holds_under_the_certificate_at_its_address(self, merchant: Merchant) -> None:
        body = '{"id": "WH-1"}'
        headers = merchant.simulated.post("webhooks/sign", body=body)
        pem = merchant.http.get(headers["PAYPAL-CERT-URL"]).content
        leaf = x509.load_pem_x509_certificates(pem)[0]
        authority = x509.load_pem_x509_certificate(merchant.simulated.simulator.ca_file.read_bytes())
        leaf.verify_directly_issued_by(authority)
        key = leaf.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        message = "|".join(
            [
                headers["PAYPAL-TRANSMISSION-ID"], headers["PAYPAL-TRANSMISSION-TIME"],
                merchant.simulated.simulator.webhook_id, str(zlib.crc32(body.encode())),
            ]
        )  # fmt: skip
        signature = base64.b64decode(headers["PAYPAL-TRANSMISSION-SIG"])
        key.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())


class TestProcess:
    def test_a_killed_one_keeps_everything_it_answered(self, tmp_path: Path) -> None:
        up = launch.start(tmp_path)
        try:
            with httpx.Client(base_url=up.url, trust_env=False) as client:
                granted = client.post("/v1/oauth2/token", auth=(up.client_id, up.client_secret)).json()
                headers = {"Authorization": f"Bearer {granted['access_token']}"}
                made = []
                for number in range(20):
                    body = {
                        "intent": "CAPTURE",
                        "purchase_units": [{"amount": {"currency_code": "USD", "value": f"{number + 1}.00"}}],
                    }
                    answer = client.post(
                        "/v2/checkout/orders", json=body, headers=headers | {"PayPal-Request-Id": f"k-{number}"}
                    )
                    made.append(answer.json()["id"])
            up.kill()
            up = launch.start(tmp_path)
            known = httpx.get(f"{up.url}/simulator/books", trust_env=False).json()["orders"]
            assert {order["order_id"] for order in known} == set(made)
            assert (tmp_path / "webhook-key.pem").stat().st_mode & 0o077 == 0
        finally:
            up.stop()
        assert up.process.returncode is not None

    def test_one_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "ledger.sqlite3").mkdir()
        with pytest.raises(launch.SimulatorDidNotStartError, match="unable to open"):
            launch.start(tmp_path)
