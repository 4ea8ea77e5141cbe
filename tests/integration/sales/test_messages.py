"""Messages in and out: terms from the catalog, summaries for search, the seed's topics; and cancelled events."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
from redis.asyncio import Redis
from tests.support.sales import EVENT, SIGNER, buy, event_fact, hold, put_on_sale, run_out

from boxoffice.contracts.messages.sales import SEED_TOPICS, OrderFact, SaleFact
from boxoffice.kernel.money import EXPONENTS, Money
from boxoffice.runtime.bus import StreamBus
from boxoffice.runtime.database import Database
from boxoffice.runtime.relay import Relay
from boxoffice.services.sales.store import terms
from boxoffice.services.sales.usecases.cancel_orders_of_cancelled_events import cancel_orders_of_cancelled_events
from boxoffice.services.sales.usecases.summarise_sales import summarise_sales, take_order_changes
from boxoffice.services.sales.usecases.take_event_terms import take_event_terms


async def take(database: Database, version: int, message_id: UUID | None = None, **changes: Any) -> None:
    await take_event_terms(database, message_id=message_id or uuid4(), fact=event_fact(**changes), version=version)


async def told(database: Database) -> list[SaleFact]:
    records = await database.fetch("SELECT body::text FROM outbox WHERE topic = 'sales.event.v1' ORDER BY position")
    return [msgspec.json.decode(record["body"], type=SaleFact) for record in records]


class TestEventTerms:
    async def test_the_higher_version_wins_whatever_comes_last(self, database: Database) -> None:
        await take(database, 3, name="Third")
        await take(database, 2, name="Second")
        kept = await terms.of_event(database, EVENT)
        assert kept is not None
        assert (kept.name, kept.version) == ("Third", 3)
        await take(database, 4, name="Fourth", status="cancelled")
        kept = await terms.of_event(database, EVENT)
        assert kept is not None
        assert (kept.name, kept.status) == ("Fourth", "cancelled")

    async def test_a_repeat_changes_nothing(self, database: Database) -> None:
        message_id = uuid4()
        for _ in range(2):
            await take(database, 1, message_id)
        assert await database.fetchval("SELECT count(*) FROM inbox") == 1


class TestSummaries:
    async def test_tells_class_and_lowest_price_when_they_change_and_only_then(self, database: Database) -> None:
        seats = await put_on_sale(database, 20)
        assert await summarise_sales(database, debounce_seconds=0) == 1
        assert await summarise_sales(database, debounce_seconds=0) == 0
        assert await told(database) == [
            SaleFact(event_id=EVENT, state="on_sale", capacity=20, free=20, lowest_price="50.00", currency="USD")
        ]
        await self.changed(database, seats[:8])
        await self.changed(database, seats[8:16])
        assert len(await told(database)) == 1, "still on sale, still the same price"
        await self.changed(database, seats[16:18])
        await self.changed(database, seats[18:20])
        latest = await told(database)
        assert [fact.state for fact in latest] == ["on_sale", "few_left", "few_left"]
        assert (latest[-1].free, latest[-1].lowest_price) == (0, None)
        versions = await database.fetch("SELECT version FROM outbox WHERE topic = 'sales.event.v1' ORDER BY position")
        assert [record["version"] for record in versions] == [1, 2, 3]

    async def changed(self, database: Database, seats: list[Any]) -> None:
        await hold(database, seats)
        await take_order_changes(database, [EVENT])
        await summarise_sales(database, debounce_seconds=0)

    async def test_sold_out_is_told_when_nothing_can_come_back(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        await buy(database, seats)
        await summarise_sales(database, debounce_seconds=0)
        assert [fact.state for fact in await told(database)] == ["sold_out"]

    async def test_notices_that_a_sale_ended_by_time(self, database: Database) -> None:
        await put_on_sale(database, 2)
        await summarise_sales(database, debounce_seconds=0)
        await database.fetch("UPDATE event_terms SET off_sale_at = clock_timestamp()")
        assert await summarise_sales(database, debounce_seconds=60) == 1
        assert [fact.state for fact in await told(database)] == ["on_sale", "not_on_sale"]

    async def test_waits_a_moment_on_a_hot_event(self, database: Database) -> None:
        await put_on_sale(database, 2)
        assert await summarise_sales(database, debounce_seconds=60) == 0


class TestSeedTopics:
    async def test_hear_of_holds_and_tickets_once(self, database: Database, redis_url: str) -> None:
        seats = await put_on_sale(database, 2)
        order_id, _, _ = await buy(database, seats)
        async with Redis.from_url(redis_url) as redis:
            bus = StreamBus(redis)
            relay = Relay(service="sales", database=database, bus=bus, copies=SEED_TOPICS)
            while await relay.carry_once():
                pass
            holds = [envelope async for envelope in bus.retained("reservation-notification-topic")]
            tickets = [envelope async for envelope in bus.retained("tickets-notification-topic")]
        assert [envelope.type_ for envelope in (*holds, *tickets)] == ["sales.order.held", "sales.order.confirmed"]
        assert {envelope.key for envelope in (*holds, *tickets)} == {str(order_id)}
        assert len(tickets[0].read(OrderFact).tickets) == 2


class TestConfirmedMessage:
    async def test_carries_tickets_with_barcodes_that_our_key_signed(self, database: Database) -> None:
        seats = await put_on_sale(database, 2)
        order_id, user_id, _ = await buy(database, seats)
        body = await database.fetchval("SELECT body::text FROM outbox WHERE type = 'sales.order.confirmed'")
        fact = msgspec.json.decode(body, type=OrderFact)
        assert (fact.order_id, fact.user_id, fact.state, fact.total) == (order_id, user_id, "confirmed", "100.00")
        assert fact.refund_terms is not None
        for ticket, seat in zip(fact.tickets, seats, strict=True):
            assert ticket.barcode is not None
            barcode = SIGNER.verify(ticket.barcode)
            assert (barcode.ticket_id, barcode.seat_id, barcode.event_id) == (ticket.ticket_id, seat, EVENT)


class TestCancelledEvents:
    async def test_refunds_everybody_in_full_whatever_the_policy(self, database: Database) -> None:
        seats = await put_on_sale(database, 4)
        await database.fetch("UPDATE event_terms SET refund_percent = 10, cancel_until_hours = 9999")
        await buy(database, seats[:2])
        await buy(database, seats[2:])
        assert await cancel_orders_of_cancelled_events(database) == 0
        await take(database, 2, status="cancelled")
        assert await cancel_orders_of_cancelled_events(database) == 2
        assert await cancel_orders_of_cancelled_events(database) == 0
        assert await database.fetchval("SELECT sum(refund_minor)::int FROM refunds") == 20000
        assert await database.fetchval("SELECT count(*) FROM tickets WHERE state = 'valid'") == 0


class TestPricesInSql:
    async def test_write_every_currency_as_the_kernel_does(self, database: Database) -> None:
        for currency in [*EXPONENTS, "USD", "EUR", "HKD"]:
            for minor in (0, 5, 100, 4950, 123456789):
                written = await database.fetchval("SELECT decimal_price($1, $2)", minor, currency)
                assert written == Money(minor, currency).decimal()

    async def test_a_hold_in_yen_has_no_decimals(self, database: Database) -> None:
        await database.fetch("SELECT 1")
        assert await database.fetchval("SELECT decimal_price(4950, 'JPY')") == "4950"


class TestExpiredOrder:
    async def test_is_told_with_its_reason(self, database: Database) -> None:
        seats = await put_on_sale(database, 1)
        order_id, _ = await hold(database, seats)
        await run_out(database, order_id)
        await hold(database, seats)  # taken over; the first order's end is told by the sweeper
        await database.fetchval("SELECT expire_holds(NULL, NULL, 10, NULL)")
        told = await database.fetch("SELECT key, type FROM outbox WHERE type = 'sales.order.released'")
        assert [record["key"] for record in told] == [str(order_id)]
