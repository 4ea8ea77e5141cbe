"""The inbox: ``(consumer, message_id)`` is written in the effect's own transaction, so a repeat is a no-op (I8)."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.runtime.database import Connection


async def first_time(tx: Connection, *, consumer: str, message_id: UUID) -> bool:
    """Note that a consumer takes a message; false when it took it before."""
    noted = await tx.fetchval(
        "INSERT INTO inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
        consumer,
        message_id,
    )
    return noted is True


async def first_times(tx: Connection, *, consumer: str, message_ids: Sequence[UUID]) -> set[UUID]:
    """Note that a consumer takes messages; gives those that it had not taken before."""
    noted = await tx.fetch(
        "INSERT INTO inbox (consumer, message_id) SELECT $1, id FROM unnest($2::uuid[]) m(id) ORDER BY id"
        " ON CONFLICT DO NOTHING RETURNING message_id",
        consumer,
        message_ids,
    )
    return {record["message_id"] for record in noted}
