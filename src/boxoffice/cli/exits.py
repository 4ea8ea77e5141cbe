"""Exit codes of the command line: one for each thing that a script may want to tell apart.

``docs/exit-codes.md`` is generated from :class:`Exit`.
"""

from enum import IntEnum

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.embedded import errors as engine


class Exit(IntEnum):
    """What the process ends with."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    BAD_SETTINGS = 3
    ALREADY_RUNNING = 10
    PORT_IN_USE = 11
    DISK_FULL = 12
    NEWER_DATA = 13
    NO_ENGINE = 14
    FOLDER_UNUSABLE = 15
    ENGINE_FAILED = 16
    PART_FAILED = 17
    UNREACHABLE = 18
    REFUSED = 19
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "Done; also after Ctrl-C or SIGTERM, when everything was finished and stopped.",
    Exit.FINDINGS: "`audit`, `doctor`, `backup` or `reconcile` found something; it is printed.",
    Exit.USAGE: "The command line cannot be understood.",
    Exit.BAD_SETTINGS: "Settings that cannot be used; every complaint is printed.",
    Exit.ALREADY_RUNNING: "A shop is running on this data folder already.",
    Exit.PORT_IN_USE: "Somebody else listens on the port.",
    Exit.DISK_FULL: "The disk has no room left.",
    Exit.NEWER_DATA: "The data folder or a database was written by a newer version.",
    Exit.NO_ENGINE: "There is no PostgreSQL or Valkey for this platform, or no Java or Kafka for `full`.",
    Exit.FOLDER_UNUSABLE: "The data folder cannot be read or written.",
    Exit.ENGINE_FAILED: "PostgreSQL, Valkey, Kafka, Kafka Connect or a simulator did not start, or ended by itself.",
    Exit.PART_FAILED: "A service or a connector did not start, or a process of `full` ended by itself.",
    Exit.UNREACHABLE: "A database, Valkey, MongoDB or another service cannot be reached.",
    Exit.REFUSED: "The input was refused; the reason is printed.",
    Exit.INTERRUPTED: "Stopped at once by a second Ctrl-C.",
}


class CommandError(Exception):
    """One clear sentence for the person at the terminal, and the exit code that goes with it."""

    def __init__(self, sentence: str, code: Exit) -> None:
        super().__init__(sentence)
        self.code = code


ENGINE_CODES: dict[type[Exception], Exit] = {
    engine.AlreadyRunningError: Exit.ALREADY_RUNNING,
    engine.DiskFullError: Exit.DISK_FULL,
    engine.NewerFolderError: Exit.NEWER_DATA,
    engine.EngineMissingError: Exit.NO_ENGINE,
    engine.FolderUnusableError: Exit.FOLDER_UNUSABLE,
    engine.BackupUnusableError: Exit.REFUSED,
    engine.EngineError: Exit.ENGINE_FAILED,
}


def code_of(error: Exception) -> Exit | None:
    """Tell the exit code of an error that was foreseen; none for a bug."""
    if isinstance(error, CommandError):
        return error.code
    for kind, code in ENGINE_CODES.items():
        if isinstance(error, kind):
            return code
    if isinstance(error, DomainError):
        return Exit.UNREACHABLE if error.category is Category.UNAVAILABLE else Exit.REFUSED
    return _code_of_others(error)


def _code_of_others(error: Exception) -> Exit | None:
    """Look at the types whose modules take long to import, only once something went wrong."""
    from boxoffice.runtime.settings import BadSettingsError

    if isinstance(error, BadSettingsError):
        return Exit.BAD_SETTINGS
    name = type(error).__name__
    by_name = {
        "NewerSchemaError": Exit.NEWER_DATA,
        "PartFailedError": Exit.PART_FAILED,
        "OperationalError": Exit.UNREACHABLE,
        "KafkaConnectionError": Exit.UNREACHABLE,
        "ConnectRefusedError": Exit.UNREACHABLE,
    }
    if name in by_name:
        return by_name[name]
    return Exit.UNREACHABLE if isinstance(error, ConnectionError) else None


def table() -> str:
    """Write docs/exit-codes.md."""
    lines = ["# Exit codes", "", "Generated from `cli/exits.py` by `make docs`.", "", "| code | name | meaning |"]
    lines.append("|---:|---|---|")
    lines.extend(f"| {code.value} | {code.name.lower()} | {MEANINGS[code]} |" for code in Exit)
    return "\n".join(lines) + "\n"
