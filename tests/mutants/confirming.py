"""Mutants of paying, confirming and cancelling: what keeps seats, tickets and money together."""

from functools import partial

import asyncpg
from tests.mutants.case import Case, Mutant, code, schema, statement
from tests.mutants.oracles import judge
from tests.mutants.pauses import SOON_S, PausingDatabase, ends_after, in_time, until_over
from tests.mutants.room import Room
from tests.support.payments import tolerating
from tests.support.sales import SIGNER, hold, put_on_sale

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.store import payments, seats, tickets
from boxoffice.services.sales.usecases import confirm_order
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm_free

FREE_EVENT = EventId(8)

ROGUE_TICKET = """
INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id)
SELECT gen_random_uuid(), event_id, seat_id, order_id, user_id, price_minor, currency, 'valid', key_id
FROM tickets WHERE order_id = $1 LIMIT 1
"""
ROGUE_RELEASE = """
UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL, fence = fence + 1
WHERE event_id = $1 AND seat_id = $2
"""


async def somebody_writes_a_second_ticket(room: Room) -> None:
    """A program that knows nothing of the sale's rules issues a ticket for a seat that has one."""
    till = await room.till()
    payment = await till.bought(1)
    try:
        await till.database.fetch(ROGUE_TICKET, payment.order_id)
    except asyncpg.UniqueViolationError:
        room.meet("the index refused a second live ticket")
    await judge(room, payment.order_id)


async def the_hold_ends_while_its_owner_starts_to_pay(room: Room) -> None:
    """Between the look at the order and the seats the hold runs out, and somebody else takes one of them over."""
    await in_time(partial(_pays_too_late, room))
    await judge(room)


async def _pays_too_late(room: Room, seconds: float) -> bool:
    till = await room.till()
    order_id, user_id = await till.hold(2)
    last = till.seats[till.taken - 1]
    looked = False
    await ends_after(till.database, order_id, seconds)

    async def taken_over() -> None:
        nonlocal looked
        looked = True
        await until_over(till.database, order_id)
        await hold(till.database, [last])

    slow = till.through(database=PausingDatabase(till.database, "SET state = 'paying'", taken_over))
    answer = await tolerating(lambda: slow.start(order_id, user_id))
    if isinstance(answer, DomainError):
        room.meet(answer.code)
    return looked


async def a_seat_is_lost_before_the_confirmation(room: Room) -> None:
    """Somebody goes around the sale and frees a seat that is being paid for; then the buyer approves."""
    till = await room.till()
    payment = await till.begin(2)
    till.paypal.approve(payment.provider_ref)
    lost: SeatId = await till.database.fetchval(
        "SELECT max(seat_id) FROM event_seats WHERE order_id = $1", payment.order_id
    )
    await till.database.fetch(ROGUE_RELEASE, payment.event_id, lost)
    answer = await tolerating(lambda: till.settle(payment.payment_id))
    if isinstance(answer, DomainError):
        room.meet(answer.code)
    # That the order lost a seat is the outsider's doing; what must not be is an order confirmed without it.
    await judge(room, apart_from={"hold_has_all_its_seats"})


async def a_hold_is_confirmed_after_somebody_else_bought(room: Room) -> None:
    """A free order's hold runs out while it is confirmed; another customer takes the seats over and confirms first."""
    database = await room.database()
    free = iter(await put_on_sale(database, 2 * len(SOON_S), price=0, event_id=FREE_EVENT))
    await in_time(lambda seconds: _confirms_too_late(room, [next(free), next(free)], seconds))
    await judge(room)


async def _confirms_too_late(room: Room, mine: list[SeatId], seconds: float) -> bool:
    database = await room.database()
    order_id, user_id = await hold(database, mine, event_id=FREE_EVENT)
    looked = False
    await ends_after(database, order_id, seconds)

    async def sold_to_another() -> None:
        nonlocal looked
        looked = True
        await until_over(database, order_id)
        other, owner = await hold(database, mine, event_id=FREE_EVENT)
        await _confirm(database, other, owner)

    slow = PausingDatabase(database, "SET state = 'sold'", sold_to_another)
    try:
        await _confirm(slow, order_id, user_id)
    except (DomainError, asyncpg.UniqueViolationError) as refusal:
        room.meet(type(refusal).__name__)
    return looked


async def _confirm(database: "Database | PausingDatabase", order_id: OrderId, user_id: UserId) -> None:
    async with database.transaction() as tx:
        await confirm_free(tx, order_id=order_id, user_id=user_id, signer=SIGNER)


