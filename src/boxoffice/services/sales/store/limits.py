"""Tickets per customer and event (invariant I7), the clock and the budget of their holds; holds count places up.

``n`` counts what a customer holds, is paying for, or has live tickets of; ``held`` the part of it in open orders;
``spent_seconds`` the seat-seconds that are held or were held in vain. A hold is charged from its start to its end when
it is placed (by the hold's own statement) and whenever its end moves; what it did not use comes back when it closes,
all of it when it was bought. So at any moment an open order has been charged for exactly its start to its end.
"""

from datetime import datetime

from boxoffice.kernel.ids import EventId, OrderId, UserId
from boxoffice.runtime.database import Connection

GIVE_BACK = "UPDATE customer_limits SET n = n - $3 WHERE event_id = $1 AND user_id = $2"

# Seats that ran out were open to others from then on; seats that were being paid for were not, and cost to the last.
CLOSE = """
UPDATE customer_limits l SET n = l.n - o.n_seats, held = l.held - o.n_seats,
       spent_seconds = greatest(0, l.spent_seconds - o.n_seats
         * floor(CASE WHEN o.pay_deadline IS NULL THEN greatest(0, o.rest) ELSE o.rest END)::bigint)
  FROM (SELECT *, extract(epoch FROM hold_expires_at - clock_timestamp()) AS rest FROM orders WHERE order_id = $1) o
 WHERE l.event_id = o.event_id AND l.user_id = o.user_id
"""
BOUGHT = """
UPDATE customer_limits l SET held = l.held - o.n_seats,
       spent_seconds = greatest(0, l.spent_seconds - o.n_seats
         * ceil(extract(epoch FROM o.hold_expires_at - o.hold_started_at))::bigint)
  FROM orders o WHERE o.order_id = $1 AND l.event_id = o.event_id AND l.user_id = o.user_id
"""
CHARGE_LONGER = """
UPDATE customer_limits l SET spent_seconds = l.spent_seconds
       + o.n_seats * ceil(greatest(0, extract(epoch FROM o.hold_expires_at - $2)))::bigint
  FROM orders o WHERE o.order_id = $1 AND l.event_id = o.event_id AND l.user_id = o.user_id
"""


async def give_back(tx: Connection, *, event_id: EventId, user_id: UserId, places: int) -> None:
    """Count places of cancelled tickets down again, once for each, under the lock of their order."""
    await tx.execute(GIVE_BACK, event_id, user_id, places)


async def close_hold(tx: Connection, order_id: OrderId) -> None:
    """Count the places of a released order down; the time that its hold still had goes back to the budget."""
    await tx.execute(CLOSE, order_id)


async def charge_longer(tx: Connection, order_id: OrderId, *, before: datetime) -> None:
    """Charge an order whose hold ended at ``before`` and now ends later, budget or no budget: its seats are its own."""
    await tx.execute(CHARGE_LONGER, order_id, before)


async def close_bought(tx: Connection, order_id: OrderId) -> None:
    """Count a confirmed order's places as held no more; what was bought has not been held in vain."""
    await tx.execute(BOUGHT, order_id)
