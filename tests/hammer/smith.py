"""One process of the hammer: a hundred clients on one event loop, one desk, one pool, all on the same few seats."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from bench.stub import Stub
from tests.support.checkers.history import Log, Operation, seconds_until

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.barcodes import KeyRing
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer, IdempotentCall
from boxoffice.runtime.telemetry import configure_logging
from boxoffice.services.sales.store import tickets
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish
from boxoffice.services.sales.usecases.release_order import give_back_hold
from boxoffice.services.sales.usecases.settle_payment import Settling, settle
from boxoffice.services.sales.usecases.start_payment import Wish as Payment
from boxoffice.services.sales.usecases.start_payment import start_payment

SHOP = "http://127.0.0.1"
WINDOW = timedelta(minutes=10)
POOL = 6
HOLDS_A_CUSTOMER = 6
"""Then a client comes as somebody else, for the hold budget is another test's."""
SWEEP_EVERY_S = 0.5
MOST_TRACEBACKS = 5
LAPSE, GIVE_BACK = 0.04, 0.5
"""Shares of holds that are left to run out and to be taken over, and that are given back; the others pay."""
SLOW = 0.06
SOON_S, THINK_S, KEEP_S = 0.04, 1.4, 2.0
"""Most seconds before the next step: of the quick, so that seats change hands all the time; of the slow, longer than a hold;
and of the slow before a ticket is cancelled."""


@dataclass
class Work:
    """What one process is to do: ``until`` ends it whatever was reached."""

    url: str
    event: int
    seats: Sequence[int]
    clients: int
    attempts: int
    seed: int
    seconds: float


@dataclass
class Done:
    """What it did. Refusals are counted, not kept: they have no effect that could be wrong."""

    operations: list[Operation] = field(default_factory=list)
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)


