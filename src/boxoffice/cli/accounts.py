"""``boxoffice admin``: accounts of the platform's own people."""

import asyncio
import sys
from typing import Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile

admin = typer.Typer(no_args_is_help=True, help="Accounts of the platform's own people.")


@admin.callback()
def _group() -> None:
    """Keep `admin` a group of commands while it has only one."""


@admin.command("create")
def create(
    *,
    email: Annotated[str, typer.Option(help="Address of the account; one that exists becomes an administrator.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Make an administrator. The password is asked for, or read from standard input; never from the command line."""
    from boxoffice.runtime.database import Database
    from boxoffice.services.identity.usecases.create_administrator import create_administrator

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else typer.prompt("Password", hide_input=True)
    if not password:
        raise CommandError("There is no password on standard input.", Exit.USAGE)

    async def make(url: str) -> None:
        async with Database.open(url, size=1, name="admin") as database:
            await create_administrator(database, email, password)

    with reaching(data_dir, "identity", settings_file=settings) as known:
        asyncio.run(make(required(known, "identity_database_url")))
    console.done(f"{email} is an administrator")
