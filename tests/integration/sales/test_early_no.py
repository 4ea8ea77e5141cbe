"""The early no: what a fresh picture shows as taken never reaches the sale, and nothing else is refused by it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import msgspec
import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from tests.integration.sales.test_houses import NOWHERE, a_process
from tests.support.live import eventually
from tests.support.sales import EVENT, hold, put_on_sale, run_out

from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.domain.refusals import BadSelectionError, SeatsTakenError
from boxoffice.services.sales.usecases import refuse_hopeless
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.place_hold import Wish
from boxoffice.services.sales.usecases.refuse_hopeless import EarlyNo
from boxoffice.services.sales.usecases.release_order import give_back_hold


class CountingDesk:
    """The desk, and how many requests reached it."""

    def __init__(self, desk: HoldDesk) -> None:
        self.desk = desk
        self.reached = 0

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        self.reached += 1
        return await self.desk.place(wish, call)

    def stand_in_line(
        self, wish: Wish, call: IdempotentCall | None, when_taken: Callable[[EventId], None] | None = None
    ) -> "asyncio.Future[bytes]":
        self.reached += 1
        return self.desk.stand_in_line(wish, call, when_taken)


class Door:
    """A bookings process: its houses, its desk, and the early no before it."""

    def __init__(self, database: Database, houses: Houses, desk: HoldDesk) -> None:
        self.database = database
        self.houses = houses
        self.desk = CountingDesk(desk)
        self.early_no = EarlyNo(self.desk, houses, database)

    async def ask(self, *seats: SeatId, user_id: UserId | None = None, key: str | None = None) -> bytes:
        """Ask for seats."""
        wish = Wish(user_id=user_id or UserId(uuid4()), event_id=EVENT, seat_ids=seats)
        call = IdempotentCall.of(
            principal=wish.user_id, key=key, route="POST /bookings/reserve", body=repr(seats).encode()
        )
        return await self.early_no.place(wish, call)

    async def shows(self, free: int) -> None:
        """Wait until the shared picture shows so many free seats."""
        kept = await self.houses.look(EVENT)

        def shown() -> bool:
            if kept.house is not None and kept.house.free == free and kept.is_shared:
                return True
            self.houses.glance(EVENT)  # somebody keeps looking
            self.houses.touch(EVENT)  # a slow machine's Valkey may have been taken for away
            return False

        await eventually(shown)


LIMIT_S = refuse_hopeless.MOST_S
TRIED_S = 5.0
"""The limit's size in the test of the limit: a busy machine may need two seconds to free a seat."""
PAUSED_MS = 5_000
LONG_S = 60.0
"""A busy machine stands still for seconds: pictures count as fresh for longer, but where that is what is tested."""


