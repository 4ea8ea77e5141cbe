"""What stands in an index of an entry, whichever engine keeps it: folded texts, keys of names, times, the price.

Texts are folded to words before they get to an engine (``domain/words.py``), so an engine only splits at spaces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from boxoffice.services.search.domain.criteria import FacetName
from boxoffice.services.search.domain.geography import Point, point_of
from boxoffice.services.search.domain.listing import Entry, Listing
from boxoffice.services.search.domain.words import folded, joined, words
from boxoffice.services.search.providers.engine import SuggestionKind

TEXT_FIELDS = ("name", "composers", "performers", "works", "category", "venue", "place", "description")
PIECES_FIELD = "pieces"
"""Composer and title side by side; only tells that words belong to the same piece."""
PIECE_SLOP = 12
"""Words that may stand between those typed: "beethoven … no 9", "symphony no 9 … op 125 ludwig van beethoven"."""
KEY_FIELDS: dict[FacetName, str] = {
    "category": "category_key", "city": "city_key", "venue": "venue_key", "composer": "composer_key",
    "month": "month", "year": "year",
}  # fmt: skip
NAME_KEY = "name_key"
SUGGEST_FIELD = "suggest"
EXACT_FIELDS = ("category_exact", "venue_exact")
"""Whole names as folded words, to be asked for as such."""
POINT_FIELD = "point"
"""Where the venue is, to the last digit: many events are at few points, so distances are measured once a point."""
DEGREE = 1_000_000
"""Latitudes and longitudes are indexed in millionths of a degree: a tenth of a metre."""
SUGGESTED: dict[SuggestionKind, str] = {
    "composer": "c", "performer": "p", "work": "w", "venue": "v", "event": "e", "city": "t", "category": "k",
}  # fmt: skip
"""The letter that begins a suggestion's key, by its kind."""
MAX_TURNS = 16
"""Words of a name at which it may begin to be typed."""
SEPARATOR = "\x1f"
"""Between the folded words of a key and the spelling that people see; no word contains it."""
MAX_KEY = 500
"""Characters of a key; a longer name is not offered as a facet or a suggestion in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an index has of an entry with a listing: ``texts`` and ``keys`` by field, each with its values.

    ``numbers`` are Unix seconds (``starts_at``; ``local_at``: the venue's clock as if it were UTC) and, where they are
    known, the lowest price in minor units, and the latitude and longitude in millionths of a degree.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


def contents(entry: Entry) -> Contents:
    """Work out what stands in an index of an entry; nothing for one that cannot be found."""
    listing = entry.listing
    if listing is None:
        return Contents()
    local = _local(listing)
    numbers = {"starts_at": seconds(listing.starts_at), "local_at": seconds(local)}
    if entry.sale is not None and entry.sale.lowest_price_minor is not None:
        numbers["price"] = entry.sale.lowest_price_minor
    point = point_of(listing.venue.latitude, listing.venue.longitude)
    if point is not None:
        numbers |= {"latitude": round(point.latitude * DEGREE), "longitude": round(point.longitude * DEGREE)}
    return Contents(
        texts={**_texts(listing), PIECES_FIELD: _pieces(listing)},
        keys={
            **_keys(listing), SUGGEST_FIELD: _suggestions(listing),
            "month": [f"{local:%Y-%m}"], "year": [f"{local:%Y}"], POINT_FIELD: [point_key(point)] if point else [],
        },
        numbers=numbers,
    )  # fmt: skip


def seconds(at: datetime) -> int:
    """Write an aware instant as Unix seconds; a naive wall-clock time as if it were UTC."""
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


@lru_cache(maxsize=20_000)
def name_words(name: str) -> tuple[str, ...]:
    """Split a name into folded words; remembered (about 5 MB), since the same names come with most events."""
    return tuple(words(name))


def key(text: str) -> str:
    """Write a name so that it can be looked for by its words and shown as it is spelled."""
    return f"{' '.join(name_words(text))}{SEPARATOR}{text}"[:MAX_KEY]


def spelled(key: str) -> str:
    """Give the spelling of a key."""
    return key.rpartition(SEPARATOR)[2]


def point_key(point: Point) -> str:
    """Write a point so that it can be read back to the last digit."""
    return f"{point.latitude!r},{point.longitude!r}"


@lru_cache(maxsize=20_000)
def point_at(key: str) -> Point:
    """Read a point's key; remembered (about 5 MB), since the same halls are asked about again."""
    latitude, _, longitude = key.partition(",")
    return Point(latitude=float(latitude), longitude=float(longitude))


