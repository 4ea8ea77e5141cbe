"""One seed, one history: who does what next, what gets lost, who dies, how late it is. Everything is drawn from the seed.

After the drawn part everything behaves again, and within bounded time everything must come to rest.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from tests.simulation.checks import Broken, check_bank, check_messages, check_rest, check_step
from tests.simulation.provider import Bank, Webhook
from tests.simulation.sale import SILENT, Call, Sale, Terms
from tests.simulation.store import Seat

from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.payment import (
    Captured,
    Declined,
    PaymentState,
    ProviderOrder,
    ProviderOrderState,
    Unknown,
)
from boxoffice.services.sales.domain.refund import WHOLE
from boxoffice.services.sales.domain.seat import SeatState

EPOCH = datetime(2026, 6, 1, 18, tzinfo=UTC)
STEPS = 120
"""Drawn steps of one history: enough for two or three orders to live their whole lives."""
SETTLES_WITHIN = timedelta(seconds=60)
"""I6: how long after its deadline a payment may be open while the provider answers."""
TICK = timedelta(seconds=2)
"""How often the timers run at the end, as in the product."""
PAUSES = (timedelta(seconds=20), timedelta(minutes=11), timedelta(hours=1), timedelta(hours=7))
LONGEST_JOURNEY = timedelta(hours=1)
"""Longer than any request or process stands still; shorter than the provider remembers a key."""
ANSWERED = "answered "
TO_PROVIDER = frozenset({"create", "get", "capture", "void", "look", "refund", "late look", "late refund"})


@dataclass
class Mood:
    """How likely what goes wrong is in one history; some histories are quiet, some are hell."""

    lost_request: float
    lost_reply: float
    slow: float
    twice: float
    decline: float
    pending: float
    death: float
    death_in_transaction: float
    repeat_webhook: float
    jump: float
    jump_back: bool
    turns_back: float
    event_off: float
    outage: float
    late_answer: float
    new_hold: float

    @classmethod
    def drawn(cls, rnd: Random) -> "Mood":
        def some(most: float) -> float:
            return rnd.random() * most if rnd.random() < 0.6 else 0.0

        return cls(
            lost_request=some(0.3), lost_reply=some(0.4), slow=some(0.3), twice=some(0.2), decline=some(0.6),
            pending=some(0.3), death=some(0.15), death_in_transaction=some(0.15), repeat_webhook=some(0.8),
            jump=some(0.15), jump_back=rnd.random() < 0.1, turns_back=some(0.5), event_off=some(0.02),
            outage=some(0.3), late_answer=some(0.9),
            new_hold=rnd.choice((0.25, 0.25, 0.04)),  # some histories stay with one order for long
        )  # fmt: skip


@dataclass
class Result:
    """What came of one seed."""

    seed: int
    steps: int = 0
    violation: str | None = None
    seen: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)


class World:
    """Everything of one history."""

    def __init__(
        self, seed: int, off: frozenset[str] = frozenset(), *, traced: bool = False,
        mood: Mapping[str, float] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.rnd = rnd = Random(seed)
        self.mood = replace(Mood.drawn(rnd), **mood)
        self.bank = Bank()
        terms = Terms(
            limit=rnd.choice((2, 3, 8)), hold=timedelta(minutes=rnd.choice((1, 5, 20))),
            refund_percent=rnd.choice((WHOLE, WHOLE, 80, 0)),
        )  # fmt: skip
        self.sale = Sale(terms, off=off)
        free = rnd.random() < 0.08
        for number in range(rnd.randint(2, 5)):
            self.sale.store.seats[number] = Seat(0 if free else rnd.choice((3000, 5000, 5001)))
        self.users = range(rnd.randint(2, 4))
        self.time = EPOCH
        self.skew = timedelta(0)
        self.went_back = False
        self.pending: list[Call] = []
        self.stragglers: list[Call] = []
        self.behaves = False
        self.traced = traced
        self.result = Result(seed)
        self._checked = 0

    @property
    def now(self) -> datetime:
        """The database's clock, the only one that decides."""
        return self.time + self.skew

    # -- the history -----------------------------------------------------------------------------------------------

    def run(self) -> Result:
        try:
            for _ in range(STEPS):
                self._draw()
                self._check()
            self._come_to_rest()
        except Broken as broken:
            self.result.violation = str(broken)
        except AssertionError as wrong:
            self.result.violation = f"I3: {wrong}"
        self.result.seen.update(self.sale.noted)
        return self.result

    def _check(self) -> None:
        self.result.steps += 1
        store = self.sale.store
        if store.changes != self._checked:
            self._checked = store.changes
            check_step(self.sale, self.now, clock_went_back=self.went_back)
        if "told_outside" in self.sale.off or self.result.steps % 30 == 0:
            check_messages(store)
        check_bank(self.sale, self.bank)

    def _draw(self) -> None:
        """One thing happens."""
        self.time += timedelta(microseconds=self.rnd.randint(1, 2_000_000))
        chance = self.rnd.random()
        if self.pending and chance < 0.45:
            self._go_on(self.pending.pop(self.rnd.randrange(len(self.pending))))
        elif chance < 0.75:
            self._user()
        elif chance < 0.87:
            self._timer()
        else:
            self._world()

    def _step(self, what: str, command: Callable[..., list[Call]], *arguments: Any) -> None:
        dies = not self.behaves and self.rnd.random() < self.mood.death_in_transaction
        if self.traced:
            told = ", ".join(_short(one) for one in arguments if not isinstance(one, datetime))
            self.result.trace.append(f"{self.now:%H:%M:%S} {what}({told}){' dies' if dies else ''}")
        self.pending += self.sale.step(command, *arguments, dies=dies)

    def _note(self, what: str) -> None:
        self.sale.note(what)
        if self.traced:
            self.result.trace.append(f"{self.now:%H:%M:%S}   {what}")

    # -- people ----------------------------------------------------------------------------------------------------

    def _user(self) -> None:
        store, rnd, sale = self.sale.store, self.rnd, self.sale
        orders = [
            order for order in store.orders.values() if order.state not in {OrderState.RELEASED, OrderState.CANCELLED}
        ]
        if not orders or rnd.random() < self.mood.new_hold:
            most = min(3, len(store.seats))
            wanted = tuple(sorted(rnd.sample(range(len(store.seats)), rnd.randint(1, most))))
            self._step("hold", sale.hold, rnd.choice(self.users), wanted, self.now)
            return
        order = rnd.choice(orders)
        match order.state:
            case OrderState.HELD if order.total == 0:
                self._step("confirm_free", sale.confirm_free, order.order_id, self.now)
            case OrderState.HELD if rnd.random() < 0.12:
                self._step("give_back", sale.give_back, order.order_id)
            case OrderState.HELD:
                self._step("start_payment", sale.start_payment, order.order_id, self.now)
            case OrderState.PAYING:
                self._payer(store.attempts[order.order_id][-1])
            case _:
                self._owner(order.order_id)

    def _payer(self, payment_id: int) -> None:
        """Approve, come back, turn back; an earlier attempt's page may still be open in another tab."""
        rnd, store = self.rnd, self.sale.store
        if rnd.random() < 0.1:
            payment_id = rnd.choice(list(store.payments))
        payment = store.payments[payment_id]
        if payment.provider_ref is None:
            self._step("start_payment", self.sale.start_payment, int(payment.order_id), self.now)
        elif rnd.random() < self.mood.turns_back * 0.5:
            self._step("turn_back", self.sale.abandon, payment_id, "payment_abandoned", self.now)
        elif self.bank.accounts[payment.provider_ref].state is ProviderOrderState.WAITING:
            self._approve(payment_id, payment.provider_ref)
        else:
            self._step("settle", self.sale.settle, payment_id)

    def _approve(self, payment_id: int, ref: str) -> None:
        decline = self.rnd.random() < self.mood.decline
        if self.bank.approve(ref, decline=decline):
            state = self.sale.store.payments[payment_id].state
            late = state in {PaymentState.ABANDONING, PaymentState.VOIDED, PaymentState.FAILED}
            self._note("approved after it was given up" if late else f"approved{' with a bad card' if decline else ''}")

    def _owner(self, order_id: int) -> None:
        rnd, store, sale = self.rnd, self.sale.store, self.sale
        owned = [k for k in store.tickets.values() if k.order_id == order_id]
        chance = rnd.random()
        if chance < 0.2 or not owned:
            percent = rnd.choice((sale.terms.refund_percent, WHOLE))
            self._step("cancel", sale.cancel, order_id, None, percent)
        elif chance < 0.6:
            chosen = tuple(k.ticket_id for k in rnd.sample(owned, rnd.randint(1, len(owned))))
            self._step("cancel_some", sale.cancel, order_id, chosen, sale.terms.refund_percent)
        elif chance < 0.9:
            ticket = rnd.choice(owned)
            self._step("exchange", sale.exchange, order_id, ticket.ticket_id, rnd.randrange(len(store.seats)), self.now)
        else:
            self._step("admit", sale.admit, rnd.choice(owned).ticket_id)

    # -- timers ----------------------------------------------------------------------------------------------------

    def _timer(self) -> None:
        which = self.rnd.randrange(5)
        if which == 0:
            self._step("expire", self.sale.expire, self.now)
        elif which == 1:
            self._step("resolve", self.sale.resolve, self.now)
        elif which == 2:
            self._step("refunds_due", self.sale.refunds_due, self.now)
        elif which == 3:
            self._reconcile()
        else:
            self._cancel_for_event()

    def _reconcile(self) -> None:
        captured = [
            (account.payment_id, account.ref) for account in self.bank.accounts.values() if account.captured
            and not account.pending and not account.refused
        ]  # fmt: skip
        self._step("reconcile", self.sale.reconcile, captured)

    def _cancel_for_event(self) -> None:
        if not self.sale.store.off:
            return
        for order in list(self.sale.store.orders.values()):
            if order.state is OrderState.CONFIRMED:
                self._step("cancel_for_event", self.sale.cancel_for_event, order.order_id)

    # -- the world -------------------------------------------------------------------------------------------------

    def _world(self) -> None:
        """A webhook comes, a slow call arrives at last, a process dies, clocks jump, hours pass."""
        rnd, mood = self.rnd, self.mood
        if rnd.random() < mood.death and self.pending:
            dead = [call for call in self.pending if rnd.random() < 0.7]
            self.pending = [call for call in self.pending if call not in dead]
            self._note("a process died with work in hand")
        if self.stragglers and rnd.random() < 0.5:
            self._note("a slow call arrived after its caller had gone")
            self._perform(self.stragglers.pop(rnd.randrange(len(self.stragglers))))
        if rnd.random() < mood.jump:
            if mood.jump_back and rnd.random() < 0.5:
                self.skew -= timedelta(seconds=rnd.randint(1, 300))
                self.went_back = True
                self._note("the database's clock went back")
            else:
                self.skew += timedelta(seconds=rnd.randint(1, 900))
                self._note("the database's clock jumped")
        if rnd.random() < 0.2:
            self._wait(rnd.choice(PAUSES))
        if rnd.random() < mood.event_off and not self.sale.store.off:
            self.sale.store.off["event"] = True
            self._note("the event was cancelled")
        if rnd.random() < 0.3:
            self.bank.settle_pending(rnd)
        self._webhook()

    def _wait(self, pause: timedelta) -> None:
        """Time passes. No request is on its way for hours: the provider's keys outlive it, or nothing could be safe."""
        self.time += pause
        if pause >= LONGEST_JOURNEY:
            self.pending.clear()
            self.stragglers.clear()

    def _webhook(self) -> None:
        if not self.bank.webhooks:
            return
        webhook = self.bank.webhooks[self.rnd.randrange(len(self.bank.webhooks))]
        if self.rnd.random() >= self.mood.repeat_webhook or self.behaves:
            self.bank.webhooks.remove(webhook)
        else:
            self._note("a webhook was repeated")
        self._deliver(webhook)

    def _deliver(self, webhook: Webhook) -> None:
        if webhook.event_id in self.sale.store.heard:
            return
        for payment in self.sale.store.payments.values():
            if payment.provider_ref == webhook.ref:
                self._step("webhook", self._settle_for, payment.payment_id, webhook.event_id)
                return

    def _settle_for(self, payment_id: int, event_id: int) -> list[Call]:
        return self.sale.settle(payment_id, webhook=event_id)

    # -- calls -----------------------------------------------------------------------------------------------------

    def _go_on(self, call: Call) -> None:
        """Do what a process has in hand: its next transaction, or a call to the provider and what its answer asks for."""
        if call.kind.startswith(ANSWERED):
            self._answered(call._replace(kind=call.kind.removeprefix(ANSWERED), outcome=None), call.outcome)
            return
        if call.kind not in TO_PROVIDER:
            self._answered(call, call.outcome)
            return
        answer = self._asked(call)
        if self.traced:
            self.result.trace.append(f"{self.now:%H:%M:%S}   {call.kind}({call.payment_id}) -> {_short(answer)}")
        late = call.kind in {"get", "capture"} and not self.behaves and self.rnd.random() < self.mood.late_answer
        if late:  # whoever asked acts on it when others have acted already
            self.pending.append(call._replace(kind=ANSWERED + call.kind, outcome=answer))
        else:
            self._answered(call, answer)

    def _asked(self, call: Call) -> object:
        rnd, mood = self.rnd, self.mood
        silence = Unknown(reason="silence") if call.kind in {"capture", "refund", "late refund"} else SILENT
        if self.behaves:
            return self._perform(call)
        fate = rnd.random()
        if fate < mood.lost_request * (3 if mood.outage > 0.2 else 1):
            return silence
        fate = rnd.random()
        if fate < mood.slow:
            self.stragglers.append(call)
            return silence
        answer = self._perform(call)
        if rnd.random() < mood.twice:
            self._note("a request arrived twice")
            answer = self._perform(call)
        if rnd.random() < mood.lost_reply:
            if call.kind == "capture" and isinstance(answer, Captured):
                self._note("the reply to a capture was lost")
            return silence
        return answer

    def _perform(self, call: Call) -> object:
        """What the provider does with a request, whenever it comes."""
        bank = self.bank
        payment = self.sale.store.payments[call.payment_id]
        key = str(call.payment_id)
        match call.kind:
            case "create":
                return bank.create(key, int(payment.order_id), call.payment_id, payment.total.minor, self.time)
            case "get" | "look" | "late look":
                return bank.view(call.ref)
            case "capture":
                was = bank.accounts[call.ref].captured
                answer = bank.capture(call.ref, f"{key}:c", self.time, pending=self.rnd.random() < self.mood.pending)
                if not was and bank.accounts[call.ref].captured and payment.tried_at != call.fence:
                    bank.accounts[call.ref].outdated = payment.state is not PaymentState.VOIDED
                    if payment.state is PaymentState.FAILED:
                        self._note("money came for a payment that had ended")
                return answer
            case "refund":
                value = self.sale.store.refunds[call.refund_id].value
                new = "refund_id" in self.sale.off
                return bank.refund(
                    call.ref, f"{call.refund_id}-{bank.told}" if new else str(call.refund_id), value, self.time
                )
            case "late refund":
                return bank.refund(call.ref, str(call.outcome), payment.total.minor, self.time)
        return None  # void: there is nothing to void, only we can capture

    def _answered(self, call: Call, answer: Any) -> None:
        """Go on with the answer, in the next transaction of the same work."""
        sale, now = self.sale, self.now
        if isinstance(answer, Declined) and call.kind == "capture":
            self._note("a capture was declined")
        then: dict[str, tuple[Callable[..., list[Call]], tuple[Any, ...]]] = {
            "create": (sale.created, (call, answer)),
            "get": (sale.got, (call, answer, now)),
            "capture": (sale.decide, (call, answer, now)),
            "decide": (sale.decide, (call, answer, now)),
            "void": (sale.voided, (call, answer, now)),
            "voided": (sale.voided, (call, answer, now)),
            "give up": (sale.abandon, (call.payment_id, "payment_expired", now)),
            "settle": (self._settle_again, (call.payment_id, call.resolves)),
            "look": (sale.looked, (call, answer)),
            "refund": (sale.refunded, (call, answer)),
            "late look": (sale.late_looked, (call, answer)),
        }
        if call.kind in then:  # nothing follows a late refund: whether it came is looked up before the next
            command, arguments = then[call.kind]
            self._step(command.__name__, command, *arguments)

    def _settle_again(self, payment_id: int, resolves: bool) -> list[Call]:  # noqa: FBT001 - one of a step's arguments
        return self.sale.settle(payment_id, resolves=resolves)

    # -- rest ------------------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Faults stop; every hold and deadline runs out; within a minute of the timers nothing may be open."""
        self.behaves = True
        self.mood.pending = 0.0
        for call in self.stragglers:
            self._perform(call)
        self.stragglers.clear()
        self._expired_seat_is_buyable_at_once()
        orders = self.sale.store.orders.values()
        last = [order.hold_expires_at for order in orders] + [
            order.pay_deadline for order in orders if order.pay_deadline
        ]
        self.time = max([self.time, *(moment - self.skew for moment in last)]) + timedelta(seconds=1)
        self.bank.settle_pending(None)
        self._let_run(SETTLES_WITHIN)
        self._refunds_are_due()
        self._let_run(SETTLES_WITHIN)
        check_rest(self.sale, self.bank)

    def _expired_seat_is_buyable_at_once(self) -> None:
        """I6: no sweeper is needed."""
        store, newcomer = self.sale.store, -1
        for number, seat in list(store.seats.items()):
            ran_out = seat.state is SeatState.HELD and seat.expires_at is not None and seat.expires_at <= self.now
            if (
                ran_out
                and not store.off
                and len([o for o in store.orders.values() if o.user_id == newcomer]) < self.sale.terms.limit
            ):
                self._step("hold", self.sale.hold, newcomer, (number,), self.now)
                if store.seats[number].expires_at == seat.expires_at:
                    raise Broken(f"I6: seat {number} ran out and cannot be held")

    def _refunds_are_due(self) -> None:
        """Pauses between tries of a refund have grown to an hour at most."""
        self.time += timedelta(hours=1, minutes=1)

    def _let_run(self, within: timedelta) -> None:
        until = self.time + within
        while self.time < until:
            for timer in (self.sale.expire, self.sale.resolve, self.sale.refunds_due):
                self._step(timer.__name__, timer, self.now)
            self._cancel_for_event()
            self._reconcile()
            while self.bank.webhooks:
                self._webhook()
            while self.pending:
                self._go_on(self.pending.pop(0))
            self.time += TICK
            self._check()
            if not self._open():
                return

    def _open(self) -> bool:
        store = self.sale.store
        waiting = any(order.state in {OrderState.HELD, OrderState.PAYING} for order in store.orders.values())
        return waiting or any(refund.state.value == "requested" for refund in store.refunds.values())


def _short(told: object) -> str:
    """Say a call or an answer in a few words."""
    match told:
        case Call():
            return f"{told.kind} {told.payment_id}{f' refund {told.refund_id}' if told.refund_id else ''}"
        case ProviderOrder():
            return f"{told.provider_ref} {told.state}{' captured' if told.capture else ''}"
        case Captured() | Declined() | Unknown():
            return type(told).__name__
    return "silence" if told is SILENT else str(told)


def run(
    seed: int, off: frozenset[str] = frozenset(), *, traced: bool = False,
    mood: Mapping[str, float] = MappingProxyType({}),
) -> Result:  # fmt: skip
    """Run one seed; ``mood`` makes some things likelier than the seed would."""
    return World(seed, off, traced=traced, mood=mood).run()
