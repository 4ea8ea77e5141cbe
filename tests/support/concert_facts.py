"""The Philharmonic's concerts as messages of the catalog, read straight from the published files.

A reader of its own on purpose: what search is judged by must not come from the importer that it depends on.
"""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.contracts.messages.catalog import EventFact, Place, Work

FILES = sorted((Path(__file__).parents[2] / "data" / "concerts").glob("*.json.gz"))
ZONE = ZoneInfo("America/New_York")
NOW = datetime(2005, 1, 1, tzinfo=UTC)
"""In the middle of the concerts, so that half of them lie ahead."""
ORGANISATION = UUID(int=1)


@cache
def concert_facts() -> tuple[EventFact, ...]:
    """All 3,540 concerts, numbered from 1 in the order of the files."""
    return tuple(_facts())


def _facts() -> Iterator[EventFact]:
    venues: dict[tuple[str, str], int] = {}
    categories: dict[str, int] = {}
    number = 0
    for file in FILES:
        for programme in json.loads(gzip.decompress(file.read_bytes()))["programs"]:
            works = tuple(_work(work) for work in programme["works"])
            composers = list(dict.fromkeys(work.composer for work in works if work.composer))
            for concert in programme["concerts"]:
                number += 1
                place, venue = _clean(concert["Location"]), _clean(concert["Venue"])
                starts_at = _start(concert["Date"], concert["Time"])
                yield EventFact(
                    event_id=number,
                    organisation_id=ORGANISATION,
                    status="published",
                    name=", ".join(_surname(name) for name in composers[:3]) or _clean(concert["eventType"]),
                    description=f"{_clean(programme['orchestra'])}, season {programme['season']}",
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(hours=2),
                    venue=Place(
                        venue_id=venues.setdefault((venue, place), len(venues) + 1),
                        name=venue,
                        location=place,
                        city=place.split(",")[0],
                        country=place.split(",")[-1].strip() if "," in place else None,
                        time_zone="America/New_York",
                    ),
                    category_id=categories.setdefault(concert["eventType"], len(categories) + 1),
                    category=_clean(concert["eventType"]),
                    programme=works,
                )


def _work(work: dict[str, Any]) -> Work:
    if work.get("interval"):
        return Work(intermission=True)
    return Work(
        title=_text(work.get("workTitle")) or None,
        composer=_person(work["composerName"]) if work.get("composerName") else None,
        conductor=_person(work["conductorName"]) if work.get("conductorName") else None,
        soloists=tuple(_person(soloist["soloistName"]) for soloist in work["soloists"]),
    )


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return _clean(" ".join(_text(part) for part in parts))
    return _clean(value or "")


def _clean(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _person(name: str) -> str:
    surname, _, given = _clean(name).partition(", ")
    return f"{given} {surname}".strip()


def _surname(name: str) -> str:
    return name.rsplit(" ", 1)[-1]


def _start(day: str, hour: str) -> datetime:
    date = datetime.fromisoformat(day).astimezone(ZONE).date()
    match = re.fullmatch(r"(\d{1,2}):(\d{2})(AM|PM)", hour)
    hours, minutes = (int(match[1]) % 12 + (12 if match[3] == "PM" else 0), int(match[2])) if match else (20, 0)
    return datetime(date.year, date.month, date.day, hours, minutes, tzinfo=ZONE).astimezone(UTC)
