"""Tickets per customer and event (invariant I7); places are counted up by ``place_hold`` only."""

from boxoffice.kernel.ids import EventId, UserId
from boxoffice.runtime.database import Connection

GIVE_BACK = "UPDATE customer_limits SET n = n - $3 WHERE event_id = $1 AND user_id = $2"


async def give_back(tx: Connection, *, event_id: EventId, user_id: UserId, places: int) -> None:
    """Count places down again, once for each place, under the lock of its order."""
    await tx.execute(GIVE_BACK, event_id, user_id, places)
