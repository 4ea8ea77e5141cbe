"""More time for a hold: once, five minutes, counted from the first seat, and charged to the hold budget."""

from typing import Any
from uuid import uuid4

import httpx
from tests.support.sales import EVENT, hold, pass_time, put_on_sale, run_out, start_payment
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import OrderId, UserId
from boxoffice.services.sales.domain.order import EXTENSION

HOLD_S = 1_200
EXTENSION_S = int(EXTENSION.total_seconds())
NEAR_S = 20
"""How much slower than itself a busy machine may be."""


async def extend(apps: Apps, user: UserId, order: OrderId, key: str | None = "") -> httpx.Response:
    headers = apps.buyer(user)[1]
    if key is not None:
        headers = {**headers, "Idempotency-Key": key or str(uuid4())}
    return await apps.bookings.post(f"/bookings/{order}/extend", headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    return body


def near(seconds: int, expected: int) -> bool:
    return expected - NEAR_S <= seconds <= expected


class TestExtending:
    async def test_gives_five_minutes_once(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 4)
        order, owner = await hold(apps.database, seats[:2])
        shown = (await apps.bookings.get(f"/bookings/{order}", headers=apps.buyer(owner)[1])).json()
        assert shown["extendable"]
        answer = await extend(apps, owner, order)
        assert answer.status_code == 200, answer.text
        assert near(answer.json()["expiresInSeconds"], HOLD_S + EXTENSION_S)
        assert not answer.json()["extendable"]
        refused(await extend(apps, owner, order), 409, "sales.already_extended")
        assert await apps.database.fetchval("SELECT spent_seconds FROM customer_limits") == 2 * (HOLD_S + EXTENSION_S)

    async def test_a_repeat_of_the_key_gives_the_same_answer(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        order, owner = await hold(apps.database, seats)
        first, again = await extend(apps, owner, order, "k"), await extend(apps, owner, order, "k")
        assert (first.status_code, first.content) == (200, again.content)
        refused(await extend(apps, owner, order, None), 422, "request.idempotency_key_required")

    async def test_is_bounded_from_the_first_seat_however_late_the_others_came(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 6)
        first, owner = await hold(apps.database, seats[:2])
        await pass_time(apps.database, HOLD_S - 60)
        second, _ = await hold(apps.database, seats[2:4], owner)
        answer = await extend(apps, owner, second)
        assert near(answer.json()["expiresInSeconds"], 60 + EXTENSION_S)
        shown = (await apps.bookings.get(f"/bookings/{first}", headers=apps.buyer(owner)[1])).json()
        assert near(shown["expiresInSeconds"], 60 + EXTENSION_S), "one clock for both"
        refused(await extend(apps, owner, first), 409, "sales.already_extended")
        third, _ = await hold(apps.database, seats[4:5], owner)
        shown = (await apps.bookings.get(f"/bookings/{third}", headers=apps.buyer(owner)[1])).json()
        assert near(shown["expiresInSeconds"], 60 + EXTENSION_S), "a further hold ends with the clock"
        refused(await extend(apps, owner, third), 409, "sales.already_extended")

    async def test_a_new_clock_may_be_extended_again(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        order, owner = await hold(apps.database, seats[:1])
        await extend(apps, owner, order)
        await apps.bookings.delete(f"/bookings/{order}/hold", headers=apps.buyer(owner)[1])
        again, _ = await hold(apps.database, seats[:1], owner)
        assert (await extend(apps, owner, again)).status_code == 200


class TestRefusals:
    async def test_only_while_the_hold_lasts(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        order, owner = await hold(apps.database, seats[:1])
        await run_out(apps.database, order)
        refused(await extend(apps, owner, order), 410, "sales.hold_expired")
        paying, buyer = await hold(apps.database, seats[1:])
        await start_payment(apps.database, paying)
        refused(await extend(apps, buyer, paying), 409, "sales.wrong_booking_state")

    async def test_only_ones_own(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        order, _ = await hold(apps.database, seats)
        refused(await extend(apps, UserId(uuid4()), order), 404, "sales.booking_not_found")

    async def test_not_beyond_the_hold_budget_and_then_nothing_changes(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        order, owner = await hold(apps.database, seats)
        await apps.database.fetch(
            "UPDATE customer_limits SET spent_seconds = 8 * 1200 * 3 - 10 WHERE event_id = $1", EVENT
        )
        refused(await extend(apps, owner, order), 409, "sales.hold_budget_spent")
        shown = (await apps.bookings.get(f"/bookings/{order}", headers=apps.buyer(owner)[1])).json()
        assert shown["expiresInSeconds"] <= HOLD_S
        assert shown["extendable"]
