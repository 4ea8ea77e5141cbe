"""What an organiser's form says of seats to set aside: for whom, which rows, until when on the venue's clock."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

KINDS: Mapping[str, str] = {
    "house": "House",
    "artist": "Artist",
    "sponsor": "Sponsor",
    "channel": "Sales channel",
    "accessible": "Accessible",
    "kill": "Never sold",
}
"""The API's kinds -> their words on a page."""
MOST_NAMED = 12
"""Rows named one by one on a page; of more it says how many."""


def read_rows(text: str) -> list[str]:
    """Read rows from a form: "A, B" are two; none means the whole section."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def read_release(text: str, zone: str) -> str | None:
    """Read a time as a browser's field sends it ("2031-05-01T18:00"), on the venue's clock; gives it in UTC.

    What is no time stays as it is: the API says what is wrong with it.
    """
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return text


def say_rows(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Say which rows these are, by section: "Stalls, rows A, B"."""
    by_section: dict[str, list[str]] = {}
    for section, row in rows:
        by_section.setdefault(section, []).append(row)
    return [f"{section}, {_said(found)}" if any(found) else section for section, found in by_section.items()]


def _said(rows: list[str]) -> str:
    if len(rows) > MOST_NAMED:
        return f"{len(rows)} rows, {rows[0]} to {rows[-1]}"
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(rows)
