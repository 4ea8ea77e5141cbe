"""The outbox: a message is written in the transaction that makes it true (invariants I8, I9).

The table is in ``migrations/shared/messaging_v1.sql``. ``runtime/relay.py`` carries the records to the bus.
"""

from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec

from boxoffice.runtime.database import Connection
from boxoffice.runtime.telemetry import current_trace

INSERT = """
INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7)
"""

INSERT_MANY = """
INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
SELECT message_id, $1, key, $2, version, body::jsonb, $3
FROM unnest($4::uuid[], $5::text[], $6::bigint[], $7::text[]) AS fact (message_id, key, version, body)
"""


async def append(tx: Connection, *, topic: str, key: str, type_: str, version: int, body: msgspec.Struct) -> UUID:
    """Write one message beside the change that it tells; ``(topic, key, version, type)`` is unique.

    :raises asyncpg.UniqueViolationError: when that fact of that version was told already.
    """
    message_id = uuid4()
    await tx.execute(
        INSERT, message_id, topic, key, type_, version, msgspec.json.encode(body).decode(), current_trace()
    )
    return message_id


async def append_many(
    tx: Connection, *, topic: str, type_: str, facts: Sequence[tuple[str, int, msgspec.Struct]]
) -> None:
    """Write many messages of one type, each (key, version, body), in one statement.

    :raises asyncpg.UniqueViolationError: when one of them was told already.
    """
    await tx.execute(
        INSERT_MANY, topic, type_, current_trace(), [uuid4() for _ in facts], [key for key, _, _ in facts],
        [version for _, version, _ in facts], [msgspec.json.encode(body).decode() for _, _, body in facts],
    )  # fmt: skip
