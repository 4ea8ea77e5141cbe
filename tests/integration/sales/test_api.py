"""The sale over HTTP: what the contract promises, and every bad input with its status and code."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.sales import EVENT, SIGNER, event_fact, put_on_sale, run_out, start_payment
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import EventId, seat_id
from boxoffice.services.sales.usecases.confirm_order import confirm

SEED_LIST = [
    {"seatId": 101, "section": "A", "row": "1", "number": "1", "price": 49.5},
    {"seatId": "102", "section": "A", "row": "1", "number": "2", "price": "30.00"},
]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = answer.json()
    assert (body["code"], len(body["traceId"])) == (code, 32), body
    return body


async def reserve(apps: Apps, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await apps.bookings.post("/bookings/reserve", json={"eventId": EVENT, **body}, headers=headers)


async def bought(apps: Apps, seats: list[int], headers: dict[str, str]) -> str:
    booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
    payment_id = await start_payment(apps.database, booking, "capturing")
    async with apps.database.transaction() as tx:
        await confirm(
            tx, order_id=booking, payment_id=payment_id, capture_ref=f"capture of {payment_id}", signer=SIGNER
        )
    return str(booking)


class TestCreateTickets:
    @pytest.fixture
    async def draft(self, apps: Apps) -> str:
        apps.catalog.events[EVENT] = (event_fact(status="draft"), 1)
        return f"/tickets/event/{EVENT}/create"

    async def test_from_the_seeds_list(self, apps: Apps, draft: str) -> None:
        answer = await apps.tickets.post(draft, json=SEED_LIST, headers=apps.organiser())
        assert answer.status_code == 201
        assert answer.json()[0] == {
            "ticketId": seat_id(EVENT, 0), "section": "A", "row": "1", "number": "1", "price": "49.50",
            "currency": "USD", "priceLevel": None, "status": "AVAILABLE", "mark": None, "notice": None,
        }  # fmt: skip
        listed = await apps.tickets.get(f"/tickets/event/{EVENT}", headers=apps.organiser())
        assert listed.json() == answer.json()

    async def test_from_a_seat_map_with_price_levels(self, apps: Apps, draft: str) -> None:
        levels = [
            {"name": "Front", "price": "80", "seats": [{"section": "Stalls", "rows": ["A"]}]},
            {"name": "Rest", "price": "40"},
        ]
        answer = await apps.tickets.post(draft, json={"seatMapId": 1, "priceLevels": levels}, headers=apps.organiser())
        assert answer.status_code == 201, answer.text
        seats = answer.json()
        assert len(seats) == 24  # 25 places, one kept by the house
        assert {seat["priceLevel"] for seat in seats[:10]} == {"Front"}
        assert seats[0]["price"] == "80.00"

    async def test_general_admission_by_quantities(self, apps: Apps, draft: str) -> None:
        levels = [{"name": "Standing", "price": 20, "quantity": 30}, {"name": "Students", "price": 10, "quantity": 10}]
        answer = await apps.tickets.post(draft, json={"priceLevels": levels}, headers=apps.organiser())
        assert answer.status_code == 201, answer.text
        assert len(answer.json()) == 40

    async def test_the_same_call_twice(self, apps: Apps, draft: str) -> None:
        headers = {**apps.organiser(), "Idempotency-Key": str(uuid4())}
        first = await apps.tickets.post(draft, json=SEED_LIST, headers=headers)
        again = await apps.tickets.post(draft, json=SEED_LIST, headers=headers)
        assert (again.status_code, again.content) == (201, first.content)
        problem(await apps.tickets.post(draft, json=SEED_LIST, headers=apps.organiser()), 409, "sales.tickets_exist")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ([{**SEED_LIST[0], "price": -1}], "sales.bad_ticket_list"),
            ([{**SEED_LIST[0], "price": "1.999"}], "sales.bad_ticket_list"),
            ([{**SEED_LIST[0], "price": "NaN"}], "sales.bad_ticket_list"),
            ([SEED_LIST[0], SEED_LIST[0]], "sales.bad_ticket_list"),
            ([], "sales.bad_ticket_list"),
            ([{**SEED_LIST[0], "status": "BOOKED"}], "request.invalid"),
            ({"priceLevels": [{"name": "A", "price": -1, "quantity": 1}]}, "sales.bad_price_levels"),
            ({"priceLevels": [{"name": "A", "price": 1}]}, "sales.bad_price_levels"),
            ({"priceLevels": [{"name": "A", "price": 1, "quantity": 10**9}]}, "request.invalid"),
            ({"seatMapId": 1, "priceLevels": [{"name": "A", "price": 1, "seats": [{"section": "Stalls"}]}]},
             "sales.bad_price_levels"),
            ({"seatMapId": 9, "priceLevels": [{"name": "A", "price": 1}]}, "sales.bad_price_levels"),
            ({"seatMapId": 1, "priceLevels": [{"name": "A", "price": 1}], "currency": "EUR"}, "sales.bad_price_levels"),
        ],
    )  # fmt: skip
    async def test_refuses_what_cannot_be_meant(self, apps: Apps, draft: str, body: Any, code: str) -> None:
        problem(await apps.tickets.post(draft, json=body, headers=apps.organiser()), 422, code)
        assert (await apps.tickets.get(f"/tickets/event/{EVENT}", headers=apps.organiser())).status_code == 404
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats") == 0

    async def test_names_sections_without_a_price(self, apps: Apps, draft: str) -> None:
        levels = [{"name": "A", "price": 1, "seats": [{"section": "Stalls"}]}]
        answer = await apps.tickets.post(draft, json={"seatMapId": 1, "priceLevels": levels}, headers=apps.organiser())
        assert problem(answer, 422, "sales.bad_price_levels")["sections"] == ["Circle"]

    async def test_is_for_the_events_own_organisers(self, apps: Apps, draft: str) -> None:
        stranger = apps.organiser(uuid4())
        problem(await apps.tickets.post(draft, json=SEED_LIST, headers=stranger), 403, "sales.not_your_event")
        _, customer = apps.buyer()
        problem(await apps.tickets.post(draft, json=SEED_LIST, headers=customer), 403, "identity.forbidden")
        problem(await apps.tickets.post(draft, json=SEED_LIST), 401, "identity.unauthenticated")
        missing = await apps.tickets.post("/tickets/event/99/create", json=SEED_LIST, headers=apps.organiser())
        problem(missing, 404, "sales.event_not_found")

    async def test_drafts_are_hidden_from_strangers(self, apps: Apps, draft: str) -> None:
        await apps.tickets.post(draft, json=SEED_LIST, headers=apps.organiser())
        _, customer = apps.buyer()
        for headers in ({}, customer):
            for path in (f"/tickets/event/{EVENT}", f"/events/{EVENT}/availability"):
                problem(await apps.tickets.get(path, headers=headers), 404, "sales.event_not_found")
        answer = await apps.tickets.get(f"/events/{EVENT}/availability", headers=apps.organiser())
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")


class TestReadTickets:
    async def test_the_house_in_two_bits_a_place(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 6)
        _, headers = apps.buyer()
        await bought(apps, seats[:1], headers)
        await reserve(apps, headers, ticketIds=seats[1:2])
        await apps.tickets.put(
            "/tickets/update-seats", json={"ticketIds": seats[2:3], "status": "BLOCKED"}, headers=apps.organiser()
        )
        answer = await apps.tickets.get(f"/events/{EVENT}/availability")
        house = answer.json()
        assert base64.b64decode(house["states"]) == bytes([0b00_11_01_10, 0b1111_0000])
        counts = (house["places"], house["free"], house["held"], house["sold"], house["blocked"])
        assert counts == (6, 3, 1, 1, 1)
        again = await apps.tickets.get(
            f"/events/{EVENT}/availability", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")

    async def test_the_list_has_an_entity_tag_that_follows_the_sale(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        first = await apps.tickets.get(f"/tickets/event/{EVENT}")
        known = {"If-None-Match": first.headers["etag"]}
        assert (await apps.tickets.get(f"/tickets/event/{EVENT}", headers=known)).status_code == 304
        _, headers = apps.buyer()
        await reserve(apps, headers, ticketIds=seats[:1])
        changed = await apps.tickets.get(f"/tickets/event/{EVENT}", headers=known)
        assert [seat["status"] for seat in changed.json()] == ["HELD", "AVAILABLE", "AVAILABLE"]

    async def test_by_ids(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        _, headers = apps.buyer()
        await reserve(apps, headers, ticketIds=seats[:1])
        commas = ",".join(map(str, seats))
        available = await apps.tickets.get("/tickets/available-seats", params={"ticketIds": commas})
        assert [seat["ticketId"] for seat in available.json()] == seats[1:]
        repeated = await apps.tickets.get("/tickets/reservation", params={"ticketIds": seats[:2]})
        assert [seat["status"] for seat in repeated.json()] == ["HELD", "AVAILABLE"]

    @pytest.mark.parametrize("path", ["/tickets/available-seats", "/tickets/reservation"])
    @pytest.mark.parametrize(
        ("ids", "code"),
        [
            ("", "sales.bad_selection"),
            ("one", "sales.bad_selection"),
            ("-1", "sales.bad_selection"),
            (str(10**30), "sales.bad_selection"),
            ("٣", "sales.bad_selection"),
            (str(seat_id(EventId(5), 1)), "sales.seats_unknown"),
            (",".join(map(str, range(101))), "sales.bad_selection"),
            (",".join(map(str, [0, 0, *range(101)])), "sales.bad_selection"),
            ("9" * 5000, "sales.bad_selection"),
        ],
    )
    async def test_bad_ids(self, apps: Apps, path: str, ids: str, code: str) -> None:
        problem(await apps.tickets.get(path, params={"ticketIds": ids}), 422, code)

    async def test_an_expired_hold_reads_available(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        await run_out(apps.database, booking)
        listed = await apps.tickets.get(f"/tickets/event/{EVENT}")
        assert {seat["status"] for seat in listed.json()} == {"AVAILABLE"}
        assert (await apps.bookings.get(f"/bookings/{booking}", headers=headers)).json()["status"] == "EXPIRED"

    async def test_own_tickets_only(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        user, headers = apps.buyer()
        booking = await bought(apps, seats, headers)
        mine = (await apps.tickets.get(f"/tickets/user/{user}", headers=headers)).json()
        assert [ticket["ticketId"] for ticket in mine] == seats
        _, stranger = apps.buyer()
        problem(await apps.tickets.get(f"/tickets/user/{user}", headers=stranger), 403, "sales.not_yourself")
        issued = mine[0]["issuedTicketId"]
        for path, name, code in (
            (f"/tickets/{issued}/qr.png", f"{issued}.png", "sales.ticket_not_found"),
            (f"/tickets/{issued}.pdf", f"{issued}.pdf", "sales.ticket_not_found"),
            (f"/bookings/{booking}/tickets.pdf", f"tickets-{booking}.pdf", "sales.booking_not_found"),
        ):
            problem(await apps.tickets.get(path, headers=stranger), 404, code)
            answer = await apps.tickets.get(path, headers=headers)
            assert answer.status_code == 200, path
            assert answer.content[:4] in {b"\x89PNG", b"%PDF"}
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-disposition"] == f'inline; filename="{name}"'

    async def test_documents_of_nothing(self, apps: Apps) -> None:
        _, headers = apps.buyer()
        for path in (
            f"/tickets/{uuid4()}.pdf",
            "/tickets/nonsense.pdf",
            "/tickets/nonsense",
            f"/tickets/{uuid4()}/qr.png",
        ):
            problem(await apps.tickets.get(path, headers=headers), 404, "sales.ticket_not_found")


class TestBlockSeats:
    async def test_blocks_free_seats_only_and_all_or_nothing(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        _, headers = apps.buyer()
        await reserve(apps, headers, ticketIds=seats[:1])
        body = {"ticketIds": seats, "status": "BLOCKED"}
        answer = await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser())
        assert [seat["ticketId"] for seat in problem(answer, 409, "sales.seats_taken")["taken"]] == seats[:1]
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'blocked'") == 0
        body = {"ticketIds": seats[1:], "status": "BLOCKED"}
        answer = await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser())
        assert [seat["status"] for seat in answer.json()] == ["BLOCKED", "BLOCKED"]
        answer = await reserve(apps, headers, ticketIds=seats[1:2])
        problem(answer, 409, "sales.seats_taken")
        body = {"ticketIds": seats[1:], "status": "AVAILABLE"}
        answer = await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser())
        assert [seat["status"] for seat in answer.json()] == ["AVAILABLE", "AVAILABLE"]

    async def test_never_marks_a_seat_as_booked(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        body = {"ticketIds": seats, "status": "BOOKED"}
        answer = await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser())
        problem(answer, 422, "request.invalid")

    async def test_is_for_the_events_own_organisers(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        body = {"ticketIds": seats, "status": "BLOCKED"}
        answer = await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser(uuid4()))
        problem(answer, 403, "sales.not_your_event")


class TestReserve:
    async def test_holds_chosen_seats(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        user, headers = apps.buyer()
        answer = await reserve(apps, headers, userId=str(user), ticketIds=seats[:2])
        assert answer.status_code == 201
        assert set(answer.json()) == {
            "bookingId", "reservedTickets", "expiresAt", "expiresInSeconds", "total", "currency",
        }  # fmt: skip
        assert answer.headers["cache-control"] == "no-store"

    async def test_names_the_seats_that_are_gone(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        await reserve(apps, apps.buyer()[1], ticketIds=seats[:1])
        body = problem(await reserve(apps, apps.buyer()[1], ticketIds=seats), 409, "sales.seats_taken")
        assert body["taken"] == [{"ticketId": seats[0], "section": "Stalls", "row": "1", "number": "1"}]
        assert "contested" not in body

    async def test_best_available_together(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 10)
        answer = await reserve(apps, apps.buyer()[1], quantity=2, together=True)
        assert [seat["ticketId"] for seat in answer.json()["reservedTickets"]] == seats[4:6]

    async def test_bad_input(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 12)
        _, headers = apps.buyer()
        for body, status, code in (
            ({"ticketIds": [seats[0], seats[0]]}, 422, "sales.bad_selection"),
            ({"ticketIds": []}, 422, "sales.bad_selection"),
            ({"ticketIds": seats[:9]}, 422, "sales.bad_selection"),
            ({}, 422, "sales.bad_selection"),
            ({"ticketIds": seats[:1], "quantity": 1}, 422, "sales.bad_selection"),
            ({"quantity": 0}, 422, "sales.bad_selection"),
            ({"quantity": -3}, 422, "sales.bad_selection"),
            ({"quantity": 10**9}, 422, "sales.bad_selection"),
            ({"ticketIds": [seats[0], seat_id(EventId(8), 1)]}, 422, "sales.seats_unknown"),
            ({"ticketIds": [seat_id(EVENT, 700)]}, 422, "sales.seats_unknown"),
            ({"ticketIds": [-1]}, 422, "request.invalid"),
            ({"ticketIds": ["A1"]}, 422, "request.invalid"),
            ({"ticketIds": [2**70]}, 422, "request.invalid"),
            ({"ticketIds": seats[:1], "userId": str(uuid4())}, 403, "sales.not_yourself"),
            ({"ticketIds": seats[:1], "userId": "me"}, 422, "request.invalid"),
            ({"ticketIds": seats[:1], "price": 1}, 422, "request.invalid"),
            ({"eventId": 99, "quantity": 1}, 404, "sales.event_not_found"),
            ({"eventId": 10**17, "quantity": 1}, 404, "sales.event_not_found"),
            ({"eventId": 2**64, "quantity": 1}, 422, "request.invalid"),
            ({"eventId": "x", "quantity": 1}, 422, "request.invalid"),
        ):
            problem(await reserve(apps, headers, **body), status, code)
        for raw in (b"", b"{not json", b"[]", b"null", b"\xff"):
            problem(await apps.bookings.post("/bookings/reserve", content=raw, headers=headers), 422, "request.invalid")
        assert await apps.database.fetchval("SELECT count(*) FROM orders") == 0
        assert await apps.database.fetchval("SELECT count(*) FROM customer_limits") == 0

    async def test_a_body_of_ten_megabytes(self, apps: Apps) -> None:
        _, headers = apps.buyer()
        content = b'{"eventId": 7, "ticketIds": [' + b"1," * 5_000_000 + b"1]}"
        answer = await apps.bookings.post("/bookings/reserve", content=content, headers=headers)
        problem(answer, 413, "request.too_large")

    async def test_an_event_that_is_not_on_sale(self, apps: Apps) -> None:
        later = datetime.now(UTC) + timedelta(days=1)
        seats = await put_on_sale(apps.database, 1, on_sale_at=later)
        body = problem(await reserve(apps, apps.buyer()[1], ticketIds=seats), 409, "sales.not_on_sale")
        assert body["onSaleAt"].startswith(later.strftime("%Y-%m-%dT%H:%M"))

    async def test_needs_a_login(self, apps: Apps) -> None:
        problem(await reserve(apps, {}, quantity=1), 401, "identity.unauthenticated")

    async def test_the_limit(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 4, limit_per_customer=2)
        _, headers = apps.buyer()
        await reserve(apps, headers, ticketIds=seats[:2])
        body = problem(await reserve(apps, headers, ticketIds=seats[2:3]), 409, "sales.limit_reached")
        assert body["limitPerCustomer"] == 2

    async def test_a_repeat_with_the_same_key(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 4)
        _, buyer = apps.buyer()
        headers = {**buyer, "Idempotency-Key": "a-key"}
        first = await reserve(apps, headers, ticketIds=seats[:2])
        again = await reserve(apps, headers, ticketIds=seats[:2])
        assert (again.status_code, again.content) == (201, first.content)
        other = await reserve(apps, headers, ticketIds=seats[2:])
        problem(other, 422, "request.idempotency_key_reused")
        problem(
            await reserve(apps, {**buyer, "Idempotency-Key": "k" * 201}, ticketIds=seats[2:]), 422,
            "request.idempotency_key_malformed",
        )  # fmt: skip


class TestBookings:
    async def test_are_seen_by_their_owner_and_the_events_organisers(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        user, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        shown = (await apps.bookings.get(f"/bookings/{booking}", headers=headers)).json()
        assert (shown["status"], shown["userId"], shown["total"]) == ("HELD", str(user), "100.00")
        assert 1190 < shown["expiresInSeconds"] <= 1200
        assert shown["event"]["venueName"] == "City Hall"
        assert [ticket["ticketStatus"] for ticket in shown["tickets"]] == [None, None]
        organiser = apps.organiser()
        assert (await apps.bookings.get(f"/bookings/{booking}", headers=organiser)).status_code == 200
        for stranger in (apps.buyer()[1], apps.organiser(uuid4())):
            problem(await apps.bookings.get(f"/bookings/{booking}", headers=stranger), 404, "sales.booking_not_found")
        problem(await apps.bookings.get("/bookings/not-a-uuid", headers=headers), 404, "request.not_found")

    async def test_pages_newest_first(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 5)
        _, headers = apps.buyer()
        placed = [(await reserve(apps, headers, ticketIds=[seat])).json()["bookingId"] for seat in seats]
        page = (await apps.bookings.get("/bookings", params={"pageNo": 1, "pageSize": 2}, headers=headers)).json()
        assert [booking["bookingId"] for booking in page["bookings"]] == placed[::-1][2:4]
        paging = {name: page[name] for name in ("pageNumber", "pageSize", "totalElement", "totalPages", "isLast")}
        assert paging == {"pageNumber": 1, "pageSize": 2, "totalElement": 5, "totalPages": 3, "isLast": False}
        of_event = await apps.bookings.get("/bookings", params={"eventId": EVENT}, headers=apps.organiser())
        assert of_event.json()["totalElement"] == 5
        answer = await apps.bookings.get("/bookings", params={"eventId": EVENT}, headers=headers)
        problem(answer, 403, "sales.not_your_event")

    @pytest.mark.parametrize(
        "query",
        [{"pageSize": 10**9}, {"pageSize": 0}, {"pageSize": -1}, {"pageNo": -1}, {"pageNo": "x"}, {"pageNo": 10**30}],
    )
    async def test_bad_pages(self, apps: Apps, query: dict[str, Any]) -> None:
        answer = await apps.bookings.get("/bookings", params=query, headers=apps.buyer()[1])
        problem(answer, 422, "request.invalid")

    async def test_a_hold_is_given_back_once_and_for_all(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        problem(
            await apps.bookings.delete(f"/bookings/{booking}/hold", headers=apps.buyer()[1]),
            404,
            "sales.booking_not_found",
        )
        for _ in range(2):
            assert (await apps.bookings.delete(f"/bookings/{booking}/hold", headers=headers)).status_code == 204
        assert (await apps.bookings.get(f"/bookings/{booking}", headers=headers)).json()["status"] == "RELEASED"
        assert (await reserve(apps, apps.buyer()[1], ticketIds=seats)).status_code == 201

    async def test_the_live_house_is_a_websocket(self, apps: Apps) -> None:
        problem(await apps.tickets.get(f"/events/{EVENT}/live"), 404, "sales.event_not_found")
        await put_on_sale(apps.database, 2)
        answer = await apps.tickets.get(f"/events/{EVENT}/live")
        problem(answer, 426, "request.upgrade_needed")
        assert answer.headers["upgrade"] == "websocket"


class TestConfirm:
    async def confirm(self, apps: Apps, booking: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await apps.bookings.put(f"/bookings/confirm/{booking}", json=body, headers=headers)

    async def test_a_free_booking_at_once_and_again(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2, price=0)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        first = await self.confirm(apps, booking, headers)
        assert first.status_code == 200
        assert (first.json()["status"], first.json()["total"]) == ("CONFIRMED", "0.00")
        assert {ticket["ticketStatus"] for ticket in first.json()["tickets"]} == {"VALID"}
        assert (await self.confirm(apps, booking, headers)).content == first.content
        assert await apps.database.fetchval("SELECT count(*) FROM tickets") == 2

    async def test_a_free_booking_whose_hold_ran_out(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2, price=0)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        await run_out(apps.database, booking)
        problem(await self.confirm(apps, booking, headers), 410, "sales.hold_expired")
        assert await apps.database.fetchval("SELECT count(*) FROM tickets") == 0

    async def test_a_paid_one_needs_its_own_payment(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 4)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats[:1])).json()["bookingId"]
        problem(await self.confirm(apps, booking, headers), 402, "sales.payment_needed")
        other = await bought(apps, seats[1:2], headers)
        paid = await apps.database.fetchval("SELECT payment_id FROM payments WHERE order_id = $1", other)
        for payment in (str(paid), str(uuid4())):
            answer = await self.confirm(apps, booking, headers, paymentId=payment)
            problem(answer, 409, "sales.wrong_payment")
        assert (await apps.bookings.get(f"/bookings/{booking}", headers=headers)).json()["status"] == "HELD"
        again = await self.confirm(apps, other, headers, paymentId=str(paid))
        assert (again.status_code, again.json()["status"]) == (200, "CONFIRMED")
        assert (await self.confirm(apps, other, headers, paymentId=str(paid))).content == again.content

    async def test_anothers_booking_is_not_there(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1, price=0)
        booking = (await reserve(apps, apps.buyer()[1], ticketIds=seats)).json()["bookingId"]
        problem(await self.confirm(apps, booking, apps.buyer()[1]), 404, "sales.booking_not_found")


class TestCancel:
    async def cancel(self, apps: Apps, booking: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await apps.bookings.post(f"/bookings/{booking}/cancel", json=body, headers=headers)

    async def test_some_tickets_then_the_rest(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        _, headers = apps.buyer()
        booking = await bought(apps, seats, headers)
        some = await self.cancel(apps, booking, headers, ticketIds=seats[:1])
        assert some.status_code == 200, some.text
        assert [ticket["ticketStatus"] for ticket in some.json()["tickets"]] == ["VOID", "VALID", "VALID"]
        assert some.json()["status"] == "CONFIRMED"
        rest = await self.cancel(apps, booking, headers)
        assert (rest.json()["status"], rest.json()["cancellable"]) == ("CANCELLED", False)
        assert await apps.database.fetchval("SELECT sum(refund_minor)::int FROM refunds") == 15000
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'free'") == 3
        assert await apps.database.fetchval("SELECT n FROM customer_limits") == 0
        problem(await self.cancel(apps, booking, headers), 409, "sales.wrong_booking_state")

    async def test_follows_the_policy_that_was_shown(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 2)
        await apps.database.fetch("UPDATE event_terms SET refund_percent = 33")
        _, headers = apps.buyer()
        booking = await bought(apps, seats, headers)
        await apps.database.fetch("UPDATE event_terms SET refund_percent = 0")
        answer = await self.cancel(apps, booking, headers, ticketIds=seats[:1])
        assert answer.json()["refundPolicy"]["refundPercent"] == 33
        assert await apps.database.fetchval("SELECT sum(refund_minor)::int FROM refunds") == 1650

    async def test_too_late_for_its_owner_but_not_for_the_organiser(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        _, headers = apps.buyer()
        booking = await bought(apps, seats, headers)
        await apps.database.fetch("UPDATE orders SET cancel_until = clock_timestamp(), refund_percent = 50")
        problem(await self.cancel(apps, booking, headers), 409, "sales.too_late_to_cancel")
        problem(await self.cancel(apps, booking, apps.organiser(uuid4())), 404, "sales.booking_not_found")
        assert (await self.cancel(apps, booking, apps.organiser())).status_code == 200
        assert await apps.database.fetchval("SELECT sum(refund_minor)::int FROM refunds") == 5000

    async def test_a_free_order_without_refund(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1, price=0)
        _, headers = apps.buyer()
        booking = (await reserve(apps, headers, ticketIds=seats)).json()["bookingId"]
        await apps.bookings.put(f"/bookings/confirm/{booking}", json={}, headers=headers)
        assert (await self.cancel(apps, booking, headers)).json()["status"] == "CANCELLED"
        assert await apps.database.fetchval("SELECT count(*) FROM refunds") == 0

    async def test_refuses_tickets_of_others_and_holds(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 3)
        _, headers = apps.buyer()
        booking = await bought(apps, seats[:1], headers)
        for foreign in (seats[1], str(uuid4())):
            problem(await self.cancel(apps, booking, headers, ticketIds=[foreign]), 404, "sales.ticket_not_found")
        held = (await reserve(apps, headers, ticketIds=seats[2:])).json()["bookingId"]
        problem(await self.cancel(apps, held, headers), 409, "sales.wrong_booking_state")

    async def test_a_repeat_with_the_same_key(self, apps: Apps) -> None:
        seats = await put_on_sale(apps.database, 1)
        _, headers = apps.buyer()
        booking = await bought(apps, seats, headers)
        keyed = {**headers, "Idempotency-Key": "c"}
        first = await self.cancel(apps, booking, keyed)
        again = await self.cancel(apps, booking, keyed)
        assert (again.status_code, again.content) == (200, first.content)


class TestOpenApi:
    async def test_every_process_describes_itself(self, apps: Apps) -> None:
        for client, path in (
            (apps.tickets, "/api/v1/events/{event_id}/availability"),
            (apps.bookings, "/api/v1/bookings/reserve"),
            (apps.payments, "/api/v1/payments/create"),
        ):
            document = (await client.get("http://test/openapi/openapi.json")).json()
            assert path in document["paths"]
