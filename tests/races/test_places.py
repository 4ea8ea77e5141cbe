"""1,000 clients want 100 places of general admission: exactly 100 are sold, never one more, and not one less (I17).

Opens with the controls: with the guard off the same crowd oversells.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import msgspec
import pytest
from tests.support.audit import assert_clean
from tests.support.sales import EVENT, SIGNER, put_areas_on_sale, run_out, start_payment

from boxoffice.kernel.ids import OrderId, UserId, seat_id
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.services.sales.domain.refusals import LimitReachedError, NotEnoughSeatsError
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import give_back_hold

CLIENTS, PLACES, LIMIT = 1_000, 100, 8
BUSY = (DatabaseBusyError, DatabaseUnavailableError)
Place = Callable[[Wish], Awaitable[bytes]]

READ = "SELECT n_free FROM ga_areas WHERE event_id = $1"
ORDER_AS_READ = """
INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                    hold_expires_at, cancel_until, refund_percent)
SELECT gen_random_uuid(), $1, $2, 'held', 1, ARRAY[$3::bigint], '{0}', 0, 'USD',
       clock_timestamp() + interval '1 hour', clock_timestamp(), 100
"""
WRITE = "UPDATE ga_areas SET free = int4multirange(int4range($2::int, $3::int)), n_free = $3 - $2 WHERE event_id = $1"


@pytest.fixture
async def desks(sales_url: str) -> AsyncIterator[list[HoldDesk]]:
    """Three processes' desks: each with a pool of its own."""
    async with AsyncExitStack() as stack:
        databases = [await stack.enter_async_context(Database.open(sales_url, size=4)) for _ in range(3)]
        yield [await stack.enter_async_context(HoldDesk.open(opened)) for opened in databases]
        await assert_clean(databases[0])


async def patiently(act: Callable[[], Awaitable[bytes]]) -> bytes | None:
    """Try again as a client does when the answer is 503; a refusal ends the trying."""
    for _ in range(60):
        try:
            return await act()
        except NotEnoughSeatsError:
            return None
        except BUSY:
            await asyncio.sleep(0.05)
    raise AssertionError("the database stayed busy")


def order_of(answer: bytes) -> OrderId:
    return OrderId(UUID(msgspec.json.decode(answer)["bookingId"]))


async def sold(database: Database) -> Counter[int]:
    named = await database.fetch(
        "SELECT unnest(seat_ids) AS seat_id FROM orders WHERE state IN ('held', 'paying', 'confirmed')"
    )
    return Counter(record["seat_id"] for record in named)


class TestControl:
    async def test_what_is_read_and_then_written_is_sold_twice(self, unguarded: Database) -> None:
        await put_areas_on_sale(unguarded, {"Standing": PLACES}, price=0)

        async def one() -> None:
            free = await unguarded.fetchval(READ, EVENT)
            if free:
                first = PLACES - free
                await unguarded.fetch(ORDER_AS_READ, EVENT, uuid4(), seat_id(EVENT, first))
                await unguarded.fetch(WRITE, EVENT, first + 1, PLACES)

        await asyncio.gather(*(one() for _ in range(200)))
        assert max((await sold(unguarded)).values()) > 1, "nothing collided: this crowd is no race"
        assert "every_place_is_somewhere" in {finding.name for finding in await audit(unguarded)}

    async def test_a_claim_without_its_lock_sells_twice(self, unguarded: Database) -> None:
        await put_areas_on_sale(unguarded, {"Standing": PLACES})
        source = await unguarded.fetchval("SELECT pg_get_functiondef('claim_places'::regproc)")
        lock, check = "AND area = p_area FOR UPDATE", "ga_free_counted"
        assert lock in source
        await unguarded.fetch(f"ALTER TABLE ga_areas DROP CONSTRAINT {check}")
        await unguarded.fetch(source.replace(lock, "AND area = p_area"))

        async def one() -> bytes:
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=1)
            return await place_hold(unguarded, wish)

        await asyncio.gather(*(patiently(one) for _ in range(200)))
        assert "every_place_is_somewhere" in {finding.name for finding in await audit(unguarded)}


