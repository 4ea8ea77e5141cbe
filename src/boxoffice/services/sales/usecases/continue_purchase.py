"""Go on in the trace of a purchase: hold, payment, the provider's redirect and webhook come as calls of their own.

A browser sends no trace along, and a webhook or a timer has none; the order itself tells which one it began in.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from boxoffice.kernel.ids import OrderId
from boxoffice.runtime import tracing
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import traces


@asynccontextmanager
async def continuing_purchase(database: Database, order_id: OrderId, name: str) -> AsyncIterator[None]:
    """Do something about an order as a part of its purchase's trace, where that is another than the call's own.

    One query more, so ask ``tracing.on()`` first. ``name`` is what it is called there.
    """
    with tracing.joining(await traces.of_order(database, order_id), name):
        yield
