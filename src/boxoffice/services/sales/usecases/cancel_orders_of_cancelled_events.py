"""Cancel the orders of events that were cancelled: every ticket void, the whole price refunded."""

from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refusals import WrongOrderStateError
from boxoffice.services.sales.store import orders
from boxoffice.services.sales.usecases.cancel_order import PLATFORM, cancel_order

BATCH = 50
"""Orders in one run; each is a transaction of its own, so that one bad order does not stop the others."""


async def cancel_orders_of_cancelled_events(database: Database) -> int:
    """Cancel the next orders; returns how many."""
    done = 0
    for order_id in await orders.of_cancelled_events(database, most=BATCH):
        try:
            async with database.transaction() as tx:
                await cancel_order(tx, order_id=order_id, by=PLATFORM)
        except WrongOrderStateError:
            continue  # its owner was quicker
        done += 1
    return done
