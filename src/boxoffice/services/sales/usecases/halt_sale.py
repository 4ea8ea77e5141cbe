"""Stop the sale of an event whose seats, money or tickets are not as they must be, and say why (I1 to I5)."""

import json
from collections.abc import Sequence

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.store import sale_summaries, terms
from boxoffice.services.sales.usecases.audit import Finding

SHOWN_RECORDS = 3
"""Of each finding, in the reason that is kept; ``boxoffice audit`` shows them all."""
LONGEST_REASON = 4_000

_log = log(__name__)


async def halt_sale(database: Database, event_id: EventId, findings: Sequence[Finding]) -> bool:
    """Stop an event's sale; false when it was stopped before. Holds and new payments are refused until it is lifted.

    Payments that were started go on: their seats are theirs, and money that moved must find its tickets.
    """
    because = reason(event_id, findings)
    async with database.transaction() as tx:
        if not await terms.halt(tx, event_id, because):
            return False
        await sale_summaries.mark_changed(tx, event_id)
    _log.error("sale.halted", alarm=True, event_id=event_id, because=because)
    return True


def reason(event_id: EventId, findings: Sequence[Finding]) -> str:
    """Say in one text what is broken, with its first records."""
    parts = []
    for finding in findings:
        records = [record for record in finding.records if record["event_id"] == event_id]
        if records:
            shown = "; ".join(json.dumps(record, default=str) for record in records[:SHOWN_RECORDS])
            parts.append(
                f"{finding.invariant} {finding.name} (not true: {finding.says}), {len(records)} records: {shown}"
            )
    return "\n".join(parts)[:LONGEST_REASON]
