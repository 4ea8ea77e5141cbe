"""``boxoffice logs``: look for log records of every process in the archive."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boxoffice.cli import console
from boxoffice.cli.attach import required
from boxoffice.cli.options import DEFAULT_DATA_DIR, DataDir, SettingsFile
from boxoffice.runtime.log_lines import one_line
from boxoffice.runtime.settings import Settings, load

if TYPE_CHECKING:
    from boxoffice.runtime.archive.record import LogRecord
    from boxoffice.runtime.archive.seam import Wanted

AGO = re.compile(r"(\d{1,6})([smhd])")
USUAL = "1h"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Level(StrEnum):
    """The levels, the least first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def logs(
    *,
    trace: Annotated[str, typer.Option(help="Only of this trace: the traceId of a problem, or x-request-id.")] = "",
    service: Annotated[str, typer.Option(help="Only of this process, such as bookings.")] = "",
    level: Annotated[Level, typer.Option(help="Only of this level and above.")] = Level.DEBUG,
    since: Annotated[
        str,
        typer.Option(help="How long ago (90s, 15m, 2h, 3d), or an instant (RFC 3339). Default: 1h; all, with --trace."),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 200,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    settings: SettingsFile = None,
) -> None:
    """Look for log records in the archive (`BOXOFFICE_LOG_ARCHIVE_URL`), the oldest first.

    Everything secret or personal was blotted out before it got there. A process that cannot reach the archive writes to
    its own output only, and counts what it dropped.

    Exit codes: 0 searched, whatever was found · 2 wrong command line · 3 no archive is set · 18 it cannot be reached
    """
    begins = None if trace and not since else instant(since or USUAL, now=datetime.now(UTC))
    known = _settings(data_dir, settings)
    url = required(known, "log_archive_url")

    from boxoffice.runtime.archive.seam import Wanted

    wanted = Wanted(trace_id=trace, service=service, level=level.value, since=begins, limit=limit)
    found = asyncio.run(_found(url, wanted))
    for record in found:
        typer.echo(_json(record) if json else line(record))
    if not found:
        console.warn("No such record in the archive")


def instant(text: str, *, now: datetime) -> datetime:
    """Read how long ago, or when; a time without an offset is UTC.

    :raises typer.BadParameter: when it is neither.
    """
    if ago := AGO.fullmatch(text.strip()):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a time ago such as 15m or 2h, nor an instant such as 2030-05-01T19:30:00Z.",
            param_hint="--since",
        ) from None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def line(record: "LogRecord") -> str:
    """Write a record for people: when, how grave, whose, what, and its fields."""
    fields = " ".join(f"{one_line(name)}={_plain(value)}" for name, value in sorted(record.fields.items()))
    head = (
        f"{record.time:%Y-%m-%d %H:%M:%S}.{record.time.microsecond // 1000:03d} {record.level:<8} {record.service:<12}"
    )
    trace = f" trace={record.trace_id}" if record.trace_id else ""
    return f"{head} {one_line(record.event)}{' ' if fields else ''}{fields}{trace}"


def _plain(value: object) -> str:
    """Write a value so that a line stays a line, and no terminal is told anything."""
    text = value if isinstance(value, str) else repr(value)
    return text if text.isprintable() and text and " " not in text else repr(text)


def _json(record: "LogRecord") -> str:
    import msgspec

    return msgspec.json.encode(record).decode()


async def _found(url: str, wanted: "Wanted") -> "Sequence[LogRecord]":
    from boxoffice.runtime.archive import open_log_store

    async with open_log_store(url) as store:
        return await store.find(wanted)


def _settings(data_dir: Path, settings_file: Path | None) -> Settings:
    """Take the settings of the environment or the file, else those of the shop that runs on the folder."""
    from boxoffice.runtime.embedded.folder import DataFolder

    given = load(file=settings_file)
    running = None if given.log_archive_url else DataFolder(data_dir).running()
    return load(file=settings_file, defaults=running.settings) if running else given
