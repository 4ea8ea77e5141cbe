"""Mutants of placing a hold, by both ways: the plain call (the reference) and the gathered one."""

import asyncio
from functools import partial
from uuid import uuid4

import asyncpg
import msgspec
from tests.mutants.case import Attack, Case, Defect, Mutant, routine, schema, statement
from tests.mutants.oracles import breach, judge
from tests.mutants.pauses import ends_after, in_time, is_over, until_blocked, until_over
from tests.mutants.room import Path_, Room
from tests.support.payments import tolerating
from tests.support.sales import EVENT

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, SeatId, UserId
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.refusals import LimitReachedError, SeatsTakenError
from boxoffice.services.sales.store import holds, payments
from boxoffice.services.sales.usecases.place_hold import Wish

LIMIT = 8
"""Tickets that one customer may have, as the event in the room says."""
MOST_OF_IT = 5
"""Twice this is more than the limit."""


def wish(*seats: SeatId, user_id: UserId | None = None) -> Wish:
    return Wish(user_id=user_id or UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))


async def wanted(room: Room, path: Path_, one: Wish, call: IdempotentCall | None = None) -> bytes | None:
    """Try to hold; the answer, or none when it was refused as taken or over the limit, or by a constraint."""
    try:
        return await room.place(path, one, call)
    except (SeatsTakenError, LimitReachedError) as refusal:
        room.meet(refusal.code)
    except asyncpg.CheckViolationError as refusal:
        room.meet(f"CHECK {refusal.constraint_name}")
    return None


async def one_seat_of_two_is_locked(path: Path_, room: Room) -> None:
    """Another request is at one of the two seats just now."""
    till = await room.till()
    async with till.database.transaction() as other:
        await other.fetch("SELECT 1 FROM event_seats WHERE seat_id = $1 FOR UPDATE", till.seats[1])
        await wanted(room, path, wish(till.seats[0], till.seats[1]))
    await judge(room)


async def somebody_wants_what_is_being_paid_for(path: Path_, room: Room) -> None:
    """The first buyer is at the provider's page, and pays while a second one asks for the same seats."""
    till = await room.till()
    payment = await till.begin(2)
    await wanted(room, path, wish(*till.seats[:2]))
    till.paypal.approve(payment.provider_ref)
    await tolerating(lambda: till.settle(payment.payment_id))
    await judge(room, payment.order_id)


async def somebody_wants_what_is_held(path: Path_, room: Room) -> None:
    """A fresh hold, and a second customer who asks for the same seats at once."""
    till = await room.till()
    await till.hold(2)
    await wanted(room, path, wish(*till.seats[:2]))
    await judge(room)


async def the_hold_ends_while_the_next_one_waits(room: Room) -> None:
    """A retry waits for the first try's key (which fails in the end); the wanted seat's hold ends meanwhile."""
    await in_time(partial(_waits_for_its_key, room))
    await judge(room)


async def _waits_for_its_key(room: Room, seconds: float) -> bool:
    till = await room.till()
    order_id, _ = await till.hold(1)
    seat = till.seats[till.taken - 1]
    user = UserId(uuid4())
    call = IdempotentCall.of(principal=user, key="again", route="POST /bookings/reserve", body=b"{}")
    assert call is not None
    await ends_after(till.database, order_id, seconds)
    first_try = await till.database.pool.acquire()
    try:
        transaction = first_try.transaction()
        await transaction.start()
        await first_try.execute(
            "INSERT INTO idempotency_keys (principal, key, route, fingerprint) VALUES ($1, $2, $3, $4)",
            call.principal, call.key, call.route, call.fingerprint,
        )  # fmt: skip
        waiting = asyncio.create_task(wanted(room, "plain", wish(seat, user_id=user), call))
        await until_blocked(till.database, waiting)
        began_before = not await is_over(till.database, order_id)
        await until_over(till.database, order_id)
        await transaction.rollback()
    finally:
        await till.database.pool.release(first_try)
    if await waiting is None:
        raise breach("history", "a seat whose hold was over was refused as taken")
    room.meet("the database's own clock, after the wait")
    return began_before


