"""Exchanges against holds, cancellations, the sweeper and one another: all of an exchange happens, or none of it.

Opens with the control: looking before taking, without a lock or a count, seats two buyers on one seat.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from uuid import uuid4

from tests.support.sales import EVENT, SIGNER, buy, hold, put_on_sale, run_out

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseBusyError
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.exchange_tickets import Wish, exchange_tickets
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.place_hold import Wish as HoldWish
from boxoffice.services.sales.usecases.place_hold import place_hold

ROUNDS = 12
WON, LOST, BUSY = "won", "lost", "busy"


async def outcome(act: Awaitable[object]) -> str:
    try:
        await act
    except DatabaseBusyError:
        return BUSY
    except DomainError:
        return LOST
    return WON


async def swap(database: Database, order: OrderId, owner: UserId, give: list[SeatId], take: list[SeatId]) -> None:
    async with database.transaction() as tx:
        wish = Wish(order_id=order, user_id=owner, give=tuple(give), take=tuple(take))
        await exchange_tickets(tx, wish, signer=SIGNER)


async def seats_of(database: Database, order: OrderId) -> set[int]:
    found = await database.fetch("SELECT seat_id FROM tickets WHERE order_id = $1 AND state = 'valid'", order)
    return {record["seat_id"] for record in found}


class TestControl:
    async def test_looking_before_taking_seats_two_on_one_seat(self, unguarded: Database) -> None:
        seats = await put_on_sale(unguarded, 9)
        await unguarded.fetch("DROP INDEX ticket_one_live")
        bought = [await buy(unguarded, [seat]) for seat in seats[:8]]

        async def careless(order: OrderId, given: SeatId) -> None:
            state = await unguarded.fetchval("SELECT state FROM event_seats WHERE seat_id = $1", seats[8])
            if state == "free":
                await unguarded.fetch("UPDATE event_seats SET state = 'sold', order_id = $2 WHERE seat_id = $1",
                                      seats[8], order)  # fmt: skip
                await unguarded.fetch("UPDATE tickets SET seat_id = $2 WHERE seat_id = $1", given, seats[8])

        await asyncio.gather(*(careless(order, seat) for (order, _, _), seat in zip(bought, seats, strict=False)))
        assert await unguarded.fetchval("SELECT count(*) FROM tickets WHERE seat_id = $1", seats[8]) > 1


class TestForOneSeat:
    async def test_of_several_exchanges_one_wins_and_the_others_keep_their_seats(self, database: Database) -> None:
        seats = await put_on_sale(database, 10)
        bought = [await buy(database, [seat]) for seat in seats[:8]]
        results = await asyncio.gather(
            *(
                outcome(swap(database, order, owner, [seats[i]], [seats[9]]))
                for i, (order, owner, _) in enumerate(bought)
            )
        )
        assert Counter(results)[WON] == 1, results
        for index, (order, _, _) in enumerate(bought):
            assert await seats_of(database, order) == {seats[9] if results[index] == WON else seats[index]}

    async def test_against_a_hold_one_of_the_two_has_it(self, database: Database) -> None:
        seats = await put_on_sale(database, 2 * ROUNDS)
        winners: Counter[str] = Counter()
        for number in range(ROUNDS):
            mine, wanted = seats[2 * number], seats[2 * number + 1]
            order, owner, _ = await buy(database, [mine])
            rival = HoldWish(user_id=UserId(uuid4()), event_id=EVENT, seat_ids=(wanted,))
            exchanged, held = await asyncio.gather(
                outcome(swap(database, order, owner, [mine], [wanted])), outcome(place_hold(database, rival))
            )
            assert [exchanged, held].count(WON) == 1, (exchanged, held)
            assert await seats_of(database, order) == {wanted if exchanged == WON else mine}
            winners["exchange" if exchanged == WON else "hold"] += 1
        assert winners["exchange"] + winners["hold"] == ROUNDS

    async def test_a_hold_that_ran_out_is_swept_or_taken_over_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 2 * ROUNDS)
        for number in range(ROUNDS):
            mine, wanted = seats[2 * number], seats[2 * number + 1]
            order, owner, _ = await buy(database, [mine])
            stale, _ = await hold(database, [wanted])
            await run_out(database, stale)
            exchanged, _ = await asyncio.gather(
                outcome(swap(database, order, owner, [mine], [wanted])), expire_holds(database)
            )
            assert await seats_of(database, order) == {wanted if exchanged == WON else mine}
            await expire_holds(database)
            assert await database.fetchval("SELECT state FROM orders WHERE order_id = $1", stale) == "released"


class TestAcrossOrders:
    async def test_two_buyers_who_want_each_others_seats_both_keep_theirs(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        (first, a, _), (second, b, _) = await buy(database, [seats[0]]), await buy(database, [seats[1]])
        results = await asyncio.gather(
            outcome(swap(database, first, a, [seats[0]], [seats[1]])),
            outcome(swap(database, second, b, [seats[1]], [seats[0]])),
        )
        assert results == [LOST, LOST], "a sold seat is not for exchange, and nobody waits for it"
        assert (await seats_of(database, first), await seats_of(database, second)) == ({seats[0]}, {seats[1]})

    async def test_overlapping_wishes_are_granted_whole_or_not_at_all(self, database: Database) -> None:
        seats = await put_on_sale(database, 20)
        bought = [await buy(database, seats[2 * i : 2 * i + 2]) for i in range(5)]
        wanted = [[seats[10 + i], seats[11 + i]] for i in range(5)]
        results = await asyncio.gather(
            *(
                outcome(swap(database, order, owner, seats[2 * i : 2 * i + 2], wanted[i]))
                for i, (order, owner, _) in enumerate(bought)
            )
        )
        assert WON in results
        for index, (order, _, _) in enumerate(bought):
            whole = wanted[index] if results[index] == WON else seats[2 * index : 2 * index + 2]
            assert await seats_of(database, order) == set(whole)


class TestWithinAnOrder:
    async def test_exchange_against_cancel_gives_each_ticket_back_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 2 * ROUNDS)
        for number in range(ROUNDS):
            mine, wanted = seats[2 * number], seats[2 * number + 1]
            order, owner, _ = await buy(database, [mine])

            async def cancel(order: OrderId = order, owner: UserId = owner, mine: SeatId = mine) -> None:
                async with database.transaction() as tx:
                    await cancel_order(tx, order_id=order, by=Canceller(user_id=owner), chosen=[mine])

            results = await asyncio.gather(outcome(swap(database, order, owner, [mine], [wanted])), outcome(cancel()))
            assert results.count(WON) == 1, results

    async def test_one_ticket_is_given_once(self, database: Database) -> None:
        seats = await put_on_sale(database, 8)
        order, owner, _ = await buy(database, [seats[0]])
        results = await asyncio.gather(
            *(outcome(swap(database, order, owner, [seats[0]], [seat])) for seat in seats[1:])
        )
        assert results.count(WON) == 1
        assert len(await seats_of(database, order)) == 1
        assert await database.fetchval("SELECT count(*) FROM event_seats WHERE state <> 'free'") == 1
