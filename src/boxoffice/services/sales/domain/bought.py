"""What a payment buys, in words that the provider keeps for us: enough to make the order again when ours is lost (I22).

The provider shows the lines to the buyer and gives all of it back with its order. Event and account are ids of ours
that tell nobody anything; a seat is named as its ticket names it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from boxoffice.kernel.ids import EventId, SeatId, UserId
from boxoffice.kernel.money import Money

LONGEST_LINE = 127
"""Characters of a line: PayPal's own bound. Two places that differ only after it cannot be told apart."""
REFERENCE = re.compile(r"boxoffice/1 event=(\d{1,18}) account=([0-9a-f-]{36}) places=(\d{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What the provider says was paid for: lines as the buyer saw them, each with its price."""

    event_id: EventId
    user_id: UserId
    places: int
    lines: tuple[tuple[str, Money], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSeat:
    """A seat as a line names it; ``ticket_type`` is none where the buyer chose none."""

    seat_id: SeatId
    ticket_type: str | None


def reference_of(event_id: EventId, user_id: UserId, places: int) -> str:
    """Write what the lines do not say: 116 characters at most, of PayPal's 256."""
    return f"boxoffice/1 event={event_id} account={user_id} places={places}"


def read_reference(text: str | None) -> tuple[EventId, UserId, int] | None:
    """Read it back; none for what is not ours."""
    match = REFERENCE.fullmatch(text or "")
    if match is None:
        return None
    try:
        return EventId(int(match[1])), UserId(UUID(match[2])), int(match[3])
    except ValueError:
        return None


def place_name(section: str, row: str, number: str, ticket_type: str | None = None) -> str:
    """Name a place as lines do; a place of general admission has no row."""
    kind = f" ({ticket_type})" if ticket_type else ""
    if not row:
        return f"{section}, place {number}{kind}"
    return f"{section}, row {row}, seat {number}{kind}"


def find_seats(bought: Bought, named: Iterable[tuple[SeatId, str]], types: Iterable[str]) -> list[NamedSeat] | None:
    """Find the seats that the lines name among an event's (id, name without a type); none when one is not clear."""
    known: dict[str, SeatId | None] = {}
    for seat, name in named:
        line = name[:LONGEST_LINE]
        known[line] = None if line in known else seat
    found = [_find(line, known, types) for line, _ in bought.lines]
    seats = [one for one in found if one is not None]
    if len(seats) != bought.places or len({one.seat_id for one in seats}) != bought.places:
        return None
    return seats


def _find(line: str, known: Mapping[str, SeatId | None], types: Iterable[str]) -> NamedSeat | None:
    seat = known.get(line)
    if seat is not None:
        return NamedSeat(seat_id=seat, ticket_type=None)
    for kind in types:
        seat = known.get(line.removesuffix(f" ({kind})"))
        if seat is not None:
            return NamedSeat(seat_id=seat, ticket_type=kind)
    return None


def find_area(bought: Bought, areas: Iterable[str], types: Iterable[str]) -> tuple[str, tuple[str | None, ...]] | None:
    """Find the area of general admission that every line is a place of, and the ticket type of each; else none."""
    kinds = frozenset(types)
    for area in sorted(areas, key=len, reverse=True):
        own = re.compile(re.escape(f"{area}, place ") + r"\d+(?: \((?P<kind>.+)\))?")
        found = [own.fullmatch(line) for line, _ in bought.lines]
        read = [match["kind"] for match in found if match is not None and match["kind"] in {None, *kinds}]
        if len(read) == len(found) == bought.places:
            return area, tuple(read)
    return None