async def the_customers_clock_ends_while_a_hold_waits(path: Path_, room: Room) -> None:
    """A second hold of a customer waits for their count; the first one's time, which the second would share, ends."""
    await in_time(partial(_waits_for_its_count, path, room))
    await judge(room)


async def _waits_for_its_count(path: Path_, room: Room, seconds: float) -> bool:
    till = await room.till()
    order_id, user = await till.hold(1)
    seat = till.seats[till.taken]
    till.taken += 1
    await ends_after(till.database, order_id, seconds)
    async with till.database.transaction() as other:
        await other.fetch("SELECT 1 FROM customer_limits WHERE user_id = $1 FOR UPDATE", user)
        waiting = asyncio.create_task(wanted(room, path, wish(seat, user_id=user)))
        await until_blocked(till.database, waiting)
        began_before = not await is_over(till.database, order_id)
        await until_over(till.database, order_id)
    answer = await waiting
    assert answer is not None
    seconds = msgspec.json.decode(answer)["expiresInSeconds"]
    if seconds <= 0:
        raise breach("history", f"a hold was answered with yes, and had ended {-seconds} s before")
    room.meet("a new clock began after the wait")
    return began_before


async def the_hold_ends_while_paying_waits_for_a_lock(room: Room) -> None:
    """Somebody else keeps the order's record for a moment, and the hold runs out meanwhile."""
    await in_time(partial(_waits_for_its_order, room))
    await judge(room)


async def _waits_for_its_order(room: Room, seconds: float) -> bool:
    till = await room.till()
    order_id, user_id = await till.hold(2)
    await ends_after(till.database, order_id, seconds)
    async with till.database.transaction() as other:
        await other.fetch("SELECT 1 FROM orders WHERE order_id = $1 FOR UPDATE", order_id)
        paying = asyncio.create_task(tolerating(lambda: till.start(order_id, user_id)))
        await until_blocked(till.database, paying)
        began_before = not await is_over(till.database, order_id)
        await until_over(till.database, order_id)
    answer = await paying
    if isinstance(answer, DomainError):
        room.meet(answer.code)
    else:
        raise breach("history", "a hold whose time was over was accepted for paying")
    return began_before


async def two_halves_of_the_limit_at_once(path: Path_, room: Room) -> None:
    """One customer in two processes: the second hold is asked for while the first is not committed yet."""
    till = await room.till()
    user = UserId(uuid4())
    async with till.database.transaction() as first:
        await holds.place(
            first, user_id=user, event_id=EVENT, seat_ids=till.seats[:MOST_OF_IT], quantity=None, price_level=None,
            together=False, order_id=OrderId(uuid7()), call=None, trace=None,
        )  # fmt: skip
        rest = till.seats[MOST_OF_IT : 2 * MOST_OF_IT]
        waiting = asyncio.create_task(wanted(room, path, wish(*rest, user_id=user)))
        await until_blocked(till.database, waiting)
    await waiting
    await judge(room)


PATHS: tuple[Path_, Path_] = ("plain", "gathered")


def by(path: Path_, attack: "partial[object] | Attack") -> Attack:
    return partial(attack, path)  # type: ignore[arg-type] # an attack that takes the way first


STILL_OPEN = "(state = 'free' OR (state = 'held'"
STILL_OPEN_S = "(s.state = 'free' OR (s.state = 'held'"
APP_CLOCK = "(clock_timestamp() + interval '1 hour')"
"""What an application says whose machine is an hour ahead."""

NO_COUNT_CONSTRAINTS = schema(
    """
    DO $$
    DECLARE
      found record;
    BEGIN
      FOR found IN SELECT conname FROM pg_constraint
        WHERE conrelid = 'orders'::regclass AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%cardinality%'
      LOOP
        EXECUTE format('ALTER TABLE orders DROP CONSTRAINT %I', found.conname);
      END LOOP;
    END $$
    """
)
NO_LIMIT_CONSTRAINT = schema("ALTER TABLE customer_limits DROP CONSTRAINT customer_limit")
A_REPLICA = schema("CREATE TABLE event_seats_replica AS TABLE event_seats")
COUNTED = """
    (SELECT count(*) FROM orders o, unnest(o.seat_ids) WHERE o.event_id = l.event_id AND o.user_id = l.user_id
      AND o.state IN ('held', 'paying', 'confirmed')) + EXCLUDED.n <= EXCLUDED.cap"""
