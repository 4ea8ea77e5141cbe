"""Restore a shop from a folder of backups into a new data folder: to the end of the log, or to an instant (I22).

PostgreSQL's own recovery does it: a copy's files, then the log after it (``restore_command``). All of it happens in a
draft beside the new folder, which is renamed when the databases are open: the new folder is there whole or not at all.
"""

import json
import shlex
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boxoffice.runtime.embedded import child, postgres
from boxoffice.runtime.embedded.backup_folder import Backup, BackupFolder
from boxoffice.runtime.embedded.binaries import programs
from boxoffice.runtime.embedded.errors import (
    BackupUnusableError,
    EngineFailedError,
    FolderUnusableError,
    from_os_error,
)
from boxoffice.runtime.embedded.secrets import FILE, write_private

NOTE = "restored.json"
"""In a restored data folder: which instant it was brought to, for ``boxoffice reconcile``."""
REPLAY_S = 6 * 3600.0
"""A week's log of a busy shop; a smaller one is done in moments."""
ENDS_BEFORE = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a data folder was restored to: instants in UTC.

    ``reached_at`` is the commit of the last transaction that came back, none when no log was replayed after the copy.
    """

    backup: str
    until: datetime | None
    reached_at: datetime | None
    copied_at: datetime
    restored_at: datetime

    @property
    def lost_after(self) -> datetime:
        """The instant from which on nothing of this shop is known any more."""
        return self.reached_at or self.copied_at


def restore(
    backups: BackupFolder,
    target: Path,
    *,
    until: datetime | None = None,
    name: str | None = None,
    say: Callable[[str], None] = lambda _what: None,
) -> Restored:
    """Restore into ``target``, which must not exist, or be empty; to ``until``, or to the end of the log.

    :raises BackupUnusableError: when no backup fits, or the log does not reach ``until``.
    :raises EngineError: when the folder is in use, there is no room, or PostgreSQL cannot replay the log.
    """
    target = target.absolute()
    if target.exists() and any(target.iterdir()):
        raise FolderUnusableError(f"{target} is not empty, and a restore never overwrites. Choose a new folder.")
    backup = backups.for_instant(until, name=name)
    if backup.postgres_major != programs().major:
        raise BackupUnusableError(
            f"The backup {backup.name} is PostgreSQL {backup.postgres_major}'s, and this is PostgreSQL "
            f"{programs().major}. Restore it with the version of Boxoffice that wrote it."
        )
    draft = target.with_name(target.name + ".restoring")
    try:
        if draft.exists():
            shutil.rmtree(draft)
        say(f"Copy the backup {backup.name}")
        _copy(backups.base(backup.name), draft)
        say("Replay the log")
        reached_at = _replay(backups, backup, draft, until)
        done = Restored(
            backup=backup.name, until=until, reached_at=reached_at, copied_at=backup.begun_at,
            restored_at=datetime.now(UTC),
        )  # fmt: skip
        _note(draft, done)
        if target.exists():
            target.rmdir()
        draft.rename(target)
    except OSError as error:
        raise from_os_error(error, doing=f"restoring into {target}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return done


def read_note(shop: Path) -> Restored | None:
    """Read what a data folder was restored to; none for one that was not."""
    try:
        said = json.loads((shop / NOTE).read_text())
        at = {name: datetime.fromisoformat(text) if (text := said[name]) else None for name in ("until", "reached_at")}
        return Restored(
            backup=said["backup"], **at, copied_at=datetime.fromisoformat(said["copied_at"]),
            restored_at=datetime.fromisoformat(said["restored_at"]),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise FolderUnusableError(f"{shop / NOTE} cannot be read: {error}.") from error


def _copy(base: Path, draft: Path) -> None:
    shutil.copytree(base / "shop", draft)
    draft.chmod(0o700)
    for folder in ("logs", "search"):
        (draft / folder).mkdir(mode=0o700)
    shutil.copytree(base / "postgres", draft / "postgres", symlinks=True)
    (draft / "postgres").chmod(0o700)
    (draft / "postgres" / "recovery.signal").touch(mode=0o600)
    for path in ((draft / "postgres"), *(draft / "postgres").rglob("*")) if programs().runs_as else ():
        programs().own(path)


def _replay(backups: BackupFolder, backup: Backup, draft: Path, until: datetime | None) -> datetime | None:
    log = draft / "logs" / "restore.log"
    settings = {
        "restore_command": _restore_command(backups.log),
        "recovery_target_timeline": "latest",
        # Nothing of ours may write before the databases are open at the asked instant.
        "hot_standby": "off",
    }
    if until is not None:
        settings |= {"recovery_target_time": until.isoformat(), "recovery_target_action": "promote"}
    password = json.loads((draft / FILE).read_text())["postgres"]
    server = postgres.start(draft / "postgres", password=password, log=log, extra=settings)
    try:
        server.wait_ready(seconds=REPLAY_S)
        reached_at = _last_commit(server.admin_url)
    except EngineFailedError as error:
        if ENDS_BEFORE in child.tail(log):
            newest = backups.read_log().written_at or backup.done_at
            raise BackupUnusableError(
                f"The log has no commit after {until}; it was last written at {newest.isoformat()}. "
                "Leave the instant out to restore all of it."
            ) from error
        raise
    finally:
        server.stop()
    return reached_at


def _restore_command(log: Path) -> str:
    """Write the shell command by which PostgreSQL fetches a segment: a whole one, else the unfinished one."""
    whole = shlex.quote(str(log)).replace("%", "%%") + "/%f"
    return f'cp {whole} "%p" 2>/dev/null || cp {whole}.partial "%p"'


def _last_commit(admin_url: str) -> datetime | None:
    import psycopg2

    with closing(psycopg2.connect(admin_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_last_xact_replay_timestamp()")
        row = cursor.fetchone()
    return None if row is None or row[0] is None else row[0].astimezone(UTC)


def _note(draft: Path, done: Restored) -> None:
    at = {
        name: None if (value := getattr(done, name)) is None else value.isoformat()
        for name in ("until", "reached_at", "copied_at", "restored_at")
    }
    write_private(draft / NOTE, json.dumps({"backup": done.backup, **at}, indent=2) + "\n")
