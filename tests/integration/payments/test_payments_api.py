"""The payments API: who may do what, what each refusal is called, and where people are sent back to."""

from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from tests.integration.payments.conftest import Api
from tests.support.audit import assert_clean
from tests.support.payments import Till
from tests.support.sales import put_on_sale, run_out


class TestCreate:
    async def test_starts_a_payment_at_the_provider(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        answer = await api.create(order_id, user_id)
        assert answer.status_code == 201, answer.text
        started = answer.json()
        assert started["status"] == "CREATED"
        assert started["approvalUrl"].startswith(till.paypal.simulator.url)
        assert await till.seat_states(order_id) == ["paying", "paying"]
        (order,) = till.paypal.books(order_id)["orders"]
        assert (order["total_minor"], order["currency"]) == (10_000, "USD")
        assert order["invoice_id"] == started["paymentId"]

    async def test_asking_again_gives_the_same_payment(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        first, second = [(await api.create(order_id, user_id)).json() for _ in range(2)]
        assert first == second
        assert len(till.paypal.books(order_id)["orders"]) == 1

    async def test_a_repeat_with_the_key_is_the_same_answer_byte_for_byte(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        first = await api.create(order_id, user_id, key="k-1")
        payment = await till.database.fetchrow("SELECT provider_ref, payment_id FROM payments")
        assert payment is not None
        till.paypal.approve(payment["provider_ref"])
        await till.settle(payment["payment_id"])
        assert (await api.create(order_id, user_id, key="k-1")).content == first.content

    async def test_refuses_the_key_for_another_body(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        other, _ = await till.hold()
        await api.create(order_id, user_id, key="k-1")
        answer = await api.create(other, user_id, key="k-1")
        assert (answer.status_code, answer.json()["code"]) == (422, "request.idempotency_key_reused")

    async def test_goes_on_where_a_silent_provider_left_it(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        till.paypal.fault("lose", "create_order")
        answer = await api.create(order_id, user_id, key="k-1")
        assert (answer.status_code, answer.json()["code"]) == (503, "sales.provider_unavailable")
        assert "retry-after" in answer.headers
        till.paypal.behave()
        answer = await api.create(order_id, user_id, key="k-1")
        assert answer.status_code == 201
        assert len(till.paypal.books(order_id)["orders"]) == 1

    async def test_refuses_an_expired_hold(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        await run_out(till.database, order_id)
        answer = await api.create(order_id, user_id)
        assert (answer.status_code, answer.json()["code"]) == (410, "sales.hold_expired")
        assert await till.payments_of(order_id) == []

    async def test_refuses_seats_that_somebody_else_took_over(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        await till.database.fetch(
            "UPDATE event_seats SET order_id = $2, hold_expires_at = clock_timestamp() + interval '9 min'"
            " WHERE seat_id = (SELECT seat_ids[1] FROM orders WHERE order_id = $1)", order_id, uuid4(),
        )  # fmt: skip
        answer = await api.create(order_id, user_id)
        assert (answer.status_code, answer.json()["code"]) == (410, "sales.hold_expired")
        assert "paying" not in await till.seat_states(order_id)

    async def test_refuses_a_free_order(self, api: Api, till: Till) -> None:
        till.seats = await put_on_sale(till.database, 2, price=0, event_id=8)
        from tests.support.sales import hold

        order_id, user_id = await hold(till.database, till.seats, event_id=8)  # type: ignore[arg-type]
        answer = await api.create(order_id, user_id)
        assert (answer.status_code, answer.json()["code"]) == (409, "sales.nothing_to_pay")

    async def test_hides_another_buyers_booking(self, api: Api, till: Till) -> None:
        order_id, _ = await till.hold()
        answer = await api.create(order_id, uuid4())  # type: ignore[arg-type]
        missing = await api.create(uuid4(), uuid4())  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (404, "sales.booking_not_found")
        assert {**answer.json(), "traceId": ""} == {**missing.json(), "traceId": ""}

    async def test_refuses_without_a_token(self, api: Api, till: Till) -> None:
        order_id, _ = await till.hold()
        answer = await api.client.post("/payments/create", json={"bookingId": str(order_id)})
        assert answer.status_code == 401

    async def test_refuses_an_unknown_provider(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        answer = await api.create(order_id, user_id, provider="barter")
        assert (answer.status_code, answer.json()["code"]) == (422, "sales.provider_unknown")

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.example.net/", "//evil.example.net/", "http://shop.example.org.evil.net/",
            "http://shop.example.org@evil.net/", "https://shop.example.org/", "http://shop.example.org:81/",
            "javascript:alert(1)", "http://shop.example.org\\@evil.net/", "/relative", "http://[::1", "http://shop.example.org/a b",
        ],
    )  # fmt: skip
    async def test_refuses_to_send_people_elsewhere(self, api: Api, till: Till, url: str) -> None:
        order_id, user_id = await till.hold()
        for field in ("returnUrl", "cancelUrl"):
            answer = await api.create(order_id, user_id, **{field: url})
            assert (answer.status_code, answer.json()["code"]) == (422, "sales.return_url_foreign")
        assert await till.order_state(order_id) == "held"

    async def test_refuses_fields_that_are_not_the_buyers(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        for field, value in (("total", "0.01"), ("amount", 1), ("status", "CAPTURED"), ("userId", str(uuid4()))):
            assert (await api.create(order_id, user_id, **{field: value})).status_code == 422
        assert await till.order_state(order_id) == "held"

    async def test_refuses_while_the_sale_is_halted(self, api: Api, till: Till) -> None:
        order_id, user_id = await till.hold()
        await till.database.fetch("UPDATE event_terms SET halted_because = 'I1'")
        answer = await api.create(order_id, user_id)
        assert (answer.status_code, answer.json()["code"]) == (503, "sales.halted")


class TestRedirects:
    async def test_success_settles_and_sends_back(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        answer = await api.client.get("/payments/success", params={"token": payment.provider_ref, "PayerID": "X"})
        assert answer.status_code == 303
        address = urlsplit(answer.headers["location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == "http://shop.example.org/back"
        query = parse_qs(address.query)
        assert query == {
            "bookingId": [str(payment.order_id)], "paymentId": [str(payment.payment_id)], "status": ["CAPTURED"],
        }  # fmt: skip
        assert await till.order_state(payment.order_id) == "confirmed"
        await till.check(payment.order_id)

    async def test_success_without_approval_confirms_nothing(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        answer = await api.client.get(
            "/payments/success",
            params={"token": payment.provider_ref, "PayerID": "X", "status": "COMPLETED", "amount": "0.01"},
        )
        assert answer.status_code == 303
        assert "status=CREATED" in answer.headers["location"]
        assert await till.order_state(payment.order_id) == "paying"

    async def test_success_with_a_silent_provider_sends_back_all_the_same(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref)
        till.paypal.fault("refuse")
        answer = await api.client.get("/payments/success", params={"token": payment.provider_ref})
        assert answer.status_code == 303
        assert "status=CREATED" in answer.headers["location"]

    async def test_a_declined_card_leaves_the_seats_held_for_another(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        till.paypal.approve(payment.provider_ref, decline=True)
        answer = await api.client.get("/payments/success", params={"token": payment.provider_ref})
        assert "status=FAILED" in answer.headers["location"]
        assert await till.seat_states(payment.order_id) == ["held", "held"]
        again = await api.create(payment.order_id, payment.user_id)
        assert again.status_code == 201
        assert again.json()["paymentId"] != str(payment.payment_id)

    async def test_cancel_gives_the_seats_back_to_the_hold(self, api: Api, till: Till) -> None:
        payment = await till.begin()
        for _ in range(2):
            answer = await api.client.get("/payments/cancel", params={"token": payment.provider_ref})
            assert answer.headers["location"].startswith("http://shop.example.org/cancelled?")
            assert "status=VOIDED" in answer.headers["location"]
        assert await till.seat_states(payment.order_id) == ["held", "held"]
        till.paypal.approve(payment.provider_ref)
        await api.client.get("/payments/success", params={"token": payment.provider_ref})
        assert till.paypal.books(payment.order_id)["captures"] == []

    async def test_cancel_after_the_claim_changes_nothing(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        answer = await api.client.get("/payments/cancel", params={"token": payment.provider_ref})
        assert "status=CAPTURED" in answer.headers["location"]
        await till.check(payment.order_id)

    @pytest.mark.parametrize("way", ["success", "cancel", "error"])
    async def test_an_unknown_token_is_not_found(self, api: Api, way: str) -> None:
        answer = await api.client.get(f"/payments/{way}", params={"token": "NOTOURS"})
        assert (answer.status_code, answer.json()["code"]) == (404, "sales.payment_not_found")

    async def test_a_payment_for_another_booking_buys_nothing(self, api: Api, till: Till) -> None:
        """A cheap order that was approved, put in the place of a dear one."""
        dear, cheap = await till.begin(4), await till.begin(1)
        till.paypal.approve(cheap.provider_ref)
        await till.database.fetch("UPDATE payments SET provider_ref = 'X' WHERE payment_id = $1", cheap.payment_id)
        await till.database.fetch(
            "UPDATE payments SET provider_ref = $2 WHERE payment_id = $1", dear.payment_id, cheap.provider_ref
        )
        answer = await api.client.get("/payments/success", params={"token": cheap.provider_ref})
        assert "status=CREATED" in answer.headers["location"]
        assert await till.order_state(dear.order_id) == "paying"
        assert till.paypal.books(cheap.order_id)["captures"] == []


class TestRead:
    async def test_is_for_the_buyer_the_organiser_and_staff(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        path = f"/payments/{payment.payment_id}"
        for headers in (api.buyer(payment.user_id), api.organiser(), api.staff()):
            answer = await api.client.get(path, headers=headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers["cache-control"] == "no-store"
            assert answer.json() == {
                "paymentId": str(payment.payment_id), "bookingId": str(payment.order_id), "provider": "paypal",
                "status": "CAPTURED", "total": "100.00", "currency": "USD", "refunded": "0.00", "failure": None,
                "returnUrl": "http://shop.example.org/back",
            }  # fmt: skip
        for headers in (api.stranger(), api.buyer(uuid4())):  # type: ignore[arg-type]
            assert (await api.client.get(path, headers=headers)).status_code == 404
        assert (await api.client.get(path)).status_code == 401

    async def test_is_for_owners_and_managers_of_the_organisation(self, api: Api, till: Till) -> None:
        path = f"/payments/{(await till.bought()).payment_id}"
        for role, status in (("owner", 200), ("manager", 200), ("box_office", 404), ("scanner", 404), ("guest", 404)):
            assert (await api.client.get(path, headers=api.organiser(role))).status_code == status, role


class TestRefund:
    async def test_by_the_organiser_voids_frees_and_pays_back(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        path = f"/payments/{payment.payment_id}/refund"
        answer = await api.client.post(path, json={}, headers=api.organiser() | {"Idempotency-Key": "r-1"})
        assert answer.status_code == 202, answer.text
        assert answer.json()["refunded"] == "100.00"
        assert await till.seat_states(payment.order_id) == ["free", "free"]
        await till.rest()
        assert till.paypal.books(payment.order_id)["refunded_minor"] == 10_000
        await till.check(payment.order_id)
        await assert_clean(till.database)

    async def test_of_one_ticket_by_staff(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        ticket = await till.database.fetchval("SELECT ticket_id::text FROM tickets LIMIT 1")
        answer = await api.client.post(
            f"/payments/{payment.payment_id}/refund", json={"ticketIds": [ticket]}, headers=api.staff()
        )
        assert (answer.status_code, answer.json()["refunded"]) == (202, "50.00")
        await till.rest()
        await till.check(payment.order_id)

    async def test_a_second_refund_finds_nothing_left(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        path = f"/payments/{payment.payment_id}/refund"
        codes = [(await api.client.post(path, json={}, headers=api.staff())).status_code for _ in range(2)]
        assert codes == [202, 409]
        await till.rest()
        assert till.paypal.books(payment.order_id)["refunded_minor"] == 10_000

    async def test_a_repeat_with_the_key_refunds_once(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        headers = api.staff() | {"Idempotency-Key": "r-1"}
        path = f"/payments/{payment.payment_id}/refund"
        answers = [await api.client.post(path, json={}, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].content == answers[1].content

    async def test_is_not_for_buyers_nor_for_other_organisers(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        path = f"/payments/{payment.payment_id}/refund"
        assert (await api.client.post(path, json={}, headers=api.buyer(payment.user_id))).status_code == 403
        assert (await api.client.post(path, json={}, headers=api.stranger())).status_code == 404
        own = api.tokens.headers(payment.user_id, ("customer", "organiser"), {uuid4(): "owner"})
        assert (await api.client.post(path, json={}, headers=own)).status_code == 404
        assert (await api.client.post(path, json={})).status_code == 401
        await till.check(payment.order_id)

    async def test_is_for_owners_and_managers_of_the_organisation(self, api: Api, till: Till) -> None:
        payment = await till.bought()
        path = f"/payments/{payment.payment_id}/refund"
        for role in ("box_office", "scanner", "guest"):
            answer = await api.client.post(path, json={}, headers=api.organiser(role))
            assert (answer.status_code, answer.json()["code"]) == (404, "sales.payment_not_found"), role
        assert await till.seat_states(payment.order_id) == ["sold", "sold"]
        assert (await api.client.post(path, json={}, headers=api.organiser("manager"))).status_code == 202
        await till.rest()
        await till.check(payment.order_id)

    async def test_refuses_tickets_of_another_order(self, api: Api, till: Till) -> None:
        payment, other = await till.bought(), await till.bought()
        ticket = await till.database.fetchval(
            "SELECT ticket_id::text FROM tickets WHERE order_id = $1 LIMIT 1", other.order_id
        )
        answer = await api.client.post(
            f"/payments/{payment.payment_id}/refund", json={"ticketIds": [ticket]}, headers=api.organiser()
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "sales.ticket_not_found")
        await till.rest()
        await till.check(payment.order_id, other.order_id)
