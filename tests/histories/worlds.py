"""The two real ways of selling, each on a PostgreSQL database of its own whose clock the test sets."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from operator import attrgetter
from typing import Any, assert_never
from uuid import UUID

import asyncpg
import msgspec
from tests.histories.house import BEGIN, CUSTOMERS, EVENTS, FIELD, HALL, PAY_WINDOW_S, fact, levels, seats_of
from tests.histories.model import Label, Request, Said, said
from tests.histories.steps import Cancel, Extend, Halt, Pay, Release, Rules
from tests.support.sales import SIGNER

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId, seat_id
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.services.sales.domain.payment import Captured, CaptureOutcome, Payment, ProviderOrder, ProviderOrderState
from boxoffice.services.sales.domain.prices import number_places
from boxoffice.services.sales.providers import Begun, NewPayment
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.create_event_seats import create_event_seats
from boxoffice.services.sales.usecases.extend_hold import extend_hold
from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.services.sales.usecases.hold_best_available import BestDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold
from boxoffice.services.sales.usecases.release_order import give_back_hold
from boxoffice.services.sales.usecases.settle_payment import Settling, settle
from boxoffice.services.sales.usecases.start_payment import Wish as Pays
from boxoffice.services.sales.usecases.start_payment import start_payment
from boxoffice.services.sales.usecases.take_event_terms import terms_of

PLACE = (1 << 20) - 1
OUR_CLOCK = """
CREATE TABLE test_clock (at timestamptz NOT NULL);
INSERT INTO test_clock VALUES (now());
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT at FROM public.test_clock';
DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
END $$;
"""
"""A name without a schema is looked for in ``public`` first here, so all functions of the sale ask this clock."""
SET_CLOCK = "UPDATE test_clock SET at = $1"
ANEW = """
DELETE FROM outbox; DELETE FROM idempotency_keys; DELETE FROM refunds; DELETE FROM tickets; DELETE FROM ledger_entries;
DELETE FROM payments; DELETE FROM orders; DELETE FROM customer_limits;
UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL, fence = 0 WHERE fence > 0;
UPDATE ga_areas SET free = int4multirange(int4range(first_place, first_place + capacity)), n_free = capacity
 WHERE n_free < capacity;
