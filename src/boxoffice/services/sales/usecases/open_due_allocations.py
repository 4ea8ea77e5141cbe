"""Write down which allocations the clock has opened.

Nobody has to do anything at the release time: a seat whose time has passed is offered by the hold's own statement, and
shown by every picture. This has the summaries counted again, and says open where the record still said closed.
"""

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import allocations, sale_summaries

MOST_DUE = 100
"""Allocations written down at once; the job runs again at once when there are more."""


async def open_due_allocations(database: Database) -> tuple[int, set[EventId]]:
    """Write down which allocations the clock has opened; returns how many, and their events."""
    async with database.transaction() as tx:
        due = await allocations.open_due(tx, most=MOST_DUE)
        for event_id in sorted(set(due)):
            await sale_summaries.mark_changed(tx, event_id, at_once=True)
    return len(due), set(due)
