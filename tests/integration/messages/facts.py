"""What the tests of messages tell, and a consumer that takes it."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import inbox, outbox
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.database import Database

TOPIC = "test.thing.v1"
PATIENCE_S = 30.0


class Fact(msgspec.Struct):
    number: int


async def tell(database: Database, *facts: tuple[str, int]) -> None:
    """One transaction for each fact (key, number); the number is also the version."""
    for key, number in facts:
        async with database.transaction() as tx:
            await outbox.append(tx, topic=TOPIC, key=key, type_="fact", version=number, body=Fact(number))


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


class Taker:
    """A consumer's effect: a record in the database beside the inbox's."""

    def __init__(self, database: Database, name: str = "taker") -> None:
        self.database = database
        self.name = name
        self.deliveries: list[tuple[str, int]] = []
        self.effects: list[tuple[str, int]] = []

    async def take(self, envelope: Envelope) -> None:
        fact = (envelope.key, envelope.read(Fact).number)
        self.deliveries.append(fact)
        async with self.database.transaction() as tx:
            if not await inbox.first_time(tx, consumer=self.name, message_id=envelope.message_id):
                return
        self.effects.append(fact)

    def consumer(self) -> Consumer:
        return Consumer(name=self.name, topics=[TOPIC], take=self.take)

    def inversions(self) -> list[tuple[str, int]]:
        """Facts that took effect after a later one of their key."""
        newest: dict[str, int] = {}
        found = []
        for key, number in self.effects:
            if number < newest.get(key, number):
                found.append((key, number))
            newest[key] = max(number, newest.get(key, number))
        return found
