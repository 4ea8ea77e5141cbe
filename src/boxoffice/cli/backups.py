"""``boxoffice backup``, ``restore`` and ``reconcile``: copies of the databases, and the way back from one (I22)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.table import Table

from boxoffice.cli import console
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir

if TYPE_CHECKING:
    from boxoffice.runtime.embedded.backup_folder import Backup, BackupFolder
    from boxoffice.runtime.embedded.folder import DataFolder

HOWTO = "docs/howto/back-up-and-restore.md"
MEGABYTE = 1024 * 1024

backup = typer.Typer(
    no_args_is_help=True, help="Copies of the databases that come with the package, and the log after them."
)

BackupDir = Annotated[
    Path,
    typer.Option(
        "--backup-dir", envvar="BOXOFFICE_BACKUP_DIR", file_okay=False,
        help="Folder of this shop's backups, on another disk. `up` follows the databases' log into it.",
    ),
]  # fmt: skip
Named = Annotated[str | None, typer.Argument(help="As `backup list` shows it; default: the newest.", metavar="NAME")]


@backup.command("create")
def create(
    backup_dir: BackupDir,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    keep: Annotated[int, typer.Option(min=1, help="Remove older backups than so many, and log that none needs.")] = 7,
) -> None:
    """Copy the databases while the shop runs (or start them for this); run it every night.

    With the databases go the keys that sign tickets, and the secrets: keep the folder as private as the shop's own.
    """
    from boxoffice.runtime.embedded import backups as programs
    from boxoffice.runtime.embedded.backup_folder import BackupFolder
    from boxoffice.runtime.embedded.folder import DataFolder

    folder, shop = BackupFolder(backup_dir), DataFolder(data_dir)
    with _server(shop) as admin_url, console.step("Copy the databases"):
        made = programs.create(folder, shop, admin_url=admin_url)
    for name in folder.forget(keep=keep):
        console.done(f"Removed {name}")
    console.done(f"{made.name}: {made.size_bytes // MEGABYTE} MB in {folder.base(made.name)}")


@backup.command("list")
def show(
    *, backup_dir: BackupDir, as_json: Annotated[bool, typer.Option("--json", help="Print as one JSON object.")] = False
) -> None:
    """List the backups and how far the log after them reaches; ends with 1 when there is none, or the log has a gap."""
    from boxoffice.runtime.embedded.backup_folder import BackupFolder

    folder = BackupFolder(backup_dir)
    known, log = folder.backups(), folder.read_log()
    if as_json:
        said = {
            "backups": [
                {"name": one.name, "doneAt": one.done_at.isoformat(), "bytes": one.size_bytes} for one in known
            ],
            "log": {
                "segments": len(log.segments), "bytes": log.size_bytes, "gaps": [list(gap) for gap in log.gaps],
                "writtenAt": None if log.written_at is None else log.written_at.isoformat(),
            },
        }  # fmt: skip
        typer.echo(json.dumps(said))
    else:
        table = Table("backup", "complete at", "MB")
        for one in known:
            table.add_row(one.name, one.done_at.isoformat(timespec="seconds"), str(one.size_bytes // MEGABYTE))
        console.out.print(table)
        console.out.print(_of_log(log.written_at, len(log.segments), log.size_bytes))
        for before, after in log.gaps:
            console.warn(f"The log lacks what came between {before} and {after}. Make a new backup now.")
    if not known or log.gaps:
        raise typer.Exit(int(Exit.FINDINGS))


@backup.command("verify")
def verify(
    *,
    backup_dir: BackupDir,
    name: Named = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Restore it too, to the end of the log, and ask every rule of the sale.")
    ] = False,
) -> None:
    """Compare every file of a backup with its sum, and look for gaps in the log; with --drill restore it for real.

    A backup that nobody ever restored is a hope. The drill needs room for the databases in the folder of backups, takes
    minutes, and leaves nothing behind; run it every week.
    """
    from boxoffice.runtime.embedded import backups as programs
    from boxoffice.runtime.embedded.backup_folder import BackupFolder

    folder = BackupFolder(backup_dir)
    chosen = folder.for_instant(None, name=name)
    with console.step(f"Check the files of {chosen.name}"):
        programs.verify(folder, chosen)
    if drill:
        _drill(folder, chosen)
    console.done(f"{chosen.name} is whole")


def restore(
    backup_dir: BackupDir,
    into: Annotated[Path, typer.Option("--into", help="The new data folder. It must not exist, or be empty.")],
    to_time: Annotated[
        str | None,
        typer.Option(help="Up to this instant, such as 2026-11-27T18:45:00+00:00; default: all that there is."),
    ] = None,
    name: Named = None,
) -> None:
    """Restore a backup and the log after it into a new data folder. Nothing is ever overwritten.

    Then, before you open the shop again: `boxoffice reconcile --data-dir NEW`. Money that moved after the restored
    instant is at the payment provider, and its seats look free.
    """
    from boxoffice.runtime.embedded.backup_folder import BackupFolder
    from boxoffice.runtime.embedded.restoring import restore as bring_back

    done = bring_back(BackupFolder(backup_dir), into, until=instant(to_time), name=name, say=console.done)
    console.done(f"{into} is as the shop was at {done.lost_after.isoformat()}")
    console.out.print(f"Now run: boxoffice reconcile --data-dir {into}", markup=False)


def _drill(folder: "BackupFolder", chosen: "Backup") -> None:
    """Restore into a folder that is removed again, start PostgreSQL on it, and ask the auditor."""
    import shutil
    import tempfile

    from boxoffice.runtime.embedded import postgres
    from boxoffice.runtime.embedded.folder import DataFolder
    from boxoffice.runtime.embedded.restoring import restore as bring_back

    place = Path(tempfile.mkdtemp(prefix="drill-", dir=folder.path))
    try:
        with console.step("Restore it"):
            done = bring_back(folder, place / "shop", name=chosen.name)
        shop = DataFolder(place / "shop")
        secrets = json.loads((shop.path / "secrets.json").read_text())
        with console.step("Ask every rule of the sale"):
            server = postgres.start_ready(
                shop.postgres, password=secrets["postgres"], log=shop.logs / "postgres.log"
            )  # fmt: skip
            try:
                findings = _audit(server.url("sales", postgres.SUPERUSER, secrets["postgres"]))
            finally:
                server.stop()
        if findings:
            raise CommandError(f"The restored sale breaks: {', '.join(findings)}.", Exit.FINDINGS)
        console.done(f"Restored up to {done.lost_after.isoformat()}, and every invariant holds")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _audit(url: str) -> list[str]:
    import asyncio

    from boxoffice.runtime.database import Database
    from boxoffice.services.sales.usecases.audit import audit

    async def find() -> list[str]:
        async with Database.open(url, size=1, name="drill", statement_timeout_ms=0) as database:
            return [finding.name for finding in await audit(database)]

    return asyncio.run(find())


@contextmanager
def _server(shop: "DataFolder") -> Iterator[str]:
    """Give the superuser's URL of the shop's own PostgreSQL: the running one, or one that is started for this."""
    import os

    from boxoffice.runtime.embedded import postgres, secrets

    if "DATABASE_URL" in os.environ or not (shop.postgres / "PG_VERSION").exists():
        raise CommandError(
            f"There are no databases of the package's own in {shop.path}. Back up a PostgreSQL of yours with its own "
            f"tools: {HOWTO}.",
            Exit.REFUSED,
        )
    running = shop.running()
    password = secrets.ensure(shop.path, ["postgres"])["postgres"]
    if running is not None:
        port = urlsplit(running.settings["sales_database_url"]).port
        yield postgres.admin_url(password, int(port or 0))
        return
    shop.open()
    try:
        server = postgres.start_ready(shop.postgres, password=password, log=shop.logs / "postgres.log")
        try:
            yield server.admin_url
        finally:
            server.stop()
    finally:
        shop.close()


def _of_log(written_at: datetime | None, segments: int, size_bytes: int) -> str:
    if written_at is None:
        return "No log is kept: a backup can be restored to its own end only. Start the shop with --backup-dir."
    age = (datetime.now(UTC) - written_at).total_seconds()
    return f"The log after them: {segments} files, {size_bytes // MEGABYTE} MB, last written {age:.0f} s ago."


def instant(text: str | None) -> datetime | None:
    """Read an instant of the command line.

    :raises CommandError: when it is none, or does not say in which zone.
    """
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no instant; write 2026-11-27T18:45:00+00:00.", Exit.USAGE) from None
    if read.tzinfo is None:
        raise CommandError(f"{text!r} does not say where: add an offset, such as +00:00.", Exit.USAGE)
    return read
