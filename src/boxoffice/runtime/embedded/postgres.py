"""PostgreSQL with its files in a data folder: TCP on loopback, scram passwords, logical WAL, durable by default.

Invariant I11 rests on it: fsync, synchronous_commit and full_page_writes stay on unless a test turns them off. A
cluster appears whole or not at all (initdb works in a draft folder that is renamed).
"""

import signal
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.binaries import Programs, programs
from boxoffice.runtime.embedded.errors import (
    EngineFailedError,
    FolderUnusableError,
    from_os_error,
)
from boxoffice.runtime.embedded.ports import LOOPBACK, free_port
from boxoffice.runtime.embedded.secrets import write_private

SUPERUSER = "postgres"
READY_S = 120.0
"""Recovery after a crash replays at most ``max_wal_size`` (1 GB); seen to take about a second for our loads."""
STOP_S = 30.0
BUILTIN_LOCALES_SINCE = 17
STARTS = 3
"""Another program may take the port between our looking and the server's binding."""

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_slot_wal_keep_size": "1GB",  # a forgotten replication slot must not fill the disk
    "max_connections": "200",  # every service's pool in one process, jobs, and somebody with psql
    "shared_buffers": "256MB",  # the seats of some thousand events; what is not touched takes no memory
    "min_wal_size": "256MB",  # log files kept for use again: making a new one stops every writer for some 50 ms
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # statements and details may carry what people typed
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


