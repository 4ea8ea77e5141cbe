"""Ask every invariant that SQL can answer, in one snapshot; whatever comes back is a defect with its records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Connection, Database
from boxoffice.services.sales.store import audit as rules
from boxoffice.services.sales.store.audit import RULES, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken invariant: its name, its number, what should hold, and up to 100 records that break it.

    Each record says in ``event_id`` which event it is about, as far as that can be known.
    """

    name: str
    invariant: str
    says: str
    halts: bool
    records: tuple[dict[str, Any], ...]


async def audit(database: Database, events: Sequence[EventId] | None = None) -> list[Finding]:
    """Find what is broken, in some events or everywhere; an empty list is what everybody wants to see.

    Open the database with a long statement timeout for this, or none: without ``events`` it reads everything once.
    """
    findings = []
    async with database.transaction(isolation="repeatable_read", readonly=True) as tx:
        for rule in RULES:
            records = await _ask(tx, rule, events)
            if records:
                findings.append(
                    Finding(
                        name=rule.name, invariant=rule.invariant, says=rule.says, halts=rule.halts,
                        records=tuple(records),
                    )
                )  # fmt: skip
    return findings


async def _ask(tx: Connection, rule: Rule, events: Sequence[EventId] | None) -> list[dict[str, Any]]:
    if events is None:
        found = await tx.fetch(rule.sql)
    else:
        found = await tx.fetch(rules.within_events(rule), list(events))
    named = [{**dict(record), "event_id": await rules.event_of(tx, record)} for record in found]
    # A record of another event would be one that the narrowed view of a table made up.
    return named if events is None else [record for record in named if record["event_id"] in events]
