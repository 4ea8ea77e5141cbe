"""Holds that arrive together: decided in one transaction, each on its own, with the answers of the plain call."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest
from tests.support.sales import EVENT, hold, put_on_sale, run_out

from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall, KeyReusedError
from boxoffice.runtime.telemetry import HOLDS_TOGETHER
from boxoffice.services.sales.domain.refusals import (
    HoldBudgetSpentError,
    LimitReachedError,
    NotOnSaleError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
    SingleSeatLeftError,
)
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

Outcome = bytes | BaseException


def wish(*seats: int, user_id: UserId | None = None, event_id: EventId = EVENT) -> Wish:
    return Wish(user_id=user_id or UserId(uuid4()), event_id=event_id, seat_ids=tuple(SeatId(seat) for seat in seats))


def called(one: Wish, key: str, body: bytes = b"{}") -> IdempotentCall | None:
    return IdempotentCall.of(principal=one.user_id, key=key, route="reserve", body=body)


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[HoldDesk]:
    async with HoldDesk.open(database) as opened:
        yield opened


async def together(desk: HoldDesk, *wishes: Wish | tuple[Wish, IdempotentCall | None]) -> list[Outcome]:
    """Send them at once; a first lone request keeps one lane busy, so the others gather."""
    calls = [one if isinstance(one, tuple) else (one, None) for one in wishes]
    return await asyncio.gather(*(desk.place(*call) for call in calls), return_exceptions=True)


def calls() -> float:
    """How often a desk of this process went to the database."""
    return sum(sample.value for sample in HOLDS_TOGETHER.collect()[0].samples if sample.name.endswith("_count"))


class TestHoldDesk:
    async def test_decides_what_waits_in_few_calls(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database, 40)
        before = calls()
        answers = await together(desk, *(wish(seat) for seat in seats))
        assert all(isinstance(answer, bytes) for answer in answers)
        assert calls() - before <= 3
        assert await database.fetchval("SELECT count(*) FROM orders") == 40
        assert await database.fetchval("SELECT count(*) FROM outbox WHERE type = 'sales.order.held'") == 40

    async def test_answers_as_the_plain_call_does(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        gathered, _ = await together(desk, wish(seats[3], seats[1]), wish(seats[5]))
        plain = await place_hold(database, wish(seats[8], seats[6]))
        assert isinstance(gathered, bytes)
        ours, theirs = msgspec.json.decode(gathered), msgspec.json.decode(plain)
        assert list(ours) == list(theirs)
        assert list(ours["reservedTickets"][0]) == list(theirs["reservedTickets"][0])
        assert [seat["ticketId"] for seat in ours["reservedTickets"]] == [seats[1], seats[3]]
        assert (ours["total"], ours["expiresInSeconds"]) == (theirs["total"], theirs["expiresInSeconds"])
        records = await database.fetch(
            "SELECT state, n_seats, price_minors, total_minor, currency, refund_percent, version FROM orders"
            " WHERE n_seats = 2"
        )
        assert records[0] == records[1]
        bodies = await database.fetch(
            "SELECT body, version, type FROM outbox ORDER BY jsonb_array_length(body->'tickets')"
        )
        assert set(bodies[1]["body"]) == set(bodies[2]["body"])

    async def test_one_refusal_undoes_nothing_of_its_neighbours(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        await hold(database, seats[:1])
        greedy = UserId(uuid4())
        await hold(database, seats[1:8], greedy)
        outcomes = await together(
            desk, wish(seats[0], seats[10]), wish(seats[9]), wish(seats[11], 1 << 60 | 1),
            wish(seats[12], seats[13], user_id=greedy), wish(seats[14]),
        )  # fmt: skip
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [SeatsTakenError, bytes, SeatsUnknownError, LimitReachedError, bytes]
        assert isinstance(outcomes[0], SeatsTakenError)
        assert outcomes[0].context["taken"] == [{"ticketId": seats[0], "section": "Stalls", "row": "1", "number": "1"}]
        free = await database.fetch("SELECT seat_id FROM event_seats WHERE state = 'free' ORDER BY seat_id")
        assert {record["seat_id"] for record in free} == {seats[8], *seats[10:14], *seats[15:]}

    async def test_of_many_who_want_one_seat_the_first_gets_it(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database, 3)
        before = calls()
        outcomes = await together(desk, *(wish(seats[0], seats[1 + number % 2]) for number in range(60)))
        assert isinstance(outcomes[0], bytes)
        assert sum(isinstance(outcome, SeatsTakenError) for outcome in outcomes) == 59
        assert calls() - before <= 12, "the losers hear it together"

    async def test_a_seat_that_was_tried_for_a_loser_goes_to_the_next(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database, 4)
        await hold(database, seats[3:])
        outcomes = await together(desk, wish(seats[0], seats[3]), wish(seats[0]), wish(seats[1]))
        assert [type(outcome) for outcome in outcomes] == [SeatsTakenError, bytes, bytes]

    async def test_a_repeat_gets_the_same_bytes(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        one, other = wish(seats[0]), wish(seats[4])
        first = await together(desk, (one, called(one, "k")), (one, called(one, "k")), (other, called(other, "k")))
        again = await together(desk, (other, called(other, "k")), (one, called(one, "k")), wish(seats[6]))
        assert first[0] == first[1] == again[1]
        assert first[2] == again[0]
        assert await database.fetchval("SELECT count(*) FROM orders") == 3

    async def test_a_key_with_another_body_is_refused(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        one = wish(seats[0])
        outcomes = await together(desk, (one, called(one, "k")), (one, called(one, "k", b"other")), wish(seats[3]))
        assert [type(outcome) for outcome in outcomes] == [bytes, KeyReusedError, bytes]

    async def test_takes_over_holds_that_ran_out(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        order_id, _ = await hold(database, seats[:2])
        await run_out(database, order_id)
        outcomes = await together(desk, wish(seats[0]), wish(seats[1]), wish(seats[2]))
        assert all(isinstance(outcome, bytes) for outcome in outcomes)
        assert await database.fetchval("SELECT max(fence) FROM event_seats") == 2

    async def test_a_closed_sale_is_refused_in_its_own_words(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        others = await put_on_sale(database, event_id=8)
        await database.fetch("UPDATE event_terms SET halted_because = 'a check' WHERE event_id = 7")
        await database.fetch("UPDATE event_terms SET status = 'cancelled' WHERE event_id = 8")
        open_seats = await put_on_sale(database, event_id=9)
        outcomes = await together(
            desk, wish(seats[0]), wish(others[0], event_id=EventId(8)), wish(open_seats[0], event_id=EventId(9))
        )
        assert [type(outcome) for outcome in outcomes] == [SaleHaltedError, NotOnSaleError, bytes]

    async def test_the_clock_starts_at_the_first_seat(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database)
        user = UserId(uuid4())
        first, *_ = await together(desk, wish(seats[0], user_id=user), wish(seats[9]))
        second, *_ = await together(desk, wish(seats[1], user_id=user), wish(seats[8]))
        assert isinstance(first, bytes)
        assert isinstance(second, bytes)
        assert msgspec.json.decode(first)["expiresAt"] == msgspec.json.decode(second)["expiresAt"]

    async def test_the_hold_budget_ends(self, desk: HoldDesk, database: Database) -> None:
        seats = await put_on_sale(database, limit_per_customer=2)
        user = UserId(uuid4())
        for _ in range(3):
            answer, *_ = await together(desk, wish(*seats[:2], user_id=user), wish(seats[5]))
            assert isinstance(answer, bytes)
            await run_out(database, msgspec.json.decode(answer)["bookingId"])
            await database.fetch("SELECT expire_holds(NULL, NULL, 10, NULL)")
        refusal, *_ = await together(desk, wish(*seats[:2], user_id=user), wish(seats[6]))
        assert isinstance(refusal, HoldBudgetSpentError)
        assert refusal.context == {"seatMinutes": 120, "spentSeatMinutes": 120}


class TestSingleSeats:
    @pytest.fixture
    async def row(self, database: Database) -> list[SeatId]:
        """Ten seats in one row of an event that keeps no single seats."""
        seats = await put_on_sale(database, 10)
        await database.fetch("UPDATE event_terms SET no_orphans = true")
        return seats

    async def test_a_seat_is_not_left_alone(self, desk: HoldDesk, row: list[SeatId]) -> None:
        outcomes = await together(desk, wish(row[1], row[2]), wish(row[9]))
        assert [type(outcome) for outcome in outcomes] == [SingleSeatLeftError, bytes]
        assert isinstance(outcomes[0], SingleSeatLeftError)
        assert outcomes[0].context["single"] == [{"ticketId": row[0], "section": "Stalls", "row": "1", "number": "1"}]

    async def test_nor_by_two_together(self, desk: HoldDesk, row: list[SeatId]) -> None:
        outcomes = await together(desk, wish(row[0], row[1]), wish(row[3], row[4]))
        assert [type(outcome) for outcome in outcomes] == [bytes, SingleSeatLeftError]

    async def test_but_where_every_choice_would(self, desk: HoldDesk, database: Database, row: list[SeatId]) -> None:
        await hold(database, row[3:])
        outcomes = await together(desk, wish(row[1], row[2]))
        assert isinstance(outcomes[0], bytes)