"""
KEEP_RULES = "UPDATE event_terms SET limit_per_customer = $1, no_orphans = $2 AND event_id = $3, halted_because = NULL"
HALT = "UPDATE event_terms SET halted_because = $2 WHERE event_id = $1"
SWEEP = "SELECT expire_holds(NULL, NULL, 100, NULL)"
TOLD = "SELECT key::uuid FROM outbox WHERE type = 'sales.order.held' ORDER BY position"


SHOP = "http://shop.example.org"
WINDOW = timedelta(seconds=PAY_WINDOW_S)
Afterwards = Release | Extend | Pay | Cancel


class Provider:
    """A provider that always says yes, at once."""

    name = "paypal"
    payee = ""

    def __init__(self) -> None:
        self._orders: dict[str, NewPayment] = {}

    async def create(self, payment: NewPayment) -> Begun:
        ref = f"O-{payment.payment_id}"
        self._orders[ref] = payment
        return Begun(provider_ref=ref, approval_url=f"{SHOP}/approve")

    async def get(self, provider_ref: str) -> ProviderOrder:
        payment = self._orders[provider_ref]
        return ProviderOrder(
            provider_ref=provider_ref, state=ProviderOrderState.APPROVED, total=payment.total,
            order_reference=str(payment.order_id), payment_reference=str(payment.payment_id),
        )  # fmt: skip

    async def capture(self, provider_ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        return Captured(capture_ref=f"C-{payment_id}", value=self._orders[provider_ref].total)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Open a fresh database on our clock with every event of ``house.py`` on sale. Nobody is in a hurry here."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(OUR_CLOCK)
    finally:
        await connection.close()
    async with Database.open(url, size=16, statement_timeout_ms=0) as database:
        await database.fetch(SET_CLOCK, BEGIN)
        for event_id in EVENTS:
            areas = number_places(levels()) if event_id == FIELD else []
            await create_event_seats(database, terms_of(fact(event_id), 1), seats_of(event_id), areas)
        yield database


@dataclass
class World:
    """One database and what its orders are called in the history."""

    database: Database
    is_quick: bool = False
    labels: dict[UUID, Label] = field(default_factory=dict)
    payments: dict[OrderId, PaymentId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        provider: Any = Provider()
        self.till = Settling(database=self.database, providers={"paypal": provider}, signer=SIGNER)

    async def begin(self, rules: Rules) -> None:
        """Start anew: everything is free, nobody has anything."""
        self.labels.clear()
        self.payments.clear()
        async with self.database.connection() as connection:
            await connection.execute(ANEW)
            await connection.execute(KEEP_RULES, rules.limit, rules.no_orphans, HALL)
            await connection.execute(SET_CLOCK, BEGIN)

    async def set_clock(self, now: int) -> None:
        await self.database.fetch(SET_CLOCK, BEGIN + timedelta(seconds=now))

    async def sweep(self) -> None:
        await self.database.fetch(SWEEP)

    def order(self, label: Label) -> OrderId:
        return next(OrderId(order_id) for order_id, known in self.labels.items() if known == label)

    async def act(self, step: Afterwards, label: Label, customer: int) -> Said:
        """Do to an order what a step says; gives what its owner heard."""
        order_id, user_id = self.order(label), CUSTOMERS[customer]
        try:
            match step:
                case Release():
                    async with self.database.transaction() as tx:
                        return said((await give_back_hold(tx, order_id=order_id, user_id=user_id)).value)
                case Extend():
                    async with self.database.transaction() as tx:
                        await extend_hold(tx, order_id=order_id, user_id=user_id)
                    return said("extended")
                case Pay():
                    return await self._pay(order_id, user_id)
                case Cancel():
                    return await self._cancel(order_id, user_id, step.tickets)
                case _:
                    assert_never(step)
        except DomainError as refusal:
            return self.refused(refusal)

    async def _pay(self, order_id: OrderId, user_id: UserId) -> Said:
        started: list[Payment] = []

        def render(payment: Payment) -> Answer:
            started.append(payment)
            return Answer(status=201, body=b"{}")

        wish = Pays(
            order_id=order_id, user_id=user_id, provider="paypal", return_url=f"{SHOP}/back", cancel_url=f"{SHOP}/no"
        )
        async with BeginDesk.open(self.database) as desk:
            await start_payment(
                self.database, self.till.providers, wish, public_url=SHOP, window=WINDOW, call=None, render=render,
                desk=desk if self.is_quick else None,
            )  # fmt: skip
        self.payments[order_id] = started[0].payment_id
        return said("payment", state=started[0].state.value)

    async def _cancel(self, order_id: OrderId, user_id: UserId, numbers: tuple[int, ...] | None) -> Said:
        seats = await self.database.fetchval("SELECT seat_ids FROM orders WHERE order_id = $1", order_id)
        chosen = None if numbers is None else [seats[number % len(seats)] for number in numbers]
        async with self.database.transaction() as tx:
            done = await cancel_order(tx, order_id=order_id, by=Canceller(user_id=user_id), chosen=chosen)
        places = tuple(
            ticket.section if ticket.event_id == FIELD else ticket.seat_id & PLACE
            for ticket in sorted(done.tickets, key=attrgetter("seat_id"))
        )
        return said("cancelled", places=places, refund=done.refund.minor)

    async def settle(self, order_id: OrderId) -> Said:
        """Capture and confirm by the whole way."""
        payment_id = self.payments.get(order_id)
        if payment_id is None:
            return said("no payment")
        return said("payment", state=(await settle(self.till, payment_id)).state.value)

    async def halt(self, step: Halt) -> None:
        await self.database.fetch(HALT, step.event, "a check" if step.on else None)

    def hear(self, requests: Sequence[Request], answers: Sequence[bytes | BaseException]) -> list[Said]:
        """Read answers; an order that is new is called by the first request that was answered with it."""
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, bytes):
                self.labels.setdefault(UUID(msgspec.json.decode(answer)["bookingId"]), request.label)
        return [self._heard(answer) for answer in answers]

    def _heard(self, answer: bytes | BaseException) -> Said:
        if isinstance(answer, DomainError):
            return self.refused(answer)
        if isinstance(answer, BaseException):
            return said("broken", error=repr(answer))
        body = msgspec.json.decode(answer)
        tickets = body["reservedTickets"]
        return said(
            "held", order=self.labels[UUID(body["bookingId"])], places=tuple(place_of(one) for one in tickets),
            total=minor(body["total"]), seconds=body["expiresInSeconds"], arrangement=body.get("arrangement"),
        )  # fmt: skip

    def refused(self, refusal: DomainError) -> Said:
        return said(refusal.code, **{name: self._plain(value) for name, value in refusal.context.items()})

    def _plain(self, value: Any) -> object:
        if isinstance(value, list):
            return tuple(sorted({place_of(one) if isinstance(one, dict) else one & PLACE for one in value}))
        if isinstance(value, str) and len(value) == 36:
            return self.labels.get(UUID(value), value)
        return value


class GatheredWorld(World):
    """Sells through the desks."""

    desk: HoldDesk
    confirmations: ConfirmDesk

    async def hold(self, requests: Sequence[Request]) -> tuple[list[Said], list[Label]]:
        """Send requests at the same moment; gives what they heard, and the orders made in the outbox's order."""
        answers = await asyncio.gather(
            *(self.desk.place(wish_of(one), call_of(one)) for one in requests), return_exceptions=True
        )
        heard = self.hear(requests, answers)
        told = [self.labels.get(UUID(int=record["key"].int)) for record in await self.database.fetch(TOLD)]
        new = {one.label for one in requests}
        return heard, [label for label in told if label in new]

    async def confirm(self, labels: Sequence[Label], customers: Sequence[int]) -> list[Said]:
        """Have several payments captured and their orders confirmed at the same moment."""
        return list(await asyncio.gather(*map(self._confirm, labels, customers)))

    async def _confirm(self, label: Label, customer: int) -> Said:
        order_id = self.order(label)
        payment_id = self.payments.get(order_id)
        if payment_id and await self.confirmations.confirm(order_id, CUSTOMERS[customer], payment_id):
            return said("payment", state="captured")
        return await self.settle(order_id)  # as ``confirm_for_buyer`` does when it is not the usual case


