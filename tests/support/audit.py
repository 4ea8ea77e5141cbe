"""The auditor as an assertion: after every test that sells, every invariant holds."""

from boxoffice.runtime.database import Database
from boxoffice.services.sales.usecases.audit import audit


async def assert_clean(database: Database) -> None:
    """Fail with the findings, if there are any."""
    findings = await audit(database)
    assert not findings, "\n".join(f"{found.invariant} {found.says}: {found.records[:3]}" for found in findings)
