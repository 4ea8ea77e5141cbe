"""A consumer in a process of its own: ``python -m tests.machine.consumer SERVERS DATABASE_URL``. It may be killed."""

import asyncio
import sys

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import inbox
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.database import Database

NAME, TOPIC = "drill", "drill.thing.v1"
EFFECT = "INSERT INTO effects (message_id, key, version) VALUES ($1, $2, $3)"


async def main(servers: str, url: str) -> None:
    async with Database.open(url, size=2) as database, KafkaBus(servers) as bus:

        async def take(envelope: Envelope) -> None:
            async with database.transaction() as tx:
                if await inbox.first_time(tx, consumer=NAME, message_id=envelope.message_id):
                    await tx.execute(EFFECT, envelope.message_id, envelope.key, envelope.version)

        async with bus.consuming([Consumer(name=NAME, topics=[TOPIC], take=take)]):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