@pytest.fixture
async def door(
    sales_url: str, redis_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    monkeypatch.setattr(refuse_hopeless, "MOST_S", LONG_S)
    async with a_process(sales_url, redis_url) as houses, HoldDesk.open(database) as desk:
        yield Door(database, houses, desk)


async def taken(door: Door, seats: list[SeatId]) -> OrderId:
    """Have somebody hold seats, and the picture show it."""
    order_id, _ = await hold(door.database, seats)
    await door.houses.tell([EVENT])
    await door.shows(20 - len(seats))
    return order_id


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("boxoffice_early_no_total", {"outcome": outcome}) or 0


class TestEarlyNo:
    async def test_refuses_what_the_picture_shows_as_taken_before_the_desk(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        await taken(door, seats[3:5])
        before = counted("refused")
        with pytest.raises(SeatsTakenError):
            await door.ask(*seats[2:5])
        assert door.desk.reached == 0
        assert counted("refused") - before == 1

    async def test_says_it_in_the_desks_own_words(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        await taken(door, seats[3:5])
        with pytest.raises(SeatsTakenError) as early:
            await door.ask(*seats[2:5])
        wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats[2:5]))
        with pytest.raises(SeatsTakenError) as late:
            await door.desk.desk.place(wish)
        assert (early.value.detail, early.value.context) == (late.value.detail, late.value.context)
        assert [seat["ticketId"] for seat in early.value.context["taken"]] == seats[3:5]  # type: ignore[attr-defined, index] # typed as an object

    async def test_never_says_yes(self, door: Door) -> None:
        """A picture that shows a seat as free, while it is held, sends the request to the desk, which refuses it."""
        seats = await put_on_sale(door.database, 20)
        await door.shows(20)
        await hold(door.database, seats[:1])  # nobody tells
        with pytest.raises(SeatsTakenError):
            await door.ask(seats[0])
        assert door.desk.reached == 1

    async def test_refuses_what_cannot_be_meant_first(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        await taken(door, seats[:1])
        with pytest.raises(BadSelectionError):
            await door.ask(seats[0], seats[0])

    async def test_follows_an_event_only_while_it_is_contested(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        for seat in seats[:5]:
            await door.ask(seat)
        kept = door.houses._kept[EVENT]
        assert kept.house is None, "a sale without losers reads no house"
        for seat in seats[:4]:
            with pytest.raises(SeatsTakenError):
                await door.ask(seat)
        await eventually(lambda: kept.house is not None)
        reached = door.desk.reached
        with pytest.raises(SeatsTakenError):
            await door.ask(seats[0])
        assert door.desk.reached == reached


class TestRepeat:
    async def test_of_a_call_that_succeeded_gets_its_answer_byte_for_byte(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        user_id = UserId(uuid4())
        first = await door.ask(*seats[:2], user_id=user_id, key="one")
        await door.houses.tell([EVENT])
        await door.shows(18)
        before = counted("let_through")
        assert await door.ask(*seats[:2], user_id=user_id, key="one") == first
        assert counted("let_through") - before == 1

    async def test_gets_it_even_when_somebody_else_has_the_seats_by_now(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        user_id = UserId(uuid4())
        first = await door.ask(seats[0], user_id=user_id, key="one")
        await run_out(door.database, OrderId(msgspec.json.decode(first)["bookingId"]))
        await taken(door, seats[:1])
        assert await door.ask(seats[0], user_id=user_id, key="one") == first

    async def test_a_new_key_of_the_same_customer_is_refused(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        user_id = UserId(uuid4())
        await door.ask(seats[0], user_id=user_id, key="one")
        await door.houses.tell([EVENT])
        await door.shows(19)
        reached = door.desk.reached
        with pytest.raises(SeatsTakenError):
            await door.ask(seats[0], user_id=user_id, key="two")
        with pytest.raises(SeatsTakenError):
            await door.ask(seats[0], key="one")  # another customer's key of that name
        assert door.desk.reached == reached

    async def test_keys_are_looked_up_together(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        await taken(door, seats[:1])
        answers = await asyncio.gather(
            *(door.ask(seats[0], key=f"key {number}") for number in range(100)), return_exceptions=True
        )
        assert all(isinstance(answer, SeatsTakenError) for answer in answers)
        assert door.desk.reached == 0


class TestNeverForLong:
    async def test_a_free_seat_is_refused_for_two_seconds_at_most(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody tells that the seat came back, and nobody reads the house again."""
        monkeypatch.setattr(refuse_hopeless, "REFUSALS", 1_000_000)
        monkeypatch.setattr(refuse_hopeless, "MOST_S", TRIED_S)
        seats = await put_on_sale(door.database, 20)
        order_id = await taken(door, seats[:1])
        kept = door.houses._kept[EVENT]
        kept.hush()
        kept.wanted_at = float("-inf")
        read_at = kept.read_at
        async with door.database.transaction() as tx:
            owner = await tx.fetchval("SELECT user_id FROM orders WHERE order_id = $1", order_id)
            await give_back_hold(tx, order_id=order_id, user_id=owner)
        refused: list[float] = []
        while True:
            asked_at = time.monotonic()
            try:
                await door.ask(seats[0])
                break
            except SeatsTakenError:
                refused.append(asked_at)
                await asyncio.sleep(0.02)
        assert kept.read_at == read_at
        assert door.desk.reached == 1, "every refusal was an early no"
        assert refused, "the picture was old"
        assert max(refused) <= read_at + TRIED_S
        assert LIMIT_S == 2

    async def test_a_seat_that_comes_back_is_sold_as_soon_as_it_is_told(self, door: Door) -> None:
        seats = await put_on_sale(door.database, 20)
        order_id = await taken(door, seats[:1])
        await run_out(door.database, order_id)
        await door.houses.tell([EVENT])
        await door.shows(20)
        await door.ask(seats[0])
        assert door.desk.reached == 1


class TestWithoutValkey:
    async def test_every_request_goes_to_the_desk(self, sales_url: str, database: Database) -> None:
        async with a_process(sales_url, NOWHERE, hears=False) as houses, HoldDesk.open(database) as desk:
            door = Door(database, houses, desk)
            seats = await put_on_sale(database, 20)
            await hold(database, seats[:1])
            await houses.look(EVENT)
            for number in range(1, 8):
                with pytest.raises(SeatsTakenError):
                    await door.ask(seats[0])
                assert door.desk.reached == number

    async def test_the_sale_goes_on_while_the_server_is_emptied_and_hangs(self, door: Door, redis_url: str) -> None:
        seats = await put_on_sale(door.database, 20)
        await taken(door, seats[:2])
        async with Redis.from_url(redis_url) as redis:
            for seat in seats[2:8]:
                await redis.flushall()
                await door.ask(seat)
                with pytest.raises(SeatsTakenError):
                    await door.ask(seat)
            await redis.client_pause(PAUSED_MS)
            began = time.monotonic()
            for seat in seats[8:12]:
                await door.ask(seat)
                with pytest.raises(SeatsTakenError):
                    await door.ask(seat)
            assert time.monotonic() - began < PAUSED_MS / 1000 - 0.1, "nobody waits for Valkey"
