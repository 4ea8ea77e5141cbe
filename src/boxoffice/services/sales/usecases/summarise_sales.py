"""Tell how events sell (``sales.event.v1``) when the class or the lowest price changes, not at every hold."""

from collections.abc import Iterable

from boxoffice.contracts.messages.sales import EVENT_TOPIC, SaleFact
from boxoffice.kernel.ids import EventId
from boxoffice.kernel.money import Money
from boxoffice.runtime import outbox
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.domain.sale import sale_state
from boxoffice.services.sales.store import sale_summaries

DEBOUNCE_S = 1.0
"""A hot event changes a thousand times a second; search needs to know once."""
BATCH = 20
"""Events counted in one transaction: 20 halls of 2,000 places are some 20 ms."""


async def take_order_changes(database: Database, changed: Iterable[EventId]) -> None:
    """Note which events' orders changed. A repeat only has them counted once more, so it needs no inbox."""
    async with database.connection() as connection:
        await sale_summaries.mark_changed(connection, *changed)


async def summarise_sales(database: Database, *, debounce_seconds: float = DEBOUNCE_S) -> int:
    """Count the events that changed and tell those that now sell differently; returns how many were counted."""
    async with database.transaction() as tx:
        await sale_summaries.mark_opened_and_closed(tx)
        changed = await sale_summaries.take_changed(tx, older_than_seconds=debounce_seconds, most=BATCH)
        for event_id in changed:
            await _summarise(tx, event_id)
    return len(changed)


async def _summarise(tx: Connection, event_id: EventId) -> None:
    counts = await sale_summaries.count(tx, event_id)
    if counts.currency is None:
        return  # no event seats yet: nothing to tell
    state = sale_state(is_open=counts.is_open, capacity=counts.capacity, free=counts.free, held=counts.held)
    version = await sale_summaries.keep(tx, event_id, state, counts)
    if version is None:
        return
    lowest = counts.lowest_price_minor
    await outbox.append(
        tx, topic=EVENT_TOPIC, key=str(event_id), type_="sales.event.sale_changed", version=version,
        body=SaleFact(
            event_id=event_id, state=state.value, capacity=counts.capacity, free=counts.free,
            lowest_price=None if lowest is None else Money(lowest, counts.currency).decimal(),
            currency=counts.currency,
        ),
    )  # fmt: skip
