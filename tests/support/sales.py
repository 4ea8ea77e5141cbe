"""Events on sale, buyers and short cuts to any state of an order, for tests of the sale."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from boxoffice.contracts.messages.catalog import EventFact, Place, RefundPolicy
from boxoffice.kernel.ids import EventId, OrderId, OrganisationId, PaymentId, SeatId, UserId, seat_id
from boxoffice.kernel.money import Money
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.allocation import AllocationKind, Selection
from boxoffice.services.sales.domain.prices import EventSeat, PriceLevel, number_places
from boxoffice.services.sales.domain.ticket_types import TicketType, TypesByLevel
from boxoffice.services.sales.store import ticket_types
from boxoffice.services.sales.usecases.choose_ticket_types import choose_ticket_types
from boxoffice.services.sales.usecases.confirm_order import confirm
from boxoffice.services.sales.usecases.create_allocation import Plan, create_allocation
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.take_event_terms import terms_of

ORGANISATION = UUID("00000000-0000-7000-8000-0000000000aa")
SIGNER = KeyRing.generate()
EVENT = EventId(7)

START_PAYMENT = """
WITH p AS (
  INSERT INTO payments (payment_id, order_id, attempt, provider, provider_ref, state, total_minor, currency)
  SELECT $2::uuid, order_id, 1 + (SELECT count(*) FROM payments WHERE order_id = $1), 'paypal', $2::uuid::text, $3,
         total_minor, currency FROM orders WHERE order_id = $1),
o AS (UPDATE orders SET state = 'paying', version = version + 1, pay_deadline = clock_timestamp() + interval '10 min'
       WHERE order_id = $1 AND state = 'held')
