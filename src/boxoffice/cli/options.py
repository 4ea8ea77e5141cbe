"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

DEFAULT_DATA_DIR = Path(".boxoffice")

DataDir: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="BOXOFFICE_DATA_DIR",
        help="Folder with everything the shop keeps: databases, keys, search index, logs.",
        file_okay=False,
    ),
]
SettingsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        envvar="BOXOFFICE_SETTINGS_FILE",
        help="TOML file with settings (docs/settings.md); the environment wins over it.",
        dir_okay=False,
    ),
]
