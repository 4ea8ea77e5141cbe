"""Mutants of what is told: outbox, bus, inbox and the search index."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
from redis.asyncio import Redis
from tests.mutants.case import Case, Mutant, code
from tests.mutants.oracles import breach, judge
from tests.mutants.room import Room
from tests.support.checkers.effects import missing_and_phantom
from tests.support.concert_facts import concert_facts
from tests.support.payments import Crash, Steps, StumblingDatabase

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog
from boxoffice.contracts.messages.sales import ORDER_TOPIC
from boxoffice.runtime import inbox
from boxoffice.runtime.bus import Consumer, StreamBus
from boxoffice.runtime.database import Database
from boxoffice.runtime.relay import Relay
from boxoffice.services.sales.usecases import confirm_order, settle_payment
from boxoffice.services.search.consumers import consumer as search_consumer
from boxoffice.services.search.domain import listing
from boxoffice.services.search.providers.folder_shelf import FolderShelf
from boxoffice.services.search.usecases.take_changes import Intake

CONSUMER = "counting"
PATIENCE_S = 30.0
MANY = 3
"""Messages of one read are taken together, a single one by itself."""


async def a_process_dies_at_every_step_of_settling(room: Room) -> None:
    """Whoever settles dies before, within or after each transaction; another process goes on."""
    till = await room.till()
    orders = []
    died_after_a_commit = 0
    while True:
        payment = await till.begin(1)
        till.paypal.approve(payment.provider_ref)
        orders.append(payment.order_id)
        steps = Steps(die_at=len(orders))
        try:
            await till.through(StumblingDatabase(till.database, steps)).settle(payment.payment_id)
        except Crash as crash:
            died_after_a_commit += str(crash) == "after its commit"
            await till.rest()
            continue
        break
    if died_after_a_commit:
        room.meet("the message was in the transaction that makes it true")
    await judge(room, *orders)


_later: list[tuple[Any, Any]] = []


async def tell_later(_tx: Any, *arguments: Any, **named: Any) -> None:
    """Keep a message for after the commit. A process that died before it told takes what it kept with it."""
    _later[:] = [(arguments, named)]


async def tell_now(database: Database) -> None:
    """Write what was kept."""
    told = _later[:]
    _later.clear()
    async with database.transaction() as tx:
        for arguments, named in told:
            await confirm_order.tell(tx, *arguments, **named)


async def a_consumer_dies_within_its_effect(messages: int, room: Room) -> None:
    """The process that takes messages dies before the effect's commit; the next one takes them up."""
    till = await room.till()
    for _ in range(messages):
        await till.hold(1)
    steps = Steps(die_at=2)
    async with Redis.from_url(room.redis_url) as redis:
        bus = StreamBus(redis)
        relay = Relay(service="sales", database=till.database, bus=bus)
        while await relay.carry_once():
            pass
        async with bus.consuming(_counting(StumblingDatabase(till.database, steps))):
            await _until(lambda: _answer(len(steps.taken) >= steps.die_at), "the consumer never began")
        async with bus.consuming(_counting(till.database)):
            await _until(lambda: _caught_up(redis), "the stream was never read to its end")
        wrong = missing_and_phantom(
            await _ids(till.database, "SELECT message_id FROM outbox WHERE topic = $1", ORDER_TOPIC),
            {CONSUMER: await _ids(till.database, "SELECT message_id FROM inbox WHERE consumer = $1", CONSUMER)},
        )
    if steps.taken[-1] == "before its commit":
        room.meet("what was not acknowledged came again")
    if wrong:
        raise breach("effects", "; ".join(wrong))


async def _ids(database: Database, sql: str, name: str) -> set[str]:
    return {str(record["message_id"]) for record in await database.fetch(sql, name)}


def _counting(database: Any) -> list[Consumer]:
    """A consumer whose effect is its record in the inbox, of one message or of several in one transaction."""

    async def take_many(messages: Sequence[Envelope]) -> None:
        async with database.transaction() as tx:
            for message in messages:
                await inbox.first_time(tx, consumer=CONSUMER, message_id=message.message_id)

    async def take(message: Envelope) -> None:
        await take_many([message])

    return [Consumer(name=CONSUMER, topics=[ORDER_TOPIC], take=take, take_many=take_many)]


