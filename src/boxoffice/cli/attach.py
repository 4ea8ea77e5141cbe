"""How a command reaches the databases: those of the environment, of the running shop, or engines of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from boxoffice.cli import console
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.settings import Settings, env_name, load


@contextmanager
def reaching(
    data_dir: Path,
    *services: str,
    needs: Sequence[str] = (),
    settings_file: Path | None = None,
    migrated: bool = True,
) -> Iterator[Settings]:
    """Give settings that reach the databases of ``services``, and have what else is in ``needs``, while inside.

    Order: the environment or the settings file, the shop that runs on the folder, engines started for this command.

    :raises EngineError: when engines of our own do not come up.
    :raises CommandError: when a shop is just starting or stopping.
    """
    names = [*needs, *(f"{service}_database_url" for service in services)]
    given = load(file=settings_file)
    if all(getattr(given, name) for name in names):
        yield given
        return
    folder = DataFolder(data_dir)
    running = folder.running()
    if running is not None:
        yield load(file=settings_file, defaults=running.settings)
        return
    with _own_engines(folder, settings_file=settings_file, migrated=migrated) as settings:
        yield settings


@contextmanager
def _own_engines(folder: DataFolder, *, settings_file: Path | None, migrated: bool) -> Iterator[Settings]:
    folder.open()
    # The slot keeps the log for whoever follows it: no command has to, and one on a restored shop must not.
    engines = Engines(folder, {name: value for name, value in os.environ.items() if name != env_name("backup_dir")})
    try:
        with console.step(f"Start the engines of {folder.path} for this command"):
            engines.begin()
            known = engines.wait()
        defaults = {
            **known,
            "signing_key_file": str(folder.keys / "tokens.pem"),
            "ticket_key_file": str(folder.keys / "tickets.pem"),
            "search_index_dir": str(folder.search),
        }
        settings = load(file=settings_file, defaults=defaults)
        if migrated:
            from boxoffice.cli.schemas import migrate_all

            migrate_all(settings)
        yield settings
    finally:
        engines.stop()
        folder.close()


def required(settings: Settings, name: str) -> str:
    """Give a setting that a command cannot do without.

    :raises CommandError: naming the variable, when it is not set.
    """
    value = getattr(settings, name)
    if not value:
        raise CommandError(f"{env_name(name)} is not set.", Exit.BAD_SETTINGS)
    return str(value)
