"""Add a seat map to a venue: the next version, or the one that has the same content."""

import hashlib
from collections import Counter

import msgspec

from boxoffice.contracts.hall import BadHallError, Hall, Seat, seats
from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain.refusals import TotalsDifferError, UnreadableSeatMapError
from boxoffice.services.catalog.domain.totals import differences
from boxoffice.services.catalog.store import seat_maps
from boxoffice.services.catalog.store.seat_maps import SeatMap

MAX_BYTES = 1024 * 1024
"""The largest halls take some 100 kB in this format."""
MAX_NAME = 200
MAX_TEXT = 2_000
"""Characters of a credit or another remark: the published halls need some 250."""
MAX_ENTRIES = 200
"""Kinds of marks, published totals, remarks about standing: the published halls have four at most."""
PRINTABLE_FROM = 0x20


async def add_seat_map(tx: Connection, venue_id: int, hall: Hall) -> tuple[SeatMap, bool]:
    """Keep a seat map of a locked venue; says whether it is new.

    :raises UnreadableSeatMapError: when a part of it cannot be read.
    :raises TotalsDifferError: when it does not reproduce its published totals.
    """
    places = check_hall(hall)
    document = msgspec.json.encode(hall)
    fingerprint = hashlib.sha256(document).digest()
    known = await seat_maps.same(tx, venue_id, fingerprint)
    if known is not None:
        return known, False
    made = await seat_maps.insert(
        tx, venue_id=venue_id, name=hall.name, credit=hall.credit, document=document.decode(),
        fingerprint=fingerprint, places=len(places), sellable=sum(seat.sellable for seat in places),
    )  # fmt: skip
    return made, True


def check_hall(hall: Hall) -> list[Seat]:
    """Spell out every place of a map and compare the published totals.

    :raises UnreadableSeatMapError: when a part of it cannot be read.
    :raises TotalsDifferError: naming each total with the number found and the number published.
    """
    _check_names(hall)
    _check_remarks(hall)
    try:
        places = list(seats(hall))
    except BadHallError as error:
        raise UnreadableSeatMapError(str(error)) from error
    if not places:
        raise UnreadableSeatMapError("The map has no places.")
    counted = Counter({section.name: 0 for section in hall.sections})
    counted.update(seat.section for seat in places if seat.sellable)
    differing = differences(counted, hall.published_totals)
    if differing:
        raise TotalsDifferError(
            "; ".join(map(str, differing)) + ".",
            totals=[{"section": one.section, "found": one.found, "published": one.published} for one in differing],
        )
    return places


def _check_names(hall: Hall) -> None:
    names = [hall.name, *(section.name for section in hall.sections)]
    names += [row.row for section in hall.sections for row in section.rows]
    for name in names:
        if not name.strip() or len(name) > MAX_NAME or any(ord(letter) < PRINTABLE_FROM for letter in name):
            raise UnreadableSeatMapError(f"{name[:MAX_NAME]!r} is no name of a hall, section or row.")


def _check_remarks(hall: Hall) -> None:
    """Refuse what no hall says: endless texts and lists, control characters, and points that are not on the globe."""
    standing = hall.standing or {}
    if max(len(hall.marks), len(hall.published_totals), len(standing)) > MAX_ENTRIES:
        raise UnreadableSeatMapError(f"Marks, totals or standing have more than {MAX_ENTRIES} entries.")
    rows = [row for section in hall.sections for row in section.rows]
    words = [*hall.marks, *hall.published_totals, *standing, hall.stage, hall.seat_1_side]
    words += [mark for row in rows for mark in row.marks.values()]
    texts = [hall.credit, hall.address, hall.counting, *hall.marks.values()]
    texts += [remark for remark in standing.values() if isinstance(remark, str)]
    for said, most in ((words, MAX_NAME), (texts, MAX_TEXT)):
        for text in said:
            if len(text) > most or any(ord(letter) < PRINTABLE_FROM for letter in text):
                raise UnreadableSeatMapError(f"{text[:MAX_NAME]!r} is longer than {most} or has control characters.")
    for degrees, furthest in ((hall.latitude, 90), (hall.longitude, 180)):
        if degrees is not None and not -furthest <= degrees <= furthest:
            raise UnreadableSeatMapError(f"{degrees} degrees are no place on the globe.")
