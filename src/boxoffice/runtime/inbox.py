"""The inbox: ``(consumer, message_id)`` is written in the effect's own transaction, so a repeat is a no-op (I8)."""

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