async def _answer(value: bool) -> bool:  # noqa: FBT001 - a condition that needs no asking
    return value


async def _caught_up(redis: "Redis") -> bool:
    groups = await redis.xinfo_groups(ORDER_TOPIC)
    mine = [group for group in groups if group["name"] == CONSUMER.encode()]
    return bool(mine) and mine[0]["pending"] == 0 and mine[0]["lag"] == 0


async def _until(true: Any, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await true():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.01)


async def messages_come_out_of_order(room: Room) -> None:
    """A redelivered older message arrives after the newer one; the index must show the newest."""
    shelf = FolderShelf(room.folder / "index")
    shelf.open()
    try:
        take = search_consumer(Intake(shelf)).take
        for version in (1, 3, 2, 1):
            fact = msgspec.structs.replace(concert_facts()[0], name=f"version {version}")
            await take(
                Envelope(
                    message_id=uuid4(), topic=catalog.TOPIC, key=str(fact.event_id), type_="catalog.event.changed",
                    version=version, occurred_at=datetime.now(UTC), body=msgspec.Raw(msgspec.json.encode(fact)),
                )
            )  # fmt: skip
        found = shelf.engine.entries([concert_facts()[0].event_id])[concert_facts()[0].event_id].listing
    finally:
        shelf.close()
    assert found is not None
    if found.name != "version 3":
        raise breach("index", f"the catalog says version 3, the index {found.name}")
    room.meet("an older version changes nothing")


ACKNOWLEDGED_LAST = """\
            if fields:
                await take.one(fields[FIELD])
            await self.redis.xack(topic, consumer.name, entry_id)
"""
ACKNOWLEDGED_FIRST = """\
            await self.redis.xack(topic, consumer.name, entry_id)
            if fields:
                await take.one(fields[FIELD])
"""

TOGETHER = "        if len(raws) > 1 and await take.together(raws):\n"
ACKNOWLEDGED_FIRST_TOGETHER = """\
        if len(raws) > 1:
            await self.redis.xack(topic, consumer.name, *[entry_id for entry_id, _ in entries])
"""

MUTANTS = [
    Mutant(
        number=15,
        name="outbox_after_the_commit",
        breaks="the message of a confirmed order is written in a transaction of its own, after the order's commit",
        cases=[
            Case(
                name="dies in between",
                attack=a_process_dies_at_every_step_of_settling,
                breaks=[
                    code(confirm_order._sell, "    await tell(\n", "    await tell_later(\n", tell_later=tell_later),
                    code(
                        settle_payment._confirm, "    if not done.repeated:\n",
                        "    await tell_now(till.database)\n    if not done.repeated:\n", tell_now=tell_now,
                    ),
                ],
                seen_by="auditor:confirmed_was_told",
            )
        ],
    ),
    Mutant(
        number=16,
        name="acknowledged_before_the_effect",
        breaks="a message is acknowledged on the bus before its effect is committed",
        cases=[
            Case(
                name="one message",
                attack=partial(a_consumer_dies_within_its_effect, 1),
                breaks=[code(StreamBus._read_once, ACKNOWLEDGED_LAST, ACKNOWLEDGED_FIRST)],
                seen_by="effects",
            ),
            Case(
                name="many together",
                attack=partial(a_consumer_dies_within_its_effect, MANY),
                breaks=[code(StreamBus._read_once, TOGETHER, ACKNOWLEDGED_FIRST_TOGETHER + TOGETHER)],
                seen_by="effects",
            ),
        ],
    ),
    Mutant(
        number=17,
        name="index_write_without_version",
        breaks="a listing goes into the index whatever version is there",
        cases=[
            Case(
                name="out of order",
                attack=messages_come_out_of_order,
                breaks=[
                    code(listing.changed, "ListingChange() if change.version > entry.listing_version:", "ListingChange():")
                ],
                seen_by="index",
            )
        ],
    ),
]  # fmt: skip
