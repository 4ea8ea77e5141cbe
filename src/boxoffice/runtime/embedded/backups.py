"""Make and check copies of the databases' files while they are in use: ``pg_basebackup``, ``pg_verifybackup`` (I22)."""

import json
import shutil
import signal
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from boxoffice.runtime.embedded import child
from boxoffice.runtime.embedded.backup_folder import NAME_FORMAT, Backup, BackupFolder, segment_of
from boxoffice.runtime.embedded.binaries import programs
from boxoffice.runtime.embedded.errors import BackupUnusableError, EngineFailedError, from_os_error
from boxoffice.runtime.embedded.folder import DataFolder
from boxoffice.runtime.embedded.log_archive import reached

SHOP_FILES = ("VERSION", "secrets.json", "demo")
"""What belongs to the databases and is not in them; with the keys. The search index is made again from the catalog."""


def create(backups: BackupFolder, shop: DataFolder, *, admin_url: str) -> Backup:
    """Copy the databases, with the log that was written meanwhile, the keys and the secrets. It takes a minute or many.

    A copy is complete by itself: it can be restored to its own end without any other file.

    :raises EngineError: when it fails; nothing is left of it then.
    """
    backups.claim(shop.path)
    begun_at = datetime.now(UTC)
    name = begun_at.strftime(NAME_FORMAT)
    draft = backups.base(name + ".new")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        programs().own(draft)
        address, environment = reached(admin_url)
        _run(
            "pg_basebackup",
            [
                f"--pgdata={draft / 'postgres'}", "--format=plain", "--wal-method=stream", "--checkpoint=fast",
                f"--label=boxoffice {name}", f"--dbname={address}", "--no-password",
            ],
            folder=draft, environment=environment,
        )  # fmt: skip
        _copy_shop(shop, draft / "shop")
        made = Backup(
            name=name, begun_at=begun_at, done_at=datetime.now(UTC), first_segment=_first_segment(draft / "postgres"),
            size_bytes=sum(file.stat().st_size for file in draft.rglob("*") if file.is_file()),
            postgres_major=programs().major,
        )  # fmt: skip
        made.write(draft)
        draft.rename(backups.base(name))
    except OSError as error:
        raise from_os_error(error, doing=f"copying the databases to {draft}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def verify(backups: BackupFolder, backup: Backup) -> None:
    """Compare every file of a copy with the sums that were written down with it, and look for gaps in the log after it.

    :raises BackupUnusableError: when a file differs, or is missing.
    """
    folder = backups.base(backup.name)
    try:
        _run("pg_verifybackup", ["--quiet", str(folder / "postgres")], folder=folder)
    except EngineFailedError as error:
        raise BackupUnusableError(f"The backup {backup.name} is damaged. {error}") from error
    missing = [name for name in ("secrets.json", "keys") if not (folder / "shop" / name).exists()]
    if missing:
        raise BackupUnusableError(f"The backup {backup.name} lacks {' and '.join(missing)} of the shop.")
    kept = backups.read_log()
    needed = [gap for gap in kept.gaps if gap[1] > backup.first_segment]
    if needed:
        raise BackupUnusableError(
            f"The log has a gap after {needed[0][0]}: the backup {backup.name} cannot be brought past it. "
            "Make a new backup now."
        )
    if kept.segments and backup.first_segment < kept.segments[0]:
        raise BackupUnusableError(f"The log begins with {kept.segments[0]}, after what the backup {backup.name} needs.")


def _first_segment(cluster: Path) -> str:
    """Read from the manifest where the copy's log begins (https://www.postgresql.org/docs/current/backup-manifest-wal-ranges.html)."""
    ranges = json.loads((cluster / "backup_manifest").read_text())["WAL-Ranges"]
    return min(segment_of(one["Timeline"], one["Start-LSN"]) for one in ranges)


def _copy_shop(shop: DataFolder, target: Path) -> None:
    target.mkdir(mode=0o700)
    for name in SHOP_FILES:
        if (shop.path / name).exists():
            shutil.copy2(shop.path / name, target / name)
    shutil.copytree(shop.keys, target / "keys")


def _run(program: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    log = folder.with_name(f"{folder.name}.{program}.log")
    process = child.start(
        programs().command(program, *arguments), name=program, log=log, folder=folder, stop_signal=signal.SIGINT,
        environment=environment,
    )  # fmt: skip
    try:
        if process.wait() != 0:
            raise process.failure(f"{program} failed")
    finally:
        process.kill()
        log.unlink(missing_ok=True)
