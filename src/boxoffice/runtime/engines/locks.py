"""Where the lists of engines' files are: in the checkout, beside the other files of deployment."""

from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineMissingError

FOLDER = Path(__file__).parents[4] / "deploy" / "engines"


def lock(engine: str) -> Path:
    """Return an engine's lock file.

    :raises EngineMissingError: outside a checkout.
    """
    path = FOLDER / f"{engine}.lock"
    if not path.is_file():
        raise EngineMissingError(f"{path} is not there: the engines of the full profile are started from a checkout.")
    return path
