"""The demo profile: accounts that everybody knows, and the newest season of concerts on sale in two halls."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.settings import Settings

MARK = "demo"
"""File in the data folder that says: this shop is a demo, also when the next start does not say so."""
LOOK_AGAIN = timedelta(days=1)
"""A season that is over is staged again; until then a start need not read all concerts to find that nothing is new."""

if TYPE_CHECKING:
    from boxoffice.runtime.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """What the demo is written to."""

    identity: "Database"
    catalog: "Database"
    sales: "Database"


def demo(
    concerts: Annotated[int | None, typer.Option(min=1, help="Put only so many concerts on sale.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Make the demo: accounts, two halls, and the newest season on sale some weeks from now. Again: changes nothing."""
    with reaching(data_dir, "identity", "catalog", "sales", settings_file=settings) as known:
        asyncio.run(make(known, concerts=concerts))


async def prepare(settings: Settings, *, folder: Path, concerts: int | None) -> None:
    """Make what the demo needs at a start, unless it was made lately."""
    mark = folder / MARK
    if _made_lately(mark, concerts):
        return
    await make(settings, concerts=concerts)
    mark.write_text(json.dumps({"concerts": concerts, "made_at": datetime.now(UTC).isoformat()}) + "\n")


async def close(settings: Settings, *, folder: Path) -> None:
    """Close the demo's accounts where a shop starts without a demo; the next demo opens them again."""
    from boxoffice.runtime.database import Database
    from boxoffice.services.identity.usecases.close_demo_accounts import close_demo_accounts

    async with Database.open(required(settings, "identity_database_url"), size=1, name="load") as identity:
        closed = await close_demo_accounts(identity)
    if closed:
        mark = folder / MARK
        if mark.exists():
            mark.write_text("")  # still a demo for a start that says nothing, but one whose accounts are to be opened
        console.done(f"Closed {closed} accounts of the demo, whose password everybody knows")


async def make(settings: Settings, *, concerts: int | None) -> None:
    """Make accounts, halls and concerts where they are missing, and put the concerts on sale."""
    from boxoffice.cli.staging import open_halls
    from boxoffice.services.catalog.usecases.stage_demo import stage_demo
    from boxoffice.services.identity.usecases.ensure_demo_accounts import ensure_demo_accounts

    async with databases(settings) as known:
        accounts = await ensure_demo_accounts(known.identity)
        with console.counting("Stage the newest season") as progress:
            staged = await stage_demo(
                known.catalog, organisation=accounts.organisation, at_most=concerts, progress=progress
            )
        with console.counting("Put concerts on sale") as progress:
            opened = await open_halls(known.sales, staged.halls, progress=progress)
    there = sum(len(hall.events) for hall in staged.halls)
    console.done(f"{there} concerts are on sale, {opened} of them new")


def _made_lately(mark: Path, concerts: int | None) -> bool:
    try:
        said = json.loads(mark.read_text())
        made_at, before = datetime.fromisoformat(said["made_at"]), said["concerts"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    enough = before is None or (concerts is not None and concerts <= before)
    return enough and datetime.now(UTC) - made_at < LOOK_AGAIN


@asynccontextmanager
async def databases(settings: Settings) -> AsyncIterator[Databases]:
    """Open the three databases for a long command: one connection each, no statement timeout."""
    from boxoffice.runtime.database import Database

    async with (
        Database.open(required(settings, "identity_database_url"), size=1, name="load") as identity,
        Database.open(
            required(settings, "catalog_database_url"), size=1, name="load", statement_timeout_ms=0
        ) as catalog,
        Database.open(required(settings, "sales_database_url"), size=1, name="load", statement_timeout_ms=0) as sales,
    ):
        yield Databases(identity=identity, catalog=catalog, sales=sales)