class Postgres:
    """One running PostgreSQL server."""

    def __init__(self, process: child.Child, *, folder: Path, port: int, password: str) -> None:
        self.process = process
        self.port = port
        self._folder = folder
        self._password = password

    @property
    def admin_url(self) -> str:
        """The superuser's URL of the maintenance database."""
        return admin_url(self._password, self.port)

    def url(self, database: str, role: str, password: str) -> str:
        """Write the URL of one database for one role."""
        return f"postgresql://{role}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/{database}"

    def wait_ready(self, *, seconds: float = READY_S) -> None:
        """Wait until it takes connections.

        :raises EngineError: when it does not.
        """
        self.process.wait_until(self._is_ready, seconds=seconds)

    def stop(self) -> None:
        """Disconnect everybody, write a checkpoint and end ("fast shutdown")."""
        self.process.stop(seconds=STOP_S)

    def _is_ready(self) -> bool:
        """Read the postmaster's own word for it: pid and state are lines 1 and 8 of its pid file."""
        try:
            lines = (self._folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - as said


def admin_url(password: str, port: int) -> str:
    """Write the superuser's URL of the maintenance database of a server of ours."""
    return f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{LOOPBACK}:{port}/postgres"


def start(
    folder: Path,
    *,
    password: str,
    log: Path,
    durable: bool = True,
    extra: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Postgres:
    """Begin to start the server whose cluster is in ``folder``, making the cluster when there is none.

    Call ``wait_ready`` before using it. ``extra`` are settings of PostgreSQL over ours, for measurements.

    :raises EngineError: when there are no programs, or the folder cannot be used.
    """
    found = programs()
    child.end_leftovers(folder, stop_signal=signal.SIGINT, seconds=STOP_S)
    if not (folder / "PG_VERSION").exists():
        _initialise(found, folder, password=password, durable=durable)
    _check_version(found, folder)
    _forget_stale_pid(folder)
    port = port or free_port()
    settings = {**SETTINGS, "port": str(port), **(DURABLE if durable else FORGETFUL), **(extra or {})}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = child.start(
        found.command("postgres", "-D", folder, *arguments),
        name="PostgreSQL",
        log=log,
        folder=folder,
        stop_signal=signal.SIGINT,
    )
    return Postgres(process, folder=folder, port=port, password=password)


def start_ready(
    folder: Path, *, password: str, log: Path, durable: bool = True, extra: Mapping[str, str] | None = None
) -> Postgres:
    """Start a server and wait for it, on another port when somebody took the first one.

    :raises EngineError: when it does not come up.
    """
    server = start(folder, password=password, log=log, durable=durable, extra=extra)
    return ready(server, folder, log=log, durable=durable, extra=extra)


def ready(
    server: Postgres, folder: Path, *, log: Path, durable: bool = True, extra: Mapping[str, str] | None = None
) -> Postgres:
    """Wait for a server, on another port when somebody took the first one.

    :raises EngineError: when it does not come up.
    """
    for attempt in range(1, STARTS + 1):
        try:
            server.wait_ready()
        except EngineFailedError as error:
            server.process.kill()
            if attempt == STARTS or "Address already in use" not in str(error):
                raise
            server = start(folder, password=server._password, log=log, durable=durable, extra=extra)  # noqa: SLF001 - ours
        else:
            break
    return server


def _initialise(found: Programs, folder: Path, *, password: str, durable: bool) -> None:
    draft, log = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".new.log")
    password_file = folder.with_name(folder.name + ".password")
    child.end_leftovers(draft, stop_signal=signal.SIGKILL, seconds=STOP_S)
    _remove_tree(draft)
    try:
        draft.mkdir(mode=0o700, parents=True)
        write_private(password_file, password + "\n")
        found.own(draft)
        found.own(password_file)
        _run_initdb(found, draft, password_file, log=log, durable=durable)
        draft.rename(folder)
    except OSError as error:
        _remove_tree(draft)
        raise from_os_error(error, doing="making PostgreSQL's files") from error
    finally:
        password_file.unlink(missing_ok=True)
        log.unlink(missing_ok=True)


def _run_initdb(found: Programs, draft: Path, password_file: Path, *, log: Path, durable: bool) -> None:
    locale = ["--locale-provider=builtin"] if found.major >= BUILTIN_LOCALES_SINCE else []
    initdb = child.start(
        found.command(
            "initdb", "-D", draft, "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file}",
            *locale, "--locale=C.UTF-8", "--encoding=UTF8", *([] if durable else ["--no-sync"]),
        ),
        name="initdb", log=log, folder=draft, stop_signal=signal.SIGKILL,
    )  # fmt: skip
    try:
        if initdb.wait() != 0:
            raise initdb.failure("PostgreSQL could not make its files")
    finally:
        initdb.kill()


def _remove_tree(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _check_version(found: Programs, folder: Path) -> None:
    written_by = int((folder / "PG_VERSION").read_text())
    if written_by != found.major:
        raise FolderUnusableError(
            f"The files in {folder} are PostgreSQL {written_by}'s, and this is PostgreSQL {found.major}. "
            "Use the version of Boxoffice that wrote them, or dump and load."
        )


def _forget_stale_pid(folder: Path) -> None:
    """Remove a pid file whose number was given to another program: PostgreSQL would take that for its own server.

    Nobody works in the folder (``end_leftovers`` saw to it), so no server of it is alive.
    """
    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
        Path(f"/proc/{pid}").stat()
    except (OSError, ValueError, IndexError):
        return
    pid_file.unlink()


def provision(admin_url: str, owners: dict[str, str], *, prefix: str = "") -> dict[str, str]:
    """Make one database and one owner role for each service (name -> password); returns service -> URL.

    Running it again changes nothing but the passwords, which become the given ones.
    """
    import psycopg2
    from psycopg2 import sql

    with closing(psycopg2.connect(admin_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            roles = _names(cursor, "SELECT rolname FROM pg_roles")
            databases = _names(cursor, "SELECT datname FROM pg_database")
            for service, password in owners.items():
                name = sql.Identifier(prefix + service)
                verb = sql.SQL("ALTER" if prefix + service in roles else "CREATE")
                cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, sql.Literal(password)))
                if prefix + service not in databases:
                    cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
                    cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))
    return {service: of_database(admin_url, prefix + service, password) for service, password in owners.items()}


def make_replicating_role(admin_url: str, name: str, password: str) -> None:
    """Make a role that may follow changes of the server's databases, as far as their owners let it in.

    Running it again changes nothing but the password, which becomes the given one.
    """
    import psycopg2
    from psycopg2 import sql

    with closing(psycopg2.connect(admin_url)) as connection, connection, connection.cursor() as cursor:
        known = name in _names(cursor, "SELECT rolname FROM pg_roles")
        statement = sql.SQL("{} ROLE {} LOGIN REPLICATION PASSWORD {}")
        verb = sql.SQL("ALTER" if known else "CREATE")
        cursor.execute(statement.format(verb, sql.Identifier(name), sql.Literal(password)))


def of_database(admin_url: str, name: str, password: str) -> str:
    """Write the URL of a service's database on the server of another URL."""
    parts = urlsplit(admin_url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{place}", path=f"/{unquote(name)}"))


def _names(cursor: Any, query: str) -> Iterable[str]:
    cursor.execute(query)
    return {row[0] for row in cursor.fetchall()}
