"""Tickets per customer and event (invariant I7), the clock and the budget of their holds; holds count places up.

``n`` counts what a customer holds, is paying for, or has live tickets of; ``held`` the part of it in open orders;
``spent_seconds`` the seat-seconds that were held and not bought.
"""

from boxoffice.kernel.ids import EventId, OrderId, UserId
from boxoffice.runtime.database import Connection

GIVE_BACK = "UPDATE customer_limits SET n = n - $3 WHERE event_id = $1 AND user_id = $2"

CLOSE = """
UPDATE customer_limits l SET n = l.n - o.n_seats, held = l.held - o.n_seats,
       spent_seconds = greatest(0, l.spent_seconds - o.n_seats
         * floor(greatest(0, extract(epoch FROM o.hold_expires_at - clock_timestamp())))::bigint)
  FROM orders o WHERE o.order_id = $1 AND l.event_id = o.event_id AND l.user_id = o.user_id
"""
BOUGHT = """
UPDATE customer_limits l SET held = l.held - o.n_seats,
       spent_seconds = greatest(0, l.spent_seconds - o.n_seats
         * ceil(extract(epoch FROM o.hold_expires_at - o.hold_started_at))::bigint)
  FROM orders o WHERE o.order_id = $1 AND l.event_id = o.event_id AND l.user_id = o.user_id
"""


async def give_back(tx: Connection, *, event_id: EventId, user_id: UserId, places: int) -> None:
    """Count places of cancelled tickets down again, once for each, under the lock of their order."""
    await tx.execute(GIVE_BACK, event_id, user_id, places)


async def close_hold(tx: Connection, order_id: OrderId) -> None:
    """Count the places of a released order down; the time that its hold still had goes back to the budget."""
    await tx.execute(CLOSE, order_id)


async def close_bought(tx: Connection, order_id: OrderId) -> None:
    """Count a confirmed order's places as held no more; what was bought has not been held in vain."""
    await tx.execute(BOUGHT, order_id)
