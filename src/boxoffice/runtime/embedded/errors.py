"""What can go wrong when an engine is started: each error is one clear sentence that says what to do."""


class EngineError(Exception):
    """An engine could not be started or stopped."""


class EngineMissingError(EngineError):
    """No binary of an engine for this platform."""


class EngineFailedError(EngineError):
    """An engine was started and did not become ready; the text ends with the last lines of its log."""


class DiskFullError(EngineError):
    """The disk of the data folder has no room left."""


class FolderUnusableError(EngineError):
    """The data folder cannot be written, or another user cannot reach it."""


class AlreadyRunningError(EngineError):
    """Another process works in the data folder."""


class NewerFolderError(EngineError):
    """The data folder was written by a newer version of the program."""


class BackupUnusableError(EngineError):
    """A folder of backups is another shop's, or has none that fits what was asked for."""


def is_about_a_full_disk(said: str) -> bool:
    """Whether an engine complains about a full disk (PostgreSQL only hints at it when a write was cut short)."""
    return "No space left on device" in said or "Check free disk space" in said


def from_os_error(error: OSError, *, doing: str) -> EngineError:
    """Say an operating system's complaint plainly; ``doing`` completes "while …"."""
    import errno

    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"The disk is full (while {doing}). Free some space and start again.")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return FolderUnusableError(f"{error.filename or 'The folder'} cannot be written (while {doing}).")
    return EngineFailedError(f"{error.strerror or error} (while {doing}).")