UPDATE event_seats SET state = 'paying', hold_expires_at = NULL WHERE order_id = $1 AND state = 'held'
"""


def event_fact(event_id: int = EVENT, **changes: Any) -> EventFact:
    """A published concert in a month, on sale since always."""
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    usual: dict[str, Any] = {
        "event_id": event_id,
        "organisation_id": ORGANISATION,
        "status": "published",
        "name": "A concert",
        "description": "",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=2),
        "venue": Place(venue_id=1, name="City Hall", location="Hong Kong", time_zone="Asia/Hong_Kong"),
        "refund_policy": RefundPolicy(cancel_until_hours=24, refund_percent=100),
    }
    return EventFact(**{**usual, **changes})


def rows_of_ten(places: int, price: int = 5000, currency: str = "USD") -> list[EventSeat]:
    """Seats of one section in rows of ten."""
    return [
        EventSeat(
            place=place, section="Stalls", row=str(place // 10 + 1), number=str(place % 10 + 1), block=0,
            position=place % 10, mark=None, price_level="Full", external_id=None, price=Money(price, currency),
        )
        for place in range(places)
    ]  # fmt: skip


async def put_on_sale(
    database: Database, places: int = 20, *, price: int = 5000, event_id: int = EVENT, **changes: Any
) -> list[SeatId]:
    """Create an event with that many seats; returns their ids."""
    await create_event_seats(database, terms_of(event_fact(event_id, **changes), 1), rows_of_ten(places, price))
    return [seat_id(EventId(event_id), place) for place in range(places)]


async def put_areas_on_sale(
    database: Database, capacities: Mapping[str, int], *, price: int = 5000, event_id: int = EVENT, **changes: Any
) -> None:
    """Create an event with areas of general admission, of that many places each."""
    levels = [PriceLevel(name=name, price=Money(price, "USD"), quantity=size) for name, size in capacities.items()]
    event = terms_of(event_fact(event_id, **changes), 1)
    await create_event_seats(database, event, [], number_places(levels))


async def hold_places(
    database: Database, quantity: int, user_id: UserId | None = None, *, area: str | None = None, event_id: int = EVENT
) -> tuple[OrderId, UserId]:
    """Place a hold of general admission by the plain call; returns the order and its owner."""
    owner = user_id or UserId(uuid4())
    body = await place_hold(
        database, Wish(user_id=owner, event_id=EventId(event_id), quantity=quantity, price_level=area)
    )
    return OrderId(UUID(msgspec.json.decode(body)["bookingId"])), owner


async def hold(
    database: Database, seats: Sequence[SeatId], user_id: UserId | None = None, event_id: EventId = EVENT
) -> tuple[OrderId, UserId]:
    """Place a hold; returns the order and its owner."""
    owner = user_id or UserId(uuid4())
    body = await place_hold(database, Wish(user_id=owner, event_id=event_id, seat_ids=tuple(seats)))
    return OrderId(UUID(msgspec.json.decode(body)["bookingId"])), owner


async def set_aside(
    database: Database,
    seats: Sequence[SeatId],
    *,
    kind: AllocationKind = AllocationKind.SPONSOR,
    release_at: datetime | None = None,
    event_id: int = EVENT,
) -> int:
    """Set seats aside in a new allocation; returns its id."""
    async with database.transaction() as tx:
        return await create_allocation(
            tx, EventId(event_id), Plan(kind=kind, name="Friends", release_at=release_at),
            Selection(seat_ids=tuple(seats)), organisations=[OrganisationId(ORGANISATION)],
        )  # fmt: skip


async def start_payment(database: Database, order_id: OrderId, state: str = "created") -> PaymentId:
    """Bring an order to ``paying`` with a payment in that state, without a provider."""
    payment_id = PaymentId(uuid4())
    await database.fetch(START_PAYMENT, order_id, payment_id, state)
    return payment_id


async def buy(
    database: Database, seats: Sequence[SeatId], user_id: UserId | None = None
) -> tuple[OrderId, UserId, PaymentId]:
    """Hold, pay and confirm."""
    order_id, owner = await hold(database, seats, user_id)
    payment_id = await start_payment(database, order_id, "capturing")
    async with database.transaction() as tx:
        await confirm(tx, order_id=order_id, payment_id=payment_id, capture_ref=f"C-{payment_id}", signer=SIGNER)
    return order_id, owner, payment_id


async def run_out(database: Database, order_id: OrderId) -> None:
    """Let a hold's time be over."""
    await database.fetch("UPDATE orders SET hold_expires_at = clock_timestamp() WHERE order_id = $1", order_id)
    await database.fetch(
        "UPDATE event_seats SET hold_expires_at = clock_timestamp() WHERE order_id = $1 AND state = 'held'", order_id
    )


PASS_TIME = """
WITH o AS (UPDATE orders SET hold_expires_at = hold_expires_at - $1::interval, pay_deadline = pay_deadline - $1::interval,
                  hold_started_at = hold_started_at - $1::interval),
l AS (UPDATE customer_limits SET clock_until = clock_until - $1::interval, extended_until = extended_until - $1::interval)
UPDATE event_seats SET hold_expires_at = hold_expires_at - $1::interval WHERE state = 'held'
"""


async def pass_time(database: Database, seconds: float) -> None:
    """Let time pass for every hold, without waiting: the database's clock stays, the instants move."""
    await database.fetch(PASS_TIME, timedelta(seconds=seconds))


TYPES = {
    "Full": (
        TicketType(name="Adult", price=Money(5000, "USD")),
        TicketType(name="Child", price=Money(2000, "USD")),
        TicketType(name="Infant", price=Money(0, "USD")),
    )
}
"""Ticket types of the price level that ``rows_of_ten`` has."""


async def sell_as(database: Database, types: TypesByLevel, event_id: int = EVENT) -> None:
    """Give an event on sale its ticket types."""
    async with database.transaction() as tx:
        await ticket_types.insert(tx, EventId(event_id), types)


async def choose(database: Database, order_id: OrderId, owner: UserId, wished: Mapping[SeatId, str]) -> None:
    """Choose ticket types in a transaction of their own."""
    async with database.transaction() as tx:
        await choose_ticket_types(tx, order_id=order_id, user_id=owner, wished=wished)