LIMIT_GUARD = "l.n + EXCLUDED.n <= EXCLUDED.cap"


def without_row_count(path: Path_) -> Defect:
    if path == "plain":
        return routine(
            "place_hold", "IF cardinality(took) IS DISTINCT FROM places THEN", "IF cardinality(took) = 0 THEN"
        )
    return routine("gather_holds", "HAVING count(*) = p_n[c.req]", "HAVING count(*) > 0")


def counts_orders(path: Path_) -> Defect:
    return routine("count_places" if path == "plain" else "gather_holds", LIMIT_GUARD, COUNTED)


def steals_paying(path: Path_) -> Defect:
    if path == "plain":
        return routine("place_hold", STILL_OPEN, STILL_OPEN.replace("= 'free'", "IN ('free', 'paying')"))
    return routine("gather_holds", STILL_OPEN_S, STILL_OPEN_S.replace("= 'free'", "IN ('free', 'paying')"))


def reads_a_replica(path: Path_) -> Defect:
    if path == "plain":
        return routine(
            "place_hold", "WITH open AS (\n    SELECT seat_id FROM event_seats\n",
            "WITH open AS (\n    SELECT seat_id FROM event_seats_replica\n",
        )  # fmt: skip
    return routine(
        "gather_holds", "JOIN event_seats s ON s.event_id = w.id >> 20 AND s.seat_id = w.id\n     WHERE (s.state",
        "JOIN event_seats_replica s ON s.event_id = w.id >> 20 AND s.seat_id = w.id\n     WHERE (s.state",
    )  # fmt: skip


EARLY_NO_STEALS = routine("is_open", "state = 'free' OR", "state IN ('free', 'paying') OR")
EARLY_NO_BY_APP_CLOCK = routine("is_open", "clock_timestamp()", APP_CLOCK)
NO_EARLY_NO = routine("place_hold", "IF wanted IS NOT NULL AND places <> (", "IF false AND places <> (")

SEATS_CLOCK = statement(payments, "TAKE_SEATS", "hold_expires_at > clock_timestamp()", "hold_expires_at > now()")
ORDERS_CLOCK = statement(payments, "PAY_ORDER", "hold_expires_at > clock_timestamp()", "hold_expires_at > now()")

