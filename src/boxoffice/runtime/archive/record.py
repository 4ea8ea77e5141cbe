"""One log record as it is kept, read from the line that standard error got.

Blotting out is done twice: ``telemetry`` does it at the top of a record, here every value within values is looked at.
Nothing is unbounded: depth, length of texts and number of entries are cut.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.runtime.telemetry import SECRET_KEYS, redact
from boxoffice.runtime.uuids import uuid7

LEVELS = ("debug", "info", "warning", "error", "critical")
USUAL = "info"
MOST_TEXT = 8_000
"""Characters of one value: a long trace, or two."""
MOST_NAME = 200
MARGIN = 400
"""Characters behind a cut that are looked at and thrown away: an address that a cut takes apart is none any more."""
MOST_ENTRIES = 100
MOST_DEPTH = 6
LARGEST = 2**63
"""Integers from here on fit neither store and become text."""
CUT = "…"
BLOTTED = "[redacted]"
UNREADABLE = "a log record that cannot be read"


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A record: ``time`` is in UTC and of whole milliseconds (MongoDB keeps no more), ``trace_id`` may be empty."""

    record_id: UUID
    time: datetime
    level: str
    service: str
    event: str
    trace_id: str = ""
    fields: dict[str, Any] = {}


def read(line: str, *, service: str) -> LogRecord:
    """Read a line of JSON; of one that cannot be read only its length is kept.

    ``service`` is whose it is when the line does not say.
    """
    try:
        said = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        said = {"event": UNREADABLE, "level": "warning", "characters": len(line)}
    level = said.pop("level", USUAL)
    return LogRecord(
        record_id=uuid7(),
        time=_instant(said.pop("time", None)),
        level=level if level in LEVELS else USUAL,
        service=_text(said.pop("service", service), MOST_NAME),
        event=_text(said.pop("event", ""), MOST_TEXT),
        trace_id=_text(said.pop("traceId", ""), MOST_NAME),
        fields=_blotted(said, MOST_DEPTH),
    )


def _instant(said: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(said)).astimezone(UTC)
    except ValueError:
        found = datetime.now(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def _text(said: object, most: int) -> str:
    whole = str(said).replace("\x00", "")
    if len(whole) <= most:
        return redact(whole)
    return redact(whole[: most + MARGIN])[:-MARGIN][: most - 1] + CUT


def _blotted(said: Mapping[str, Any], depth: int) -> dict[str, Any]:
    entries = list(said.items())[:MOST_ENTRIES]
    return {
        _text(name, MOST_NAME): BLOTTED if SECRET_KEYS.search(name) else _value(value, depth - 1)
        for name, value in entries
    }


def _value(said: object, depth: int) -> object:
    if said is None or isinstance(said, bool | float):
        return said
    if isinstance(said, int):
        return said if abs(said) < LARGEST else str(said)
    if isinstance(said, dict | list) and depth <= 0:
        return CUT
    if isinstance(said, dict):
        return _blotted(said, depth)
    if isinstance(said, list):
        return [_value(one, depth - 1) for one in said[:MOST_ENTRIES]]
    return _text(said, MOST_TEXT)
