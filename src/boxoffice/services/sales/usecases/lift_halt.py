"""Let a stopped sale go on: when what stopped it is put right, or when a person accepts the records by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import log
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import audit as rules
from boxoffice.services.sales.store import sale_summaries, terms
from boxoffice.services.sales.usecases.audit import Finding, audit

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """What came of it. ``findings``: what is still broken and was not accepted; then nothing was changed."""

    lifted: bool
    findings: Sequence[Finding]


async def lift_halt(database: Database, event_id: EventId, *, accept: str | None = None) -> Lift:
    """Lift the halt of an event's sale.

    ``accept``: why the records that are still wrong may stay as they are; they stop no sale again, others do.

    :raises EventNotFoundError: when sales knows no such event.
    """
    if await terms.of_event(database, event_id) is None:
        raise EventNotFoundError("There is no such event.")
    findings = await unaccepted(database, [event_id])
    if findings and accept is None:
        return Lift(lifted=False, findings=findings)
    async with database.transaction() as tx:
        if accept is not None:
            found = [(finding.name, rules.record_key(record)) for finding in findings for record in finding.records]
            await rules.accept(tx, event_id, found, accept)
        lifted = await terms.lift(tx, event_id)
        if lifted:
            await sale_summaries.mark_changed(tx, event_id)
    _log.warning("sale.lifted", event_id=event_id, lifted=lifted, accepted=accept)
    return Lift(lifted=lifted, findings=())


async def unaccepted(database: Database, events: Sequence[EventId]) -> list[Finding]:
    """Audit some events and keep what stops a sale: breaches of I1 to I5, without records that somebody accepted."""
    findings = [finding for finding in await audit(database, events) if finding.halts]
    if not findings:
        return []
    async with database.connection() as connection:
        known = await rules.accepted(connection, events)
    left = []
    for finding in findings:
        records = tuple(r for r in finding.records if (finding.name, rules.record_key(r)) not in known)
        if records:
            left.append(
                Finding(name=finding.name, invariant=finding.invariant, says=finding.says, halts=True, records=records)
            )
    return left
