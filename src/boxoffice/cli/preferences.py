"""``boxoffice preferences``: where it is kept what users chose, and carrying it elsewhere."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile

preferences = typer.Typer(no_args_is_help=True, help="Where preferences are kept.")


class To(StrEnum):
    """The stores."""

    MONGODB = "mongodb"
    POSTGRESQL = "postgresql"


@preferences.callback()
def _group() -> None:
    """Keep `preferences` a group of commands while it has only one."""


@preferences.command("carry")
def carry(
    to: Annotated[To, typer.Option("--to", help="Where they are to be kept.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Carry what users chose from PostgreSQL to MongoDB, or back. `BOXOFFICE_MONGODB_URL` must be set both ways.

    While they are on their way, and for a process whose settings do not say where they are then, preferences can be
    neither read nor changed and news wait; all other mails go on. So: carry to MongoDB first and then set the URL for
    notification; carry back first and then take the URL away. A carrying that broke off is begun again with the same
    command.
    """
    with reaching(data_dir, "notification", settings_file=settings) as known:
        required(known, "mongodb_url")
        from boxoffice.services.notification.app import carry_to
        from boxoffice.services.notification.domain.preferences import Home

        with console.step(f"Carry preferences to {to}"):
            carried = asyncio.run(carry_to(known, Home(to)))
        if carried is None:
            console.done(f"They are in {to} already")
        else:
            console.done(f"{carried} users' preferences are in {to} now")
