"""What is for sale in every history: a hall with rules, a club without, a field without seats. Small, so that all collide."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.support.best_reference import House
from tests.support.best_reference import Seat as PlacedSeat
from tests.support.sales import event_fact

from boxoffice.contracts.messages.catalog import EventFact
from boxoffice.kernel.ids import EventId, UserId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.prices import EventSeat, PriceLevel

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
"""The first second of every history."""
HALL, CLUB, FIELD = EventId(7), EventId(8), EventId(9)
EVENTS = (HALL, CLUB, FIELD)
CUSTOMERS = tuple(UserId(UUID(int=0xC0FFEE00 + number)) for number in range(6))
HOLD_S = 600
EXTENSION_S = 300
PAY_WINDOW_S = 600

NEAR, FAR = "Near", "Far"
WHEELCHAIR, COMPANION = "wheelchair", "companion"
_ROWS: dict[EventId, list[tuple[str, int, list[str | None]]]] = {
    HALL: [
        (NEAR, 5000, [None] * 6),
        (FAR, 3000, [None] * 5),
        (FAR, 3000, [COMPANION, WHEELCHAIR, COMPANION, None, None]),
    ],
    CLUB: [(NEAR, 2000, [None] * 4)],
}
"""By event its rows from the front: price level, price, and the marks of its seats."""
AREAS: Mapping[str, tuple[int, int]] = {"Floor": (6, 1500), "Gallery": (4, 2500)}
"""The field's areas: capacity and price."""
BUNDLES = {11: 12, 13: 12}
"""Companions' seats of the hall, and the wheelchair place that each goes with."""


def seats_of(event_id: EventId) -> list[EventSeat]:
    """The event seats as they go on sale, in the order of their places."""
    found: list[EventSeat] = []
    for row, (level, price, marks) in enumerate(_ROWS.get(event_id, [])):
        for position, mark in enumerate(marks):
            found.append(
                EventSeat(
                    place=len(found), section="Stalls", row=str(row + 1), number=str(position + 1), block=0,
                    position=position, mark=mark, price_level=level, external_id=None, price=Money(price, "USD"),
                    spot=(100 * position - 50 * (len(marks) - 1), 120 * row),
                )
            )  # fmt: skip
    return found


def levels() -> list[PriceLevel]:
    """The field's areas as they go on sale."""
    return [PriceLevel(name=name, price=Money(price, "USD"), quantity=size) for name, (size, price) in AREAS.items()]


def fact(event_id: EventId) -> EventFact:
    """An event that begins two days after the first second and is on sale until then."""
    starts_at = BEGIN + timedelta(days=2)
    return event_fact(event_id, starts_at=starts_at, ends_at=starts_at + timedelta(hours=2), hold_minutes=HOLD_S // 60)


PRICES = {event_id: [seat.price.minor for seat in seats_of(event_id)] for event_id in (HALL, CLUB)}
DRAWN = {
    event_id: House([
        PlacedSeat(s.section, s.row, s.block, s.position, s.price_level, s.mark, *(s.spot or (0, 0)))
        for s in seats_of(event_id)
    ])
    for event_id in (HALL, CLUB)
}  # fmt: skip
"""The houses as the brute-force search sees them."""