class TestAThousandAgainstAHundred:
    async def crowd(self, places: list[Place], sizes: list[int]) -> list[bytes]:
        async def one(number: int) -> bytes | None:
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=sizes[number])
            return await patiently(lambda: places[number % len(places)](wish))

        answers = await asyncio.gather(*(one(number) for number in range(CLIENTS)))
        return [answer for answer in answers if answer is not None]

    async def test_through_one_desk(self, database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": PLACES})
        async with HoldDesk.open(database) as desk:
            placed = await self.crowd([desk.place], [1] * CLIENTS)
        assert len(placed) == PLACES
        assert set((await sold(database)).values()) == {1}
        assert await database.fetchval(READ, EVENT) == 0

    async def test_through_three_desks_and_the_plain_call_at_once(
        self, desks: list[HoldDesk], database: Database
    ) -> None:
        await put_areas_on_sale(database, {"Standing": PLACES})
        places: list[Place] = [desk.place for desk in desks]
        placed = await self.crowd([*places, lambda wish: place_hold(database, wish)], [1] * CLIENTS)
        assert len(placed) == PLACES
        assert set((await sold(database)).values()) == {1}

    async def test_parties_of_every_size_fill_the_area_to_the_last_place(
        self, desks: list[HoldDesk], database: Database
    ) -> None:
        """A large party that no longer fits does not keep a smaller one from the rest."""
        await put_areas_on_sale(database, {"Standing": PLACES})
        chance = random.Random(4)
        sizes = [chance.randint(1, 5) for _ in range(CLIENTS)]
        placed = await self.crowd([desk.place for desk in desks], sizes)
        assert sum(len(msgspec.json.decode(answer)["reservedTickets"]) for answer in placed) == PLACES
        assert set((await sold(database)).values()) == {1}


class TestChurn:
    """Holds that run out, are given back, paid and cancelled, while others want their places."""

    async def live(self, database: Database, desk: HoldDesk, seed: int) -> int:
        chance, won = random.Random(seed), 0
        for _ in range(12):
            user = UserId(uuid4())
            wish = Wish(user_id=user, event_id=EVENT, quantity=chance.randint(1, 3))
            answer = await patiently(lambda wish=wish: desk.place(wish))  # type: ignore[misc]
            if answer is None:
                await asyncio.sleep(0.01)
                continue
            won += 1
            await self.end(database, order_of(answer), user, chance)
        return won

    async def end(self, database: Database, order_id: OrderId, user: UserId, chance: random.Random) -> None:
        match chance.randrange(4):
            case 0:
                await run_out(database, order_id)
            case 1:
                async with database.transaction() as tx:
                    await give_back_hold(tx, order_id=order_id, user_id=user)
            case 2:
                payment = await start_payment(database, order_id, "capturing")
                async with database.transaction() as tx:
                    await confirm(tx, order_id=order_id, payment_id=payment, capture_ref=f"C-{payment}", signer=SIGNER)
                async with database.transaction() as tx:
                    await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user))
            case _:
                await run_out(database, order_id)
                await expire_holds(database)

    async def test_sells_out_exactly_in_the_end(self, desks: list[HoldDesk], database: Database) -> None:
        await put_areas_on_sale(database, {"Standing": 10, "Balcony": 10})
        won = await asyncio.gather(*(self.live(database, desks[seed % 3], seed) for seed in range(20)))
        assert sum(won) > 60, "the area was never full and free again: this was no churn"
        await assert_clean(database)
        # Nobody sweeps any more: what ran out is there for whoever comes.
        for _ in range(20):
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=1)
            assert await patiently(lambda wish=wish: desks[0].place(wish)) is not None  # type: ignore[misc]
        with pytest.raises(NotEnoughSeatsError):
            await desks[1].place(Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=1))
        assert await database.fetchval("SELECT sum(n_free) FROM ga_areas") == 0

    async def test_a_crowd_gets_every_place_of_holds_that_ran_out(
        self, desks: list[HoldDesk], database: Database
    ) -> None:
        await put_areas_on_sale(database, {"Standing": PLACES}, limit_per_customer=LIMIT)
        for _ in range(PLACES // 4):
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=4)
            await run_out(database, order_of(await desks[0].place(wish)))
        assert await database.fetchval(READ, EVENT) == 0

        async def one(number: int) -> bytes | None:
            wish = Wish(user_id=UserId(uuid4()), event_id=EVENT, quantity=1)
            return await patiently(lambda: desks[number % 3].place(wish))

        answers = await asyncio.gather(*(one(number) for number in range(2 * PLACES)))
        assert sum(answer is not None for answer in answers) == PLACES


class TestOneCustomer:
    async def test_a_thousand_requests_at_once_get_exactly_the_limit(
        self, desks: list[HoldDesk], database: Database
    ) -> None:
        await put_areas_on_sale(database, {"Standing": 5_000}, limit_per_customer=LIMIT)
        user = UserId(uuid4())

        async def one(number: int) -> int:
            wish = Wish(user_id=user, event_id=EVENT, quantity=1)
            try:
                return 0 if await patiently(lambda: desks[number % 3].place(wish)) is None else 1
            except LimitReachedError:
                return 0

        assert sum(await asyncio.gather(*(one(number) for number in range(1_000)))) == LIMIT
        assert await database.fetchval("SELECT n FROM customer_limits") == LIMIT
        assert sum((await sold(database)).values()) == LIMIT

    @pytest.mark.parametrize("key", ["same", "other"])
    async def test_thirty_two_duplicates_are_one_effect_and_one_answer(
        self, desks: list[HoldDesk], database: Database, key: str
    ) -> None:
        await put_areas_on_sale(database, {"Standing": 3})
        user = UserId(uuid4())
        wish = Wish(user_id=user, event_id=EVENT, quantity=2)

        async def one(number: int) -> bytes | None:
            name = key if key == "same" else f"{key}-{number // 16}"
            call = IdempotentCall.of(principal=user, key=name, route="POST /bookings/reserve", body=b"{}")
            return await patiently(lambda: desks[number % 3].place(wish, call))

        answers = await asyncio.gather(*(one(number) for number in range(32)))
        placed = {answer for answer in answers if answer is not None}
        assert len(placed) == 1, "two places for one, and none is left for the other"
        if key == "same":
            assert None not in answers
        assert await database.fetchval("SELECT count(*) FROM orders") == 1
