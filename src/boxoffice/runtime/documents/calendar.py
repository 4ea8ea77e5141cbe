"""A calendar entry (iCalendar, RFC 5545) of something that people attend."""

import re
from datetime import UTC, datetime

MAX_LINE_BYTES = 75
"""RFC 5545, section 3.1: longer lines are folded."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def calendar_entry(
    *, uid: str, made_at: datetime, starts_at: datetime, ends_at: datetime, summary: str, location: str, url: str
) -> bytes:
    """Write one entry; instants are aware. The same ``uid`` replaces an earlier entry in the reader's calendar."""
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Boxoffice//Tickets//EN", "METHOD:PUBLISH", "BEGIN:VEVENT",
        f"UID:{_text(uid)}", f"DTSTAMP:{_instant(made_at)}", f"DTSTART:{_instant(starts_at)}",
        f"DTEND:{_instant(max(starts_at, ends_at))}", f"SUMMARY:{_text(summary)}", f"LOCATION:{_text(location)}",
        f"URL:{''.join(CONTROLS.sub('', url).split())}", "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip
    return "".join(_fold(line) + "\r\n" for line in lines).encode()


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """Escape a text value (section 3.3.11)."""
    plain = CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _fold(line: str) -> str:
    """Break a line into pieces of at most 75 bytes, never within a letter."""
    pieces, used = [""], 0
    for letter in line:
        size = len(letter.encode("utf-8", "replace"))
        if used + size > MAX_LINE_BYTES:
            pieces.append(" ")
            used = 1
        pieces[-1] += letter
        used += size
    return "\r\n".join(pieces)