class PlainWorld(World):
    """Sells one by one, by the calls that are the reference."""

    async def hold(self, request: Request) -> Said:
        answer: bytes | BaseException
        try:
            wish, call = wish_of(request), call_of(request)
            if wish.seat_ids is None and wish.event_id != FIELD:
                answer = await BestDesk(self.database).place(wish, call)  # alone, and so one by one
            else:
                answer = await place_hold(self.database, wish, call)
        except DomainError as refusal:
            answer = refusal
        return self.hear([request], [answer])[0]


def wish_of(request: Request) -> Wish:
    ask = request.ask
    seats = None if ask.places is None else tuple(SeatId(seat_id(ask.event, place)) for place in ask.places)
    return Wish(
        user_id=CUSTOMERS[ask.customer], event_id=ask.event, seat_ids=seats, quantity=ask.quantity,
        price_level=ask.level, together=ask.together,
    )  # fmt: skip


def call_of(request: Request) -> IdempotentCall | None:
    return IdempotentCall.of(
        principal=CUSTOMERS[request.ask.customer], key=request.key, route="reserve", body=request.body.encode()
    )


def place_of(shown: Mapping[str, Any]) -> int | str:
    """A place as the model calls it: by its number, or by its area."""
    place = shown["seatId"] if "seatId" in shown else shown["ticketId"]
    assert isinstance(place, int)
    return str(shown["section"]) if place >> 20 == FIELD else place & PLACE


def minor(price: str) -> int:
    return int(price.replace(".", ""))
