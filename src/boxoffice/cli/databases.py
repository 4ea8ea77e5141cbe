"""``boxoffice migrate`` and ``boxoffice settings``: schemas, and the tables of settings and exit codes."""

from enum import StrEnum
from typing import Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import reaching, required
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.embedded.engines import SERVICES

settings_app = typer.Typer(no_args_is_help=True, help="Show what can be set.")

Service = StrEnum("Service", {name: name for name in SERVICES})  # type: ignore[misc] # mypy wants literals


def migrate(
    services: Annotated[list[Service] | None, typer.Argument(help="Which databases; default: all.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Bring the databases to this version's schema. Several may be started at once: one works, the others wait."""
    from boxoffice.runtime import migrations

    chosen = [str(service) for service in services or SERVICES]
    with reaching(data_dir, *chosen, settings_file=settings, migrated=False) as known:
        for service in chosen:
            revision = migrations.migrate(service, required(known, f"{service}_database_url"))
            console.done(f"{service}: {revision}")


@settings_app.command("table")
def table() -> None:
    """Print every setting with its default: docs/settings.md."""
    from boxoffice.runtime import settings

    typer.echo(settings.table(), nl=False)


@settings_app.command("exit-codes")
def exit_codes() -> None:
    """Print every exit code with its meaning: docs/exit-codes.md."""
    from boxoffice.cli import exits

    typer.echo(exits.table(), nl=False)
