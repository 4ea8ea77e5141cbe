"""``boxoffice up``: the whole shop with one command."""

import os
from pathlib import Path
from typing import Annotated

import typer

from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile


def up(
    *,
    port: Annotated[int, typer.Option(envvar="BOXOFFICE_PORT", help="Port to serve on; 0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(envvar="BOXOFFICE_HOST", help="Address to serve on.")] = "127.0.0.1",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo",
            help="With demo accounts, concerts on sale, a payment simulator and a mailbox. Default: as last time.",
        ),
    ] = None,
    demo_concerts: Annotated[
        int | None, typer.Option(min=1, help="Put only so many of the demo's concerts on sale.")
    ] = None,
    backup_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="BOXOFFICE_BACKUP_DIR",
            file_okay=False,
            help="Folder of backups, on another disk: the databases' log is followed into it (`boxoffice backup`).",
        ),
    ] = None,
    settings: SettingsFile = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "",
) -> None:
    """Start the whole shop: PostgreSQL, Valkey, every service, one port.

    Everything is kept in the data folder and is there again after the next start. Ctrl-C finishes what is going on and
    stops everything; a second Ctrl-C stops at once. The environment's `DATABASE_URL` and `BOXOFFICE_REDIS_URL` replace
    the engines that come with the package; all other settings are in docs/settings.md.

    Exit codes:
    0 stopped when asked ·
    2 wrong command line ·
    3 bad settings ·
    10 a shop is running on this data folder ·
    11 port in use ·
    12 disk full ·
    13 data of a newer version ·
    14 no engine for this platform ·
    15 folder cannot be used ·
    16 an engine failed ·
    17 a service did not start ·
    18 a server cannot be reached ·
    130 stopped by a second Ctrl-C
    """
    from boxoffice.cli.shop import Options, Shop

    options = Options(
        data_dir=data_dir,
        host=host,
        port=port,
        demo=demo,
        demo_concerts=demo_concerts,
        settings_file=settings,
        log_level=log_level,
    )
    environment = dict(os.environ) | ({} if backup_dir is None else {"BOXOFFICE_BACKUP_DIR": str(backup_dir)})
    Shop(options, environment).run()
