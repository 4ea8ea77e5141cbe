"""Holds on the real database: all or nothing, in one call, with every refusal named."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from tests.support.sales import EVENT, hold, put_on_sale, run_out

from boxoffice.contracts.messages.sales import OrderFact
from boxoffice.kernel.ids import EventId, UserId, seat_id
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall, KeyReusedError
from boxoffice.services.sales.domain.refusals import (
    EventNotFoundError,
    LimitReachedError,
    NotOnSaleError,
    SaleHaltedError,
    SeatsTakenError,
    SeatsUnknownError,
)
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold


def wish(seats: list[int], user_id: UserId | None = None) -> Wish:
    return Wish(user_id=user_id or UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))


class TestPlaceHold:
    async def test_answers_with_seats_prices_and_time(self, database: Database) -> None:
        seats = await put_on_sale(database)
        answer = msgspec.json.decode(await place_hold(database, wish([seats[3], seats[1]])))
        assert [item["ticketId"] for item in answer["reservedTickets"]] == [seats[1], seats[3]]
        assert answer["reservedTickets"][0] == {
            "ticketId": seats[1], "section": "Stalls", "row": "1", "number": "2", "price": "50.00", "currency": "USD",
            "priceLevel": "Full", "status": "HELD", "mark": None, "notice": None,
        }  # fmt: skip
        assert (answer["total"], answer["currency"], answer["expiresInSeconds"]) == ("100.00", "USD", 1200)
        left = datetime.fromisoformat(answer["expiresAt"]) - datetime.now(UTC)
        assert timedelta(minutes=19) < left <= timedelta(minutes=20)

    async def test_tells_the_hold_in_a_message(self, database: Database) -> None:
        seats = await put_on_sale(database)
        order_id, user_id = await hold(database, seats[:2])
        told = await database.fetchrow("SELECT key, version, body::text FROM outbox WHERE type = 'sales.order.held'")
        assert told is not None
        fact = msgspec.json.decode(told["body"], type=OrderFact)
        assert (told["key"], told["version"], fact.order_id, fact.user_id) == (str(order_id), 0, order_id, user_id)
        assert [ticket.seat_id for ticket in fact.tickets] == seats[:2]
        assert (fact.total, fact.state, fact.event.venue_name) == ("100.00", "held", "City Hall")

    async def test_refuses_a_seat_that_is_held_and_names_it(self, database: Database) -> None:
        seats = await put_on_sale(database)
        await hold(database, seats[:2])
        with pytest.raises(SeatsTakenError) as refusal:
            await place_hold(database, wish(seats[1:4]))
        assert refusal.value.context["taken"] == [
            {"ticketId": seats[1], "section": "Stalls", "row": "1", "number": "2"}
        ]
        free = "SELECT count(*) FROM event_seats WHERE state = 'free'"
        assert await database.fetchval(free) == 18  # all or nothing: the other two stayed free

    async def test_a_refusal_leaves_no_trace(self, database: Database) -> None:
        seats = await put_on_sale(database)
        await hold(database, seats[:1])
        user = UserId(uuid4())
        call = IdempotentCall.of(principal=user, key="k", route="reserve", body=b"{}")
        with pytest.raises(SeatsTakenError):
            await place_hold(database, wish(seats[:2], user), call)
        for table in ("orders", "outbox", "customer_limits"):
            assert await database.fetchval(f"SELECT count(*) FROM {table}") == 1  # noqa: S608 - a name of ours
        assert await database.fetchval("SELECT count(*) FROM idempotency_keys") == 0

    async def test_refuses_seats_of_another_event(self, database: Database) -> None:
        await put_on_sale(database)
        with pytest.raises(SeatsUnknownError):
            await place_hold(database, wish([seat_id(EventId(8), 0)]))

    async def test_refuses_seats_that_do_not_exist_and_names_them(self, database: Database) -> None:
        seats = await put_on_sale(database)
        unknown = seat_id(EVENT, 999)
        with pytest.raises(SeatsUnknownError) as refusal:
            await place_hold(database, wish([seats[0], unknown]))
        assert refusal.value.context["ticketIds"] == [unknown]

    async def test_knows_no_such_event(self, database: Database) -> None:
        with pytest.raises(EventNotFoundError):
            await place_hold(database, Wish(user_id=UserId(uuid4()), event_id=EventId(99), quantity=1))

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"status": "draft"}, EventNotFoundError),
            ({"status": "cancelled"}, NotOnSaleError),
            ({"on_sale_at": datetime.now(UTC) + timedelta(hours=1)}, NotOnSaleError),
            ({"off_sale_at": datetime.now(UTC) - timedelta(hours=1)}, NotOnSaleError),
            ({"starts_at": datetime.now(UTC) - timedelta(hours=1)}, NotOnSaleError),
        ],
    )
    async def test_sells_only_while_on_sale(
        self, database: Database, changes: dict[str, object], refusal: type[Exception]
    ) -> None:
        seats = await put_on_sale(database, **changes)
        with pytest.raises(refusal):
            await place_hold(database, wish(seats[:1]))

    async def test_stops_when_the_sale_is_halted(self, database: Database) -> None:
        seats = await put_on_sale(database)
        await database.fetch("UPDATE event_terms SET halted_because = 'I1'")
        with pytest.raises(SaleHaltedError):
            await place_hold(database, wish(seats[:1]))

    async def test_keeps_the_limit_over_several_holds(self, database: Database) -> None:
        seats = await put_on_sale(database, limit_per_customer=4)
        user = UserId(uuid4())
        await hold(database, seats[:3], user)
        with pytest.raises(LimitReachedError) as refusal:
            await hold(database, seats[3:5], user)
        assert refusal.value.context == {"limitPerCustomer": 4, "requested": 2, "alreadyHeldOrBought": 3}
        await hold(database, seats[3:4], user)

    async def test_refuses_more_than_the_limit_at_once(self, database: Database) -> None:
        seats = await put_on_sale(database, limit_per_customer=2)
        with pytest.raises(LimitReachedError):
            await hold(database, seats[:3])

    async def test_own_holds_that_ran_out_do_not_count(self, database: Database) -> None:
        seats = await put_on_sale(database, limit_per_customer=2)
        user = UserId(uuid4())
        order_id, _ = await hold(database, seats[:2], user)
        await run_out(database, order_id)
        await hold(database, seats[2:4], user)

    async def test_takes_over_a_hold_that_ran_out_without_any_sweeper(self, database: Database) -> None:
        seats = await put_on_sale(database)
        first, _ = await hold(database, seats[:2])
        await run_out(database, first)
        second, _ = await hold(database, seats[1:3])
        owners = await database.fetch("SELECT order_id FROM event_seats WHERE state = 'held' ORDER BY seat_id")
        assert [record["order_id"] for record in owners] == [first, second, second]
        assert await expire_holds(database) == 1
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE state = 'held'") == 2


class TestIdempotency:
    async def test_a_repeat_gets_the_same_bytes_and_has_no_effect(self, database: Database) -> None:
        seats = await put_on_sale(database)
        user = UserId(uuid4())
        call = IdempotentCall.of(principal=user, key="k", route="reserve", body=b"{}")
        first = await place_hold(database, wish(seats[:2], user), call)
        assert await place_hold(database, wish(seats[:2], user), call) == first
        assert await database.fetchval("SELECT count(*) FROM orders") == 1

    async def test_a_key_with_another_body_is_refused(self, database: Database) -> None:
        seats = await put_on_sale(database)
        user = UserId(uuid4())
        await place_hold(
            database, wish(seats[:2], user), IdempotentCall.of(principal=user, key="k", route="reserve", body=b"1")
        )
        with pytest.raises(KeyReusedError):
            await place_hold(
                database, wish(seats[2:4], user), IdempotentCall.of(principal=user, key="k", route="reserve", body=b"2")
            )


class TestExpireHolds:
    async def test_frees_seats_and_limit_and_tells_it_once(self, database: Database) -> None:
        seats = await put_on_sale(database)
        order_id, user = await hold(database, seats[:2])
        assert await expire_holds(database) == 0
        await run_out(database, order_id)
        assert await expire_holds(database) == 1
        assert await expire_holds(database) == 0
        assert await database.fetchval("SELECT n FROM customer_limits WHERE user_id = $1", user) == 0
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE state <> 'free'") == 0
        told = await database.fetchrow("SELECT body::text, version FROM outbox WHERE type = 'sales.order.released'")
        assert told is not None
        fact = msgspec.json.decode(told["body"], type=OrderFact)
        assert (fact.state, fact.reason, len(fact.tickets), told["version"]) == ("released", "expired", 2, 1)
