"""The files that come with the project: halls and concerts, beside the sources or inside the installed package."""

from pathlib import Path

import boxoffice


def folder() -> Path:
    """Find the data folder."""
    package = Path(boxoffice.__file__).parent
    installed = package.parent / "boxoffice_data"
    return installed if installed.is_dir() else package.parents[1] / "data"


def hall(name: str) -> Path:
    """Name a hall's file ("hk-city-hall-theatre")."""
    return folder() / "halls" / f"{name}.json"


def concerts() -> list[Path]:
    """List the files of concerts, oldest first."""
    return sorted((folder() / "concerts").glob("*.json.gz"))