def suggestions(listing: Listing) -> dict[SuggestionKind, tuple[str, ...]]:
    """List what somebody might type to get to an event, by kind."""
    return {
        "composer": listing.composers, "performer": listing.performers, "work": listing.titles,
        "venue": (listing.venue.name,), "event": (listing.name,),
        "city": (listing.venue.city,) if listing.venue.city else (),
        "category": (listing.category,) if listing.category else (),
    }  # fmt: skip


def suggest_key(kind: SuggestionKind, turned: Sequence[str], name: str = "") -> str:
    """Write a name's key, turned so that one of its words comes first; without the name: what such keys begin with."""
    start = f"{SUGGESTED[kind]} {' '.join(turned)}"
    return f"{start}{SEPARATOR}{name}" if name else start


def _texts(listing: Listing) -> dict[str, list[str]]:
    venue = listing.venue
    texts: dict[str, Iterable[str | None]] = {
        "name": (listing.name,),
        "composers": listing.composers,
        "performers": listing.performers,
        "works": listing.titles,
        "category": (listing.category,),
        "venue": (venue.name,),
        "place": (venue.city, venue.region, venue.country, _address(venue.location)),
        "description": (listing.description,),
    }
    found: dict[str, list[str]] = {}
    for name, values in texts.items():
        found[name] = []
        for value in filter(None, values):
            found[name].append(" ".join(words(value) if name == "description" else name_words(value)))
            if compounds := joined(value):
                found[name].append(" ".join(compounds))
    return found


def _pieces(listing: Listing) -> list[str]:
    """Write composer, title and composer again, so that both orders of typing find them close together."""
    found = []
    for work in dict.fromkeys(listing.works):
        if work.title and work.composer:
            composer = " ".join(name_words(work.composer))
            found.append(f"{composer} {' '.join(name_words(work.title))} {composer}")
    return found


def _address(location: str) -> str:
    """Leave a link to a map out: its parts are no words that anybody looks for."""
    return "" if "://" in location else location


def _keys(listing: Listing) -> dict[str, list[str]]:
    found = {
        NAME_KEY: [key(listing.name)],
        "venue_key": [key(listing.venue.name)],
        "venue_exact": [folded(listing.venue.name)[:MAX_KEY]],
        "composer_key": [key(name) for name in dict.fromkeys(listing.composers)],
    }
    if listing.venue.city:
        found["city_key"] = [key(listing.venue.city)]
    if listing.category:
        found["category_key"] = [key(listing.category)]
        found["category_exact"] = [folded(listing.category)[:MAX_KEY]]
    return found


def _suggestions(listing: Listing) -> list[str]:
    return [
        suggest_key(kind, [*parts[turn:], *parts[:turn]], name)
        for kind, names in suggestions(listing).items()
        for name in dict.fromkeys(names)
        if len(name) <= MAX_KEY
        for parts in [name_words(name)]
        for turn in range(min(len(parts), MAX_TURNS))
    ]


def _local(listing: Listing) -> datetime:
    try:
        zone: Any = ZoneInfo(listing.venue.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = UTC  # the catalog checks zones; one that this machine does not know must not lose the event
    return listing.starts_at.astimezone(zone).replace(tzinfo=None)
