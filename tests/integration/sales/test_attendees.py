"""Naming who comes: on the ticket and its PDF, for nobody else's eyes, and gone when they should be."""

import io
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pypdf import PdfReader
from tests.support.sales import buy, hold, put_on_sale
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import OrderId, SeatId, TicketId, UserId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store.attendees import Attendee
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.erase_customer import erase_customer

CANARY = "Zoë Kanarienvogel"
ADDRESS = "kanarienvogel@example.org"


async def name(apps: Apps, user: UserId, order: OrderId, *attendees: dict[str, Any]) -> httpx.Response:
    return await apps.bookings.patch(
        f"/bookings/{order}/attendees", json={"attendees": list(attendees)}, headers=apps.buyer(user)[1]
    )


async def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def kept(database: Database) -> list[tuple[str, str | None]]:
    found = await database.fetch("SELECT name, email FROM ticket_attendees ORDER BY name")
    return [(record["name"], record["email"]) for record in found]


@pytest.fixture
async def bought(apps: Apps) -> tuple[list[SeatId], OrderId, UserId]:
    seats = await put_on_sale(apps.database, 10)
    order, owner, _ = await buy(apps.database, seats[:2])
    return seats, order, owner


Bought = tuple[list[SeatId], OrderId, UserId]


class TestNaming:
    async def test_shows_who_comes_on_the_booking_and_the_pdf(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        answer = await name(apps, owner, order, {"ticketId": seats[0], "name": f" {CANARY} ", "email": ADDRESS})
        assert answer.status_code == 200, answer.text
        first, second = answer.json()["tickets"]
        assert (first["attendeeName"], first["attendeeEmail"]) == (CANARY, ADDRESS)
        assert (second["attendeeName"], second["attendeeEmail"]) == (None, None)
        headers = apps.buyer(owner)[1]
        for path in (f"/tickets/{first['issuedTicketId']}.pdf", f"/bookings/{order}/tickets.pdf"):
            pdf = (await apps.tickets.get(path, headers=headers)).content
            assert CANARY in " ".join(PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())

    async def test_changes_and_takes_back_single_names(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        await name(apps, owner, order, {"ticketId": seats[0], "name": "A"}, {"ticketId": seats[1], "name": "B"})
        await name(apps, owner, order, {"ticketId": seats[0], "name": "C", "email": ADDRESS})
        assert await kept(apps.database) == [("B", None), ("C", ADDRESS)]
        assert (await name(apps, owner, order, {"ticketId": seats[1]})).status_code == 200
        assert await kept(apps.database) == [("C", ADDRESS)]

    async def test_never_travels(self, apps: Apps, bought: Bought, capsys: pytest.CaptureFixture[str]) -> None:
        seats, order, owner = bought
        await name(apps, owner, order, {"ticketId": seats[0], "name": CANARY, "email": ADDRESS})
        async with apps.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[seats[1]])
        told = "".join(record["body"] for record in await apps.database.fetch("SELECT body::text FROM outbox"))
        assert told
        printed = capsys.readouterr()
        for word in ("Kanarienvogel", "kanarienvogel"):
            assert word not in told
            assert word not in printed.out + printed.err

    async def test_is_the_owners_alone(self, apps: Apps, bought: Bought) -> None:
        seats, order, _ = bought
        wish = {"attendees": [{"ticketId": seats[0], "name": "X"}]}
        for headers in (apps.buyer()[1], apps.organiser()):
            answer = await apps.bookings.patch(f"/bookings/{order}/attendees", json=wish, headers=headers)
            assert await code(answer) == (404, "sales.booking_not_found")
        assert (await apps.bookings.patch(f"/bookings/{order}/attendees", json=wish)).status_code == 401
        assert await kept(apps.database) == []

    @pytest.mark.parametrize(
        ("attendee", "status", "refusal"),
        [
            ({"name": ""}, 422, "sales.bad_attendee"),
            ({"name": "x" * 201}, 422, "sales.bad_attendee"),
            ({"name": "a\x07b"}, 422, "sales.bad_attendee"),
            ({"name": "A", "email": "nowhere"}, 422, "sales.bad_attendee"),
            ({"email": ADDRESS}, 422, "sales.bad_attendee"),
            ({"name": "A", "age": 7}, 422, "request.invalid"),
            ({"name": "x" * 1001}, 422, "request.invalid"),
        ],
    )
    async def test_refuses_what_is_no_name(
        self, apps: Apps, bought: Bought, attendee: dict[str, Any], status: int, refusal: str
    ) -> None:
        seats, order, owner = bought
        good = {"ticketId": seats[1], "name": "Fine"}
        answer = await name(apps, owner, order, good, {"ticketId": seats[0], **attendee})
        assert await code(answer) == (status, refusal)
        assert await kept(apps.database) == []

    async def test_refuses_tickets_that_cannot_be_named(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        issued = (await apps.bookings.get(f"/bookings/{order}", headers=apps.buyer(owner)[1])).json()["tickets"][0]
        for ids, expected in (
            ([seats[5]], (404, "sales.ticket_not_found")),
            ([str(uuid4())], (404, "sales.ticket_not_found")),
            ([seats[0], seats[0]], (422, "sales.bad_attendee")),
            ([seats[0], issued["issuedTicketId"]], (422, "sales.bad_attendee")),
        ):
            wish = [{"ticketId": ticket, "name": "A"} for ticket in ids]
            assert await code(await name(apps, owner, order, *wish)) == expected
        held, holder = await hold(apps.database, [seats[4]])
        refused = await name(apps, holder, held, {"ticketId": seats[4], "name": "A"})
        assert await code(refused) == (409, "sales.wrong_booking_state")

    async def test_ends_an_hour_before_the_start(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        wish = {"ticketId": seats[0], "name": "A"}
        await apps.database.fetch("UPDATE event_terms SET starts_at = clock_timestamp() + interval '61 min'")
        assert (await name(apps, owner, order, wish)).status_code == 200
        await apps.database.fetch("UPDATE event_terms SET starts_at = clock_timestamp() + interval '59 min'")
        assert await code(await name(apps, owner, order, wish)) == (409, "sales.too_late_to_name")


class TestEnding:
    async def test_a_name_moves_along_when_seats_are_exchanged(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        await name(apps, owner, order, {"ticketId": seats[0], "name": "A"}, {"ticketId": seats[1], "name": "B"})
        answer = await apps.bookings.post(
            f"/bookings/{order}/exchange",
            json={"give": [seats[1], seats[0]], "take": [seats[7], seats[8]]},
            headers={**apps.buyer(owner)[1], "Idempotency-Key": str(uuid4())},
        )
        assert answer.status_code == 200, answer.text
        named = {ticket["ticketId"]: ticket["attendeeName"] for ticket in answer.json()["tickets"]}
        assert named == {seats[7]: "B", seats[8]: "A"}

    async def test_a_void_ticket_has_no_name_left(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        await name(apps, owner, order, {"ticketId": seats[0], "name": "A"}, {"ticketId": seats[1], "name": "B"})
        async with apps.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[seats[0]])
        assert await kept(apps.database) == [("B", None)]

    async def test_the_owners_erasure_takes_every_name_and_keeps_the_tickets(self, apps: Apps, bought: Bought) -> None:
        seats, order, owner = bought
        other, stranger, _ = await buy(apps.database, seats[3:4])
        await name(apps, owner, order, {"ticketId": seats[0], "name": "A"})
        await name(apps, stranger, other, {"ticketId": seats[3], "name": "S"})
        message = uuid4()
        for _ in range(2):
            await erase_customer(apps.database, message_id=message, user_id=owner)
        assert await kept(apps.database) == [("S", None)]
        assert await apps.database.fetchval("SELECT count(*) FROM tickets WHERE state = 'valid'") == 3


class TestAttendee:
    def test_says_nothing_of_the_person_when_printed(self) -> None:
        assert CANARY not in repr(Attendee(ticket_id=TicketId(uuid4()), name=CANARY))
