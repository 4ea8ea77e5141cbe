"""Ask every invariant that SQL can answer, in one snapshot; whatever comes back is a defect with its records."""

from dataclasses import dataclass
from typing import Any

from boxoffice.runtime.database import Database
from boxoffice.services.sales.store.audit import RULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken invariant: its name, its number, what should hold, and up to 100 records that break it."""

    name: str
    invariant: str
    says: str
    records: tuple[dict[str, Any], ...]


async def audit(database: Database) -> list[Finding]:
    """Find what is broken; an empty list is what everybody wants to see.

    Open the database without a statement timeout for this: it reads everything once.
    """
    findings = []
    async with database.transaction(isolation="repeatable_read", readonly=True) as tx:
        for rule in RULES:
            records = await tx.fetch(rule.sql)
            if records:
                findings.append(
                    Finding(
                        name=rule.name, invariant=rule.invariant, says=rule.says,
                        records=tuple(dict(record) for record in records),
                    )
                )  # fmt: skip
    return findings
