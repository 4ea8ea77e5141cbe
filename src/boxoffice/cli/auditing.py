"""``boxoffice audit``: the invariants of the sale as queries."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile

if TYPE_CHECKING:
    from boxoffice.services.sales.usecases.audit import Finding


def audit(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON, one a line.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Check every invariant of the sale in one snapshot; prints the records that break one and ends with 1."""
    from boxoffice.runtime.database import Database
    from boxoffice.services.sales.usecases import audit as usecase

    async def find(url: str) -> "list[Finding]":
        async with Database.open(url, size=1, name="audit", statement_timeout_ms=0) as database:
            return await usecase.audit(database)

    with reaching(data_dir, "sales", settings_file=settings) as known:
        findings = asyncio.run(find(required(known, "sales_database_url")))
    for finding in findings:
        _show(finding, as_json=as_json)
    if findings:
        raise typer.Exit(int(Exit.FINDINGS))
    if not as_json:
        console.done("Every invariant holds")


def _show(finding: "Finding", *, as_json: bool) -> None:
    if as_json:
        said = {"name": finding.name, "invariant": finding.invariant, "records": finding.records}
        typer.echo(json.dumps(said, default=str))
        return
    console.out.print(f"[red]✗[/red] {finding.invariant} {finding.name}: {finding.says}")
    for record in finding.records:
        console.out.print("   ", json.dumps(record, default=str), soft_wrap=True, markup=False)
