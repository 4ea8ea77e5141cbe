"""Watch the sale while it runs: audit what moved, and everything in turn, and stop the sale of an event that is wrong.

Each look takes the events whose orders moved since the last one, and the next few of all events in turn: a shop of up
to a hundred events is looked at whole every time, a big one in slices, each a short snapshot. How long it rests between
looks is its job's business (``jobs.py``).
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.runtime.telemetry import AUDIT_AGE, AUDIT_FINDINGS, AUDIT_SECONDS, EVENTS_HALTED, log
from boxoffice.services.sales.store import audit as rules
from boxoffice.services.sales.store import terms
from boxoffice.services.sales.store.audit import RULES
from boxoffice.services.sales.usecases.audit import Finding, audit
from boxoffice.services.sales.usecases.halt_sale import halt_sale
from boxoffice.services.sales.usecases.lift_halt import unaccepted

EVENTS_A_LOOK = 100
"""Beside those that moved. 10,000 events are gone through in 100 looks, that is in ten minutes to an hour."""
WATCH_LOCK = 0x0B0C_0003
"""Advisory lock: of several processes one watches, the others stand by."""

FIRST = EventId(0)
"""Before every event."""

_log = log(__name__)


@dataclass
class Watch:
    """The watch of one process. ``database`` is its own, with a long statement timeout."""

    database: Database
    _since: datetime | None = None
    _turn: EventId = FIRST
    _counts: dict[EventId, dict[str, int]] = field(default_factory=dict)
    _looked_at: float | None = None

    def __post_init__(self) -> None:
        AUDIT_AGE.set_function(lambda: float("nan") if self._looked_at is None else time.monotonic() - self._looked_at)

    async def look(self) -> int:
        """Look once, unless another process does. Returns 0, as there is never more to do at once."""
        began = time.monotonic()
        async with self.database.connection() as lock:
            if not await lock.fetchval("SELECT pg_try_advisory_lock($1)", WATCH_LOCK):
                self._looked_at = None
                return 0
            try:
                await self._look()
            finally:
                await lock.fetchval("SELECT pg_advisory_unlock($1)", WATCH_LOCK)
        self._looked_at = time.monotonic()
        AUDIT_SECONDS.observe(self._looked_at - began)
        return 0

    async def _look(self) -> None:
        events = await self._choose()
        findings = await audit(self.database, events)
        self._count(events, findings)
        for event_id in sorted({r["event_id"] for f in findings if f.halts for r in f.records}):
            # Asked once more, in a new snapshot, and without what a person accepted: a halt must be no mistake of ours.
            broken = await unaccepted(self.database, [event_id])
            if broken:
                await halt_sale(self.database, event_id, broken)
        for finding in findings:
            if not finding.halts:
                _log.error(
                    "audit.found", alarm=True, rule=finding.name, invariant=finding.invariant,
                    records=len(finding.records), first=str(finding.records[0]),
                )  # fmt: skip
        EVENTS_HALTED.set(len(await terms.halted(self.database)))

    async def _choose(self) -> list[EventId]:
        """Choose what moved, and the next ones of all in turn."""
        async with self.database.connection() as connection:
            moved, self._since = await rules.touched_since(connection, self._since)
            turn = await rules.next_events(connection, self._turn, EVENTS_A_LOOK)
        self._turn = turn[-1] if len(turn) == EVENTS_A_LOOK else FIRST
        return sorted({*moved, *turn})

    def _count(self, events: list[EventId], findings: list[Finding]) -> None:
        counted: dict[EventId, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for finding in findings:
            for record in finding.records:
                counted[record["event_id"]][finding.name] += 1
        for event_id in events:
            self._counts.pop(event_id, None)
        self._counts.update(counted)
        for rule in RULES:
            AUDIT_FINDINGS.labels(rule.name).set(sum(counts.get(rule.name, 0) for counts in self._counts.values()))