MUTANTS = [
    Mutant(
        number=2,
        name="reserve_without_row_count",
        breaks="placing a hold (R) does not count the seats that it got. Two guards: the count, and the CHECK that an"
        " order names as many seats as it says",
        cases=[
            *(
                Case(
                    name=f"{path}, counting alone",
                    attack=by(path, one_seat_of_two_is_locked),
                    without=[NO_COUNT_CONSTRAINTS],
                    breaks=[without_row_count(path)],
                    seen_by="auditor:hold_has_all_its_seats",
                )
                for path in PATHS
            ),
            *(
                Case(
                    name=f"{path}, the CHECK alone",
                    attack=by(path, one_seat_of_two_is_locked),
                    without=[without_row_count("plain"), without_row_count("gathered")],
                    breaks=[NO_COUNT_CONSTRAINTS],
                    seen_by="auditor:hold_has_all_its_seats",
                )
                for path in PATHS
            ),
        ],
    ),
    Mutant(
        number=5,
        name="steal_paying",
        breaks="a seat that is being paid for counts as open. The plain way has two guards: the early no and the"
        " statement that takes",
        cases=[
            Case(
                name="plain, taking alone",
                attack=by("plain", somebody_wants_what_is_being_paid_for),
                without=[EARLY_NO_STEALS],
                breaks=[steals_paying("plain")],
                seen_by="bank",
            ),
            Case(
                name="plain, the early no alone",
                attack=by("plain", somebody_wants_what_is_being_paid_for),
                without=[steals_paying("plain")],
                breaks=[EARLY_NO_STEALS],
                seen_by="bank",
            ),
            Case(
                name="gathered",
                attack=by("gathered", somebody_wants_what_is_being_paid_for),
                breaks=[steals_paying("gathered")],
                seen_by="bank",
            ),
        ],
    ),
    Mutant(
        number=12,
        name="expiry_by_the_apps_clock",
        breaks="whether a hold is over is judged by the clock of an application server, which is an hour ahead",
        cases=[
            Case(
                name="plain",
                attack=by("plain", somebody_wants_what_is_held),
                without=[EARLY_NO_BY_APP_CLOCK],
                breaks=[routine("place_hold", "hold_expires_at <= clock_timestamp()", f"hold_expires_at <= {APP_CLOCK}")],
                seen_by="auditor:hold_has_all_its_seats",
            ),
            Case(
                name="gathered",
                attack=by("gathered", somebody_wants_what_is_held),
                breaks=[
                    routine("gather_holds", "hold_expires_at <= clock_timestamp()", f"hold_expires_at <= {APP_CLOCK}")
                ],
                seen_by="auditor:hold_has_all_its_seats",
            ),
        ],
    ),
    Mutant(
        number=13,
        name="time_of_the_transactions_start",
        breaks="now() instead of clock_timestamp(): after a wait for a lock it is the time before the wait",
        cases=[
            Case(
                name="plain",
                attack=the_hold_ends_while_the_next_one_waits,
                breaks=[
                    routine("is_open", "clock_timestamp()", "now()"),
                    routine("place_hold", "hold_expires_at <= clock_timestamp()", "hold_expires_at <= now()"),
                ],
                seen_by="history",
            ),
            Case(
                name="plain, the customers clock",
                attack=by("plain", the_customers_clock_ends_while_a_hold_waits),
                breaks=[routine("count_places", "clock_timestamp()", "now()", every=True)],
                seen_by="history",
            ),
            Case(
                name="gathered, the customers clock",
                attack=by("gathered", the_customers_clock_ends_while_a_hold_waits),
                breaks=[routine("gather_holds", "clock_timestamp()", "now()", every=True)],
                seen_by="history",
            ),
            Case(
                name="paying, the seats clock alone",
                attack=the_hold_ends_while_paying_waits_for_a_lock,
                without=[ORDERS_CLOCK],
                breaks=[SEATS_CLOCK],
                seen_by="history",
            ),
            Case(
                name="paying, the orders clock alone",
                attack=the_hold_ends_while_paying_waits_for_a_lock,
                without=[SEATS_CLOCK],
                breaks=[ORDERS_CLOCK],
                seen_by="history",
            ),
        ],
    ),
    Mutant(
        number=14,
        name="seat_state_from_a_replica",
        breaks="which seats are open is read from a copy that lags behind; the product has no replica, so it is given one",
        cases=[
            Case(
                name="plain",
                attack=by("plain", somebody_wants_what_is_held),
                without=[NO_EARLY_NO],
                breaks=[A_REPLICA, reads_a_replica("plain")],
                seen_by="auditor:hold_has_all_its_seats",
            ),
            Case(
                name="gathered",
                attack=by("gathered", somebody_wants_what_is_held),
                breaks=[A_REPLICA, reads_a_replica("gathered")],
                seen_by="auditor:hold_has_all_its_seats",
            ),
        ],
    ),
    Mutant(
        number=18,
        name="limit_by_counting",
        breaks="the customer's limit is checked by counting orders, which sees what was committed before the statement"
        " began. Two guards: the counter, and its CHECK",
        cases=[
            *(
                Case(
                    name=f"{path}, the counter alone",
                    attack=by(path, two_halves_of_the_limit_at_once),
                    without=[NO_LIMIT_CONSTRAINT],
                    breaks=[counts_orders(path)],
                    seen_by="auditor:limits_hold",
                )
                for path in PATHS
            ),
            *(
                Case(
                    name=f"{path}, the CHECK alone",
                    attack=by(path, two_halves_of_the_limit_at_once),
                    without=[counts_orders("plain"), counts_orders("gathered")],
                    breaks=[NO_LIMIT_CONSTRAINT],
                    seen_by="auditor:limits_hold",
                )
                for path in PATHS
            ),
        ],
    ),
]  # fmt: skip
