"""The trace of a purchase: that of its first message. The outbox remembers it for longer than a purchase takes."""

from boxoffice.contracts.messages.sales import ORDER_TOPIC
from boxoffice.kernel.ids import OrderId
from boxoffice.runtime.database import Database

FIRST = "SELECT trace FROM outbox WHERE topic = $1 AND key = $2 ORDER BY version LIMIT 1"


async def of_order(database: Database, order_id: OrderId) -> str | None:
    """Read the ``traceparent`` under which an order was held; none when that is not known any more."""
    found: str | None = await database.fetchval(FIRST, ORDER_TOPIC, str(order_id))
    return found