def work(given: Work) -> Done:
    """Run in a process of its own."""
    import uvloop

    configure_logging(service="hammer", level="error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(given))


async def _work(given: Work) -> Done:
    async with (
        Database.open(given.url, size=POOL, name="hammer", statement_timeout_ms=20_000) as database,
        HoldDesk.open(database) as desk,
    ):
        smith = Smith(given, database, desk)
        sweeping = asyncio.create_task(smith.sweep())
        await asyncio.gather(*(smith.client(number) for number in range(given.clients)))
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    smith.done.operations = [one for one in smith.log.operations() if one.outcome != "fail"]
    return smith.done


class Smith:
    """The clients of one process."""

    def __init__(self, given: Work, database: Database, desk: HoldDesk) -> None:
        self.given = given
        self.database = database
        self.desk = desk
        self.log = Log()
        self.done = Done()
        self.till = Settling(database=database, providers={"stub": Stub()}, signer=KeyRing.generate())
        self.ends_at = time.monotonic() + given.seconds

    async def sweep(self) -> None:
        """End holds that ran out, as the job does, and get in the way of takeovers."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await expire_holds(self.database)
            except DomainError:
                self.done.outcomes["sweep busy"] += 1

    async def client(self, number: int) -> None:
        """Hold, and do something with it, until there were enough attempts."""
        rng = random.Random(self.given.seed * 1000 + number)
        user, holds = UserId(uuid4()), 0
        while not self.over():
            self.done.attempts += 1
            if await self.attempt(rng, f"{self.given.seed}-{number}", user):
                holds += 1
            if holds >= HOLDS_A_CUSTOMER:
                user, holds = UserId(uuid4()), 0

    def over(self) -> bool:
        """Whether there were enough attempts, or it took too long."""
        return self.done.attempts >= self.given.attempts or time.monotonic() >= self.ends_at

    async def attempt(self, rng: random.Random, name: str, user: UserId) -> bool:
        """One attempt to reserve and what follows; whether it was a hold."""
        seats = tuple(SeatId(seat) for seat in sorted(rng.sample(self.given.seats, rng.choice((1, 1, 2, 3)))))
        call = IdempotentCall(principal=user, key=f"{rng.random()}", route="r", fingerprint=b"f") if rng.random() < 0.2 else None  # fmt: skip
        wish = Wish(user_id=user, event_id=EventId(self.given.event), seat_ids=seats)
        begin = time.monotonic()
        try:
            body = await self.desk.place(wish, call)
        except DomainError as refusal:
            self.done.outcomes[f"reserve {refusal.code}"] += 1
            if refusal.code.startswith("runtime."):
                return False
            if refusal.code not in EXPECTED:
                self.unexpected(refusal)
            return False
        if call is not None and rng.random() < 0.3 and await self.desk.place(wish, call) != body:
            self.done.unexpected.append("a repeat under the same key was answered otherwise")
        told = msgspec.json.decode(body)
        sent = self.log.invoke(name, "reserve", {})
        held = {"booking": told["bookingId"], "seats": list(seats), "hold_s": seconds_until(told["expiresAt"], begin)}
        self.log.lines[-1] = replace(sent, t_mono=begin)
        self.log.answer(sent, "ok", **held)
        self.done.outcomes["reserve ok"] += 1
        if told["expiresInSeconds"] and len(told["reservedTickets"]) != len(seats):
            self.done.unexpected.append("a hold was placed in part")
        await self.go_on(rng, name, user, OrderId(UUID(told["bookingId"])))
        return True

    async def go_on(self, rng: random.Random, name: str, user: UserId, order: OrderId) -> None:
        """Let it lapse, give it back, or pay, confirm and cancel."""
        dice = rng.random()
        if dice < LAPSE:
            return
        if dice < LAPSE + GIVE_BACK:
            await asyncio.sleep(rng.uniform(0, THINK_S if rng.random() < SLOW else SOON_S))
            await self.do(name, "release", order, self.release(order, user))
            return
        payment = await self.do(name, "pay", order, self.pay(order, user), pay_s=WINDOW.total_seconds())
        if payment is None:
            return
        await asyncio.sleep(rng.uniform(0, THINK_S if rng.random() < SLOW else SOON_S))
        issued = await self.do(name, "confirm", order, self.confirm(order, payment), as_tickets=True)
        if issued is None:
            return
        await asyncio.sleep(rng.uniform(0, KEEP_S if rng.random() < SLOW else SOON_S))
        if not self.over():  # or all seats would soon be sold for good; those of the end are
            await self.do(name, "cancel", order, self.cancel(order, user))

    async def do(self, name: str, f: str, order: OrderId, act: Any, *, as_tickets: bool = False, **value: Any) -> Any:
        """Do one operation of the history."""
        sent = self.log.invoke(name, f, {"booking": str(order), **value})
        try:
            found = await act
        except DomainError as refusal:
            self.done.outcomes[f"{f} {refusal.code}"] += 1
            self.log.answer(sent, "info" if refusal.code.startswith("runtime.") else "fail")
            if refusal.code not in EXPECTED and not refusal.code.startswith("runtime."):
                self.unexpected(refusal)
            return None
        self.log.answer(sent, "ok", **({"tickets": found} if as_tickets else {}))
        self.done.outcomes[f"{f} ok"] += 1
        return found if found is not None else True

    def unexpected(self, refusal: DomainError) -> None:
        """Keep what should not be answered in a hammer."""
        if len(self.done.unexpected) < MOST_TRACEBACKS:
            self.done.unexpected.append(f"{refusal.code}: {refusal.detail}")

    async def release(self, order: OrderId, user: UserId) -> None:
        """The seats go back."""
        async with self.database.transaction() as tx:
            await give_back_hold(tx, order_id=order, user_id=user)

    async def pay(self, order: OrderId, user: UserId) -> PaymentId:
        """P, and the stub's order."""
        wish = Payment(order_id=order, user_id=user, provider="stub", return_url=SHOP, cancel_url=SHOP)
        answer = await start_payment(
            self.database, self.till.providers, wish, public_url=SHOP, window=WINDOW, call=None,
            render=lambda payment: Answer(status=201, body=str(payment.payment_id).encode()),
        )  # fmt: skip
        return PaymentId(UUID(answer.body.decode() if isinstance(answer.body, bytes) else str(answer.body)))

    async def confirm(self, order: OrderId, payment: PaymentId) -> list[str]:
        """C1, capture, C2."""
        await settle(self.till, payment)
        async with self.database.transaction() as tx:
            return [str(ticket.ticket_id) for ticket in await tickets.of_order(tx, order)]

    async def cancel(self, order: OrderId, user: UserId) -> None:
        """X."""
        async with self.database.transaction() as tx:
            await cancel_order(tx, order_id=order, by=Canceller(user_id=user))


EXPECTED = {
    "sales.seats_taken", "sales.limit_reached", "sales.hold_budget_spent", "sales.hold_expired", "sales.order_not_found",
    "sales.wrong_order_state", "sales.single_seat_left",
}  # fmt: skip
"""What a crowd on few seats is told; anything else is a finding."""
