"""Where the lists of engines' files are: beside the sources in a checkout, beside the package when installed."""

from pathlib import Path

import boxoffice


def _folder() -> Path:
    package = Path(boxoffice.__file__).parent
    installed = package.parent / "boxoffice_engines"
    return installed if installed.is_dir() else package.parents[1] / "deploy" / "engines"


def lock(engines: str) -> Path:
    """Return the lock file of an engine, or of some that come together."""
    return _folder() / f"{engines}.lock"


def requirements(engine: str) -> Path:
    """Return the locked packages of an engine that comes from the Python package index."""
    return _folder() / f"{engine}.requirements.txt"


def every_lock() -> list[Path]:
    """List all lock files."""
    return sorted(_folder().glob("*.lock"))