async def an_order_is_cancelled(room: Room) -> None:
    till = await room.till()
    payment = await till.bought(2)
    async with till.database.transaction() as tx:
        await cancel_order(tx, order_id=payment.order_id, by=Canceller(user_id=payment.user_id))
    await till.rest()
    room.meet("tickets void, seats free")
    await judge(room, payment.order_id)


SEAT_COUNT = code(confirm_order._sell, "if len(sold) != len(order.seat_ids):", "if not sold:")
PRICE_SUM = code(confirm_order._sell, "!= order.total:", "is None:")
TICKET_COUNT = code(confirm_order._sell, "or len(issued) != len(order.seat_ids):", "or not issued:")

WHOSE = """AND order_id = $3 AND state = 'held'
     AND hold_expires_at > clock_timestamp()"""
SEAT_CHECK = statement(seats, "SELL_HELD", WHOSE, "AND $3::uuid IS NOT NULL")
OWN_SEATS = statement(tickets, "ISSUE", "s.order_id = $4 AND s.state = 'sold'", "s.state = 'sold'")
NO_INDEX = schema("DROP INDEX ticket_one_live")

MUTANTS = [
    Mutant(
        number=1,
        name="no_ticket_one_live",
        breaks="the unique index of live tickets is gone, and a program from outside issues a second ticket",
        cases=[
            Case(
                name="rogue insert",
                attack=somebody_writes_a_second_ticket,
                breaks=[NO_INDEX],
                seen_by="auditor:one_live_ticket_a_seat",
            )
        ],
    ),
    Mutant(
        number=3,
        name="pay_without_row_count",
        breaks="starting to pay (P) does not count the seats that it found. The order's own clock hides its loss, and is off",
        cases=[
            Case(
                name="taken over",
                attack=the_hold_ends_while_its_owner_starts_to_pay,
                without=[statement(payments, "PAY_ORDER", " AND hold_expires_at > clock_timestamp()", "")],
                breaks=[
                    statement(
                        payments, "TAKE_SEATS", "SELECT count(*) FROM paying",
                        "SELECT cardinality($2::bigint[]) FROM (SELECT count(*) FROM paying) counted",
                    )
                ],
                seen_by="auditor:hold_has_all_its_seats",
            )
        ],
    ),
    Mutant(
        number=4,
        name="confirm_without_row_count",
        breaks="confirming (C2) does not count the seats that it sold. Three guards count the same: seats, prices, tickets",
        cases=[
            Case(
                name="seats alone",
                attack=a_seat_is_lost_before_the_confirmation,
                without=[PRICE_SUM, TICKET_COUNT],
                breaks=[SEAT_COUNT],
                seen_by="auditor:captured_is_what_was_sold",
            ),
            Case(
                name="prices alone",
                attack=a_seat_is_lost_before_the_confirmation,
                without=[SEAT_COUNT, TICKET_COUNT],
                breaks=[PRICE_SUM],
                seen_by="auditor:captured_is_what_was_sold",
            ),
            Case(
                name="tickets alone",
                attack=a_seat_is_lost_before_the_confirmation,
                without=[SEAT_COUNT, PRICE_SUM],
                breaks=[TICKET_COUNT],
                seen_by="auditor:captured_is_what_was_sold",
            ),
        ],
    ),
    Mutant(
        number=6,
        name="confirm_without_seat_check",
        breaks="confirming does not look whose the seats are (the seed's way). Three guards: the statement that sells, the"
        " one that issues, and the index of live tickets",
        cases=[
            Case(
                name="selling alone",
                attack=a_hold_is_confirmed_after_somebody_else_bought,
                without=[OWN_SEATS, NO_INDEX],
                breaks=[SEAT_CHECK],
                seen_by="auditor:one_live_ticket_a_seat",
            ),
            Case(
                name="issuing alone",
                attack=a_hold_is_confirmed_after_somebody_else_bought,
                without=[SEAT_CHECK, NO_INDEX],
                breaks=[OWN_SEATS],
                seen_by="auditor:one_live_ticket_a_seat",
            ),
            Case(
                name="the index alone",
                attack=a_hold_is_confirmed_after_somebody_else_bought,
                without=[SEAT_CHECK, OWN_SEATS],
                breaks=[NO_INDEX],
                seen_by="auditor:one_live_ticket_a_seat",
            ),
        ],
    ),
    Mutant(
        number=19,
        name="cancel_keeps_the_ticket",
        breaks="cancelling frees the seat, and its ticket stays valid",
        cases=[
            Case(
                name="cancelled",
                attack=an_order_is_cancelled,
                breaks=[
                    statement(
                        tickets, "VOID", "SET state = 'void', voided_at = clock_timestamp()", "SET issued_at = issued_at"
                    )
                ],
                seen_by="auditor:live_ticket_has_its_seat",
            )
        ],
    ),
]  # fmt: skip
