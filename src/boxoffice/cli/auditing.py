"""``boxoffice audit``: the invariants of the sale as queries."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile

if TYPE_CHECKING:
    from boxoffice.kernel.ids import EventId
    from boxoffice.runtime.database import Database
    from boxoffice.services.sales.usecases.audit import Finding


def audit(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON, one a line.")] = False,
    lift: Annotated[
        int | None,
        typer.Option("--lift", metavar="EVENT", help="Let the sale of an event go on that the auditor stopped."),
    ] = None,
    accept: Annotated[
        str,
        typer.Option(
            "--accept", metavar="WHY", help="With --lift: accept the records that are still wrong, and say why."
        ),
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Check every invariant of the sale in one snapshot; prints the records that break one and ends with 1.

    Prints too which sales are stopped, and why. With `--lift EVENT` one of them goes on when nothing of it is broken
    any more, or when you accept what is (`--accept "why"`); docs/runbooks/sale-halted.md says what to look at before.
    """
    from boxoffice.runtime.database import Database
    from boxoffice.services.sales.store import terms
    from boxoffice.services.sales.usecases import audit as usecase

    if accept and lift is None:
        raise CommandError("--accept goes with --lift EVENT.", Exit.USAGE)

    async def find(url: str) -> "tuple[Sequence[Finding], list[tuple[EventId, str, str]]]":
        async with Database.open(url, size=1, name="audit", statement_timeout_ms=0) as database:
            if lift is not None:
                return await _lift(database, lift, accept), []
            return await usecase.audit(database), await terms.halted(database)

    with reaching(data_dir, "sales", settings_file=settings) as known:
        findings, halted = asyncio.run(find(required(known, "sales_database_url")))
    for finding in findings:
        _show(finding, as_json=as_json)
    for event_id, name, because in halted if not as_json else []:
        console.out.print(f"[yellow]stopped[/yellow] event {event_id}, {name}: {because}", soft_wrap=True)
    if findings:
        raise typer.Exit(int(Exit.FINDINGS))
    if not as_json:
        console.done("Every invariant holds" if lift is None else f"The sale of event {lift} goes on")


async def _lift(database: "Database", event: int, accept: str) -> "Sequence[Finding]":
    from boxoffice.kernel.ids import EventId
    from boxoffice.services.sales.usecases.lift_halt import lift_halt

    lift = await lift_halt(database, EventId(event), accept=accept or None)
    if not lift.lifted and not lift.findings:
        raise CommandError(f"The sale of event {event} was not stopped.", Exit.REFUSED)
    return lift.findings


def _show(finding: "Finding", *, as_json: bool) -> None:
    if as_json:
        said = {"name": finding.name, "invariant": finding.invariant, "records": finding.records}
        typer.echo(json.dumps(said, default=str))
        return
    console.out.print(f"[red]✗[/red] {finding.invariant} {finding.name}: {finding.says}")
    for record in finding.records:
        console.out.print("   ", json.dumps(record, default=str), soft_wrap=True, markup=False)
