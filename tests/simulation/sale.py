"""The pure core of the sale: ``step(command, now)`` changes the store in one transaction, or not at all, and asks for calls.

States move by the domain's own tables, and prices, refunds, provider's words and second chances are judged by the
domain's own functions; what is written here is only which rows a transaction looks at, as the SQL does. A guard that is
named in ``off`` is left out (``mutants.py``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from tests.simulation.provider import CURRENCY
from tests.simulation.store import Message, Order, Refund, Seat, Store, Ticket

from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain import order as orders
from boxoffice.services.sales.domain import payment as payments
from boxoffice.services.sales.domain import refund as refunds
from boxoffice.services.sales.domain import seat as seats
from boxoffice.services.sales.domain import ticket as tickets
from boxoffice.services.sales.domain.exchange import settle_exchange
from boxoffice.services.sales.domain.order import OrderAction, OrderState, held_again_until
from boxoffice.services.sales.domain.payment import (
    ENDED,
    Captured,
    CaptureOutcome,
    Declined,
    Payment,
    PaymentAction,
    PaymentState,
    ProviderOrder,
    Refunded,
    RefundRefused,
    captured_or_not,
    may_capture,
)
from boxoffice.services.sales.domain.refund import RefundAction, RefundState, refund_of
from boxoffice.services.sales.domain.refusals import ExchangeNeedsPaymentError
from boxoffice.services.sales.domain.seat import SeatAction, SeatState
from boxoffice.services.sales.domain.ticket import TicketAction, TicketState
from boxoffice.services.sales.usecases.return_late_money import ENDED_IN_VAIN, late_refund_id

PAY_WINDOW = timedelta(minutes=10)
PATIENCE = timedelta(seconds=15)
LONGEST_PATIENCE = timedelta(hours=1)
SILENT = object()
"""What a caller knows when no answer came."""

S = TypeVar("S")
A = TypeVar("A")


class Refused(Exception):  # noqa: N818 - a refusal is no error
    """No; nothing of the transaction stays."""


class Call(NamedTuple):
    """Something to be done after a commit: a call to the provider, or the next transaction of the same work.

    A process that dies forgets it. ``seen``: the payment as it was read when the work began.
    """

    kind: str
    payment_id: int = 0
    refund_id: int = 0
    ref: str = ""
    seen: Payment | None = None
    fence: datetime | None = None
    outcome: Any = None
    resolves: bool = False
    webhook: int = 0
    looked: bool = False


Calls = list[Call]


@dataclass(frozen=True)
class Terms:
    """How the event sells."""

    limit: int
    hold: timedelta
    refund_percent: int


def move(table: dict[tuple[S, A], S], state: S, action: A) -> S:
    """Go on by a table of the domain; a move that is not in it is refused."""
    after = table.get((state, action))
    if after is None:
        raise Refused(f"{state} allows no {action}")
    return after


@dataclass
class Sale:
    """The rules over a store. Every public method is one transaction at most; ``step`` commits it or rolls it back."""

    terms: Terms
    store: Store = field(default_factory=Store)
    off: frozenset[str] = frozenset()
    noted: dict[str, int] = field(default_factory=dict)

    def step(self, command: Callable[..., Calls], *arguments: Any, dies: bool = False) -> Calls:
        """Decide one command. ``dies``: the process is killed before its commit."""
        try:
            calls = command(*arguments)
        except Refused:
            self.store.roll_back()
            return []
        if dies:
            self.store.roll_back()
            self.note("died before its commit")
            return []
        self.store.commit()
        return calls

    def note(self, what: str) -> None:
        """Count that something worth seeing happened."""
        self.noted[what] = self.noted.get(what, 0) + 1

    # -- holds -----------------------------------------------------------------------------------------------------

    def hold(self, user_id: int, wanted: tuple[int, ...], now: datetime) -> Calls:
        """R: all or nothing, within the customer's limit."""
        if self.store.off:
            raise Refused("not on sale")
        for number in wanted:
            self._check_open(number, now)
        places = self.store.places.get(user_id, 0) + len(wanted)
        if places > self.terms.limit:
            self.expire(now, user_id)
            places = self.store.places.get(user_id, 0) + len(wanted)
        if places > self.terms.limit and "limit" not in self.off:
            raise Refused("limit")
        order_id, until = self.store.number(), now + self.terms.hold
        for number in wanted:
            self._take(number, SeatAction.HOLD, SeatAction.TAKE_OVER, order_id, until)
        total = sum(self.store.seats[number].price for number in wanted)
        order = Order(order_id, user_id, OrderState.HELD, wanted, total, until)
        self._keep(order)
        self.store.put(self.store.places, user_id, places)
        self._tell(order, "held")
        return []

    def _check_open(self, number: int, now: datetime) -> None:
        seat = self.store.seats[number]
        if seat.state is SeatState.FREE:
            return
        if seat.state is SeatState.HELD and seat.expires_at is not None:
            skew = timedelta(minutes=30) if "application_clock" in self.off else timedelta(0)
            if seat.expires_at <= now + skew or "take_over" in self.off:
                return
        if "steal_paying" in self.off and seat.state is SeatState.PAYING and seat.order_id is not None:
            deadline = self.store.orders[seat.order_id].pay_deadline
            if deadline is not None and deadline <= now:
                self._set(number, seat._replace(state=SeatState.FREE, order_id=None))
                return
        raise Refused("taken")

    def _take(self, number: int, free: SeatAction, expired: SeatAction, order_id: int, until: datetime | None) -> None:
        seat = self.store.seats[number]
        action = free if seat.state is SeatState.FREE else expired
        if seat.state is SeatState.HELD:
            self.note("an expired hold was taken over")
        state = move(seats.TRANSITIONS, seat.state, action)
        self._set(number, seat._replace(state=state, order_id=order_id, expires_at=until, fence=seat.fence + 1))

    def give_back(self, order_id: int) -> Calls:
        order = self.store.orders[order_id]
        if order.state is OrderState.HELD:
            self._release(order, SeatState.HELD, OrderAction.RELEASE, "released")
        return []

    def expire(self, now: datetime, user_id: int | None = None) -> Calls:
        """The sweeper, or one customer's own holds that ran out."""
        for order in list(self.store.orders.values()):
            due = order.state is OrderState.HELD and order.hold_expires_at <= now
            if due and user_id in {None, order.user_id}:
                self._release(order, SeatState.HELD, OrderAction.EXPIRE, "released")
        return []

    def _release(self, order: Order, state: SeatState, action: OrderAction, type_: str) -> None:
        """Free an order's seats that are still its own, and count its customer's places down."""
        freed = 0
        for number in order.seats:
            seat = self.store.seats[number]
            mine = seat.order_id == order.order_id or "release_anybodys" in self.off
            if seat.state is state and mine:
                freed += 1
                after = move(seats.TRANSITIONS, state, SeatAction.RELEASE)
                self._set(number, seat._replace(state=after, order_id=None, expires_at=None, fence=seat.fence + 1))
        if state is SeatState.PAYING and freed != len(order.seats):
            raise AssertionError(f"seats of paying order {order.order_id} are gone")
        self._advance(order, action, type_)
        if "places_stay" not in self.off:
            self._count_down(order.user_id, len(order.seats))

    # -- paying ----------------------------------------------------------------------------------------------------

    def start_payment(self, order_id: int, now: datetime) -> Calls:
        """P: seats and order become ``paying`` with the payment's record."""
        order = self.store.orders[order_id]
        live = self._live_payment(order_id)
        if live is not None:
            return [Call("create", live.payment_id)] if live.provider_ref is None else []
        if self.store.off or order.total == 0:
            raise Refused("not on sale, or nothing to pay")
        state = move(orders.TRANSITIONS, order.state, OrderAction.START_PAYMENT)
        for number in order.seats:
            seat = self.store.seats[number]
            lasts = seat.order_id == order_id and seat.expires_at is not None and seat.expires_at > now
            if "pay_unchecked" in self.off and seat.state is not SeatState.SOLD:
                self._set(number, seat._replace(state=SeatState.PAYING, order_id=order_id, expires_at=None))
                continue
            if not lasts:
                raise Refused("hold expired")
            after = move(seats.TRANSITIONS, seat.state, SeatAction.START_PAYMENT)
            self._set(number, seat._replace(state=after, expires_at=None))
        self._keep(order._replace(state=state, pay_deadline=now + PAY_WINDOW, version=order.version + 1))
        payment_id = self.store.number()
        attempts = [*self.store.attempts.get(order_id, []), payment_id]
        self.store.put(self.store.attempts, order_id, attempts)
        self._pay(_new_payment(payment_id, order, len(attempts), now))
        return [Call("create", payment_id)]

    def created(self, call: Call, ref: object) -> Calls:
        """The provider made its order, or did not say."""
        payment = self.store.payments[call.payment_id]
        if isinstance(ref, str) and payment.provider_ref is None:
            self._pay(replace(payment, provider_ref=ref))
        return []

    def refused_by_provider(self, payment_id: int, now: datetime) -> Calls:
        return self.abandon(payment_id, "provider_refused", now)

    def settle(self, payment_id: int, *, resolves: bool = False, webhook: int = 0) -> Calls:
        """Ask the provider, then go as far as its answer allows."""
        payment = self.store.payments[payment_id]
        call = Call("get", payment_id, ref=payment.provider_ref or "", seen=payment, resolves=resolves, webhook=webhook)
        if payment.state in ENDED:
            return self._heard(call)
        if payment.state is PaymentState.ABANDONING:
            return self._void(payment)
        if payment.provider_ref is None:
            return [Call("give up", payment_id)] if resolves else []
        return [call]

    def got(self, call: Call, view: object, now: datetime) -> Calls:
        """C1: the provider's word lets us claim; only then is the capture asked for."""
        assert call.seen is not None
        if not isinstance(view, ProviderOrder) or not may_capture(call.seen, view):
            silent = view is SILENT
            return ([] if silent else self._heard(call)) + ([Call("give up", call.payment_id)] if call.resolves else [])
        payment = self.store.payments[call.payment_id]
        if payment.state is PaymentState.CREATED:
            self._pay(
                replace(payment, state=move(payments.TRANSITIONS, payment.state, PaymentAction.CLAIM), tried_at=now)
            )
        elif payment.state is PaymentState.CAPTURING:
            self._pay(replace(payment, tried_at=now))
        elif "claim" not in self.off:
            if call.seen.state is PaymentState.CREATED and payment.state is not PaymentState.CAPTURED:
                self.note("abandoned before it was claimed")
            return self._heard(call)
        asked = call._replace(kind="capture", fence=now)
        return [asked] if view.capture is None else [asked._replace(kind="decide", outcome=captured_or_not(view))]

    def decide(self, call: Call, outcome: CaptureOutcome, now: datetime) -> Calls:
        """C2 or F2, by what came of the capture."""
        payment = self.store.payments[call.payment_id]
        order = self.store.orders[int(payment.order_id)]
        if isinstance(outcome, Captured):
            return self._confirm(call, payment, order, now)
        if not isinstance(outcome, Declined):
            return []
        fenced = payment.state is PaymentState.CAPTURING and (payment.tried_at == call.fence or "fence" in self.off)
        if fenced:
            self._end_attempt(payment, PaymentAction.DECLINE, "declined", now)
        else:
            self.note("a late no was ignored")
        return self._heard(call)

    def _confirm(self, call: Call, payment: Payment, order: Order, now: datetime) -> Calls:
        repeated = payment.state is PaymentState.CAPTURED
        if repeated and "repeat_confirms" not in self.off:
            self.note("a capture was told again")
            return self._heard(call)
        if order.state is not OrderState.PAYING or payment.state is not PaymentState.CAPTURING:
            if repeated and order.state is OrderState.CONFIRMED:
                self._issue(order)
            return self._heard(call) + ([] if repeated else [Call("late look", payment.payment_id, ref=call.ref)])
        state = move(payments.TRANSITIONS, payment.state, PaymentAction.CAPTURE)
        self._pay(replace(payment, state=state, capture_ref=f"C-{payment.provider_ref}", tried_at=now))
        self._sell(order, SeatState.PAYING, OrderAction.CONFIRM)
        self.note("an order was confirmed")
        return self._heard(call)

    def confirm_free(self, order_id: int, now: datetime) -> Calls:
        order = self.store.orders[order_id]
        if order.total or order.hold_expires_at <= now:
            raise Refused("not free, or its time is up")
        self._sell(order, SeatState.HELD, OrderAction.CONFIRM_FREE)
        return []

    def _sell(self, order: Order, state: SeatState, action: OrderAction) -> None:
        for number in order.seats:
            seat = self.store.seats[number]
            if "confirm_unchecked" not in self.off and (seat.state is not state or seat.order_id != order.order_id):
                raise Refused("seats are not the order's any more")
            after = (
                SeatState.SOLD
                if "confirm_unchecked" in self.off
                else move(seats.TRANSITIONS, seat.state, SeatAction.SELL)
            )
            self._set(number, seat._replace(state=after, order_id=order.order_id, expires_at=None))
        self._issue(order)
        self._advance(order, action, "confirmed")

    def _issue(self, order: Order, *, exchanged: bool = False, only: Iterable[int] | None = None) -> None:
        for number in order.seats if only is None else only:
            ticket = Ticket(
                self.store.number(), order.order_id, number, self.store.seats[number].price, exchanged=exchanged
            )
            self.store.put(self.store.tickets, ticket.ticket_id, ticket)

    # -- giving up -------------------------------------------------------------------------------------------------

    def abandon(self, payment_id: int, because: str, now: datetime) -> Calls:
        """D: shut capture out; whoever comes first of this and the claim wins."""
        payment = self.store.payments[payment_id]
        order = self.store.orders[int(payment.order_id)]
        blind = "abandon_blind" in self.off and payment.state is PaymentState.CAPTURING
        if payment.state is not PaymentState.CREATED and not blind:
            if payment.state is PaymentState.CAPTURING:
                self.note("claimed before it was abandoned")
            raise Refused("claimed, or ended")
        if because == "payment_expired" and (order.pay_deadline is None or order.pay_deadline > now):
            raise Refused("in time")
        state = PaymentState.ABANDONING if blind else move(payments.TRANSITIONS, payment.state, PaymentAction.ABANDON)
        given_up = replace(payment, state=state, failure=because, tried_at=now)
        self._pay(given_up)
        return self._void(given_up)

    def _void(self, payment: Payment) -> Calls:
        kind = "voided" if payment.provider_ref is None else "void"
        return [Call(kind, payment.payment_id, ref=payment.provider_ref or "")]

    def voided(self, call: Call, answer: object, now: datetime) -> Calls:
        """F: the provider can no longer capture; the seats are free, or held again for whoever turned back."""
        payment = self.store.payments[call.payment_id]
        if answer is SILENT or payment.state is not PaymentState.ABANDONING:
            return []
        self._end_attempt(payment, PaymentAction.VOID, payment.failure or "", now)
        return []

    def _end_attempt(self, payment: Payment, action: PaymentAction, failure: str, now: datetime) -> None:
        order = self.store.orders[int(payment.order_id)]
        state = move(payments.TRANSITIONS, payment.state, action)
        self._pay(replace(payment, state=state, failure=failure, tried_at=now))
        until = None
        if failure != "payment_expired":
            until = held_again_until(
                attempt=payment.attempt, turned_back=action is PaymentAction.VOID,
                hold_expires_at=order.hold_expires_at, now=now,
            )  # fmt: skip
        if until is None:
            self._release(order, SeatState.PAYING, OrderAction.RELEASE, "released")
            return
        self.note("seats were held again for another try")
        for number in order.seats:
            seat = self.store.seats[number]
            after = move(seats.TRANSITIONS, seat.state, SeatAction.RETURN_TO_HOLD)
            self._set(number, seat._replace(state=after, expires_at=until))
        state_after = move(orders.TRANSITIONS, order.state, OrderAction.RETURN_TO_HOLD)
        self._keep(
            order._replace(state=state_after, hold_expires_at=until, pay_deadline=None, version=order.version + 1)
        )

    # -- cancelling ------------------------------------------------------------------------------------------------

    def cancel(self, order_id: int, chosen: tuple[int, ...] | None, percent: int) -> Calls:
        """X: tickets void, seats free, refunds requested, places counted down."""
        order = self.store.orders[order_id]
        owned = [ticket for ticket in self.store.tickets.values() if ticket.order_id == order_id]
        given = [k for k in owned if k.state is TicketState.VALID and (chosen is None or k.ticket_id in chosen)]
        if "cancel_twice" in self.off and chosen:
            given = [k for k in owned if k.ticket_id in chosen]
        if not given or (chosen is not None and len(given) != len(chosen)):
            raise Refused("no valid ticket, or not all of them")
        left = sum(ticket.state is not TicketState.VOID for ticket in owned) - len(given)
        action = OrderAction.CANCEL_SOME if left > 0 else OrderAction.CANCEL
        self.note(f"tickets were cancelled: {action}")
        for ticket in given:
            self._void_ticket(ticket)
            if "cancel_keeps_seats" not in self.off:
                self._free_sold(ticket.seat, order_id)
            self._owe(order_id, ticket, refund_of(Money(ticket.price, CURRENCY), percent).minor)
        self._advance(order, action, "cancelled")
        self._count_down(order.user_id, len(given))
        return []

    def cancel_for_event(self, order_id: int) -> Calls:
        """The event is off: everything valid goes back, whole."""
        if self.store.orders[order_id].state is not OrderState.CONFIRMED:
            raise Refused("nothing to cancel")
        return self.cancel(order_id, None, refunds.WHOLE)

    def exchange(self, order_id: int, ticket_id: int, taken: int, now: datetime) -> Calls:
        """E: another seat for a ticket, in one transaction; never a dearer one."""
        order, ticket = self.store.orders[order_id], self.store.tickets[ticket_id]
        if self.store.off or ticket.state is not TicketState.VALID:
            raise Refused("not on sale, or no valid ticket")
        if "exchange_unchecked" not in self.off:
            self._check_open(taken, now)
        prices = Money(ticket.price, CURRENCY), Money(self.store.seats[taken].price, CURRENCY)
        try:
            settled = settle_exchange([prices[0]], [prices[1]], self.terms.refund_percent)
        except ExchangeNeedsPaymentError as dearer:
            raise Refused("dearer") from dearer
        if "exchange_keeps_ticket" not in self.off:
            self._void_ticket(ticket)
        self._free_sold(ticket.seat, order_id)
        seat = self.store.seats[taken]
        if "exchange_unchecked" in self.off:
            self._set(taken, seat._replace(state=SeatState.SOLD, order_id=order_id, expires_at=None))
        else:
            self._take(taken, SeatAction.EXCHANGE, SeatAction.EXCHANGE, order_id, None)
        changed = tuple(sorted({*order.seats, taken} - {ticket.seat}))
        self._advance(order, OrderAction.EXCHANGE, "exchanged", seats=changed)
        self._issue(order, exchanged=True, only=[taken])
        self._owe(order_id, ticket, settled.refund.minor)
        self.note("a ticket was exchanged")
        return []

    def admit(self, ticket_id: int) -> Calls:
        ticket = self.store.tickets[ticket_id]
        state = move(tickets.TRANSITIONS, ticket.state, TicketAction.ADMIT)
        self.store.put(self.store.tickets, ticket_id, ticket._replace(state=state))
        return []

    def _void_ticket(self, ticket: Ticket) -> None:
        if "cancel_twice" not in self.off or ticket.state is not TicketState.VOID:
            state = move(tickets.TRANSITIONS, ticket.state, TicketAction.VOID)
            self.store.put(self.store.tickets, ticket.ticket_id, ticket._replace(state=state))

    def _free_sold(self, number: int, order_id: int) -> None:
        seat = self.store.seats[number]
        if seat.order_id == order_id:
            after = move(seats.TRANSITIONS, seat.state, SeatAction.RELEASE)
            self._set(number, seat._replace(state=after, order_id=None, fence=seat.fence + 1))

    def _owe(self, order_id: int, ticket: Ticket, value: int) -> None:
        if value == 0:
            return
        payment_id = next(
            p for p in self.store.attempts[order_id] if self.store.payments[p].state is PaymentState.CAPTURED
        )
        payment = self.store.payments[payment_id]
        refunded = payment.refunded.minor + value
        if refunded > payment.total.minor and "cancel_twice" not in self.off:
            raise Refused("more than was captured")
        self._pay(replace(payment, refunded=Money(refunded, CURRENCY)))
        refund = Refund(self.store.number(), payment_id, ticket.ticket_id, value)
        self.store.put(self.store.refunds, refund.refund_id, refund)

    # -- refunds ---------------------------------------------------------------------------------------------------

    def refunds_due(self, now: datetime) -> Calls:
        """The worker of refunds: claim what is due, and look before asking again."""
        calls: Calls = []
        for refund in self.store.refunds.values():
            pause = min(PATIENCE * 2 ** min(refund.tries - 1, 10), LONGEST_PATIENCE) if refund.tries else timedelta(0)
            if refund.state is RefundState.REQUESTED and (refund.tried_at is None or refund.tried_at <= now - pause):
                self.store.put(
                    self.store.refunds, refund.refund_id, refund._replace(tries=refund.tries + 1, tried_at=now)
                )
                ref = self.store.payments[refund.payment_id].provider_ref or ""
                look = refund.tries > 0 and "look_before_refund" not in self.off
                calls.append(Call("look" if look else "refund", refund.payment_id, refund.refund_id, ref))
        return calls

    def looked(self, call: Call, view: object) -> Calls:
        if not isinstance(view, ProviderOrder):
            return []
        if any(known.reference == str(call.refund_id) for known in view.refunds):
            self._finish_refund(call.refund_id)
            return []
        return [call._replace(kind="refund")]

    def refunded(self, call: Call, outcome: object) -> Calls:
        if isinstance(outcome, Refunded):
            self._finish_refund(call.refund_id)
        elif isinstance(outcome, RefundRefused):
            refund = self.store.refunds[call.refund_id]
            if refund.state is RefundState.REQUESTED:
                state = move(refunds.TRANSITIONS, refund.state, RefundAction.GIVE_TO_PEOPLE)
                self.store.put(self.store.refunds, refund.refund_id, refund._replace(state=state))
        return []

    def _finish_refund(self, refund_id: int) -> None:
        refund = self.store.refunds[refund_id]
        if refund.state is not RefundState.DONE:
            if refund.tries > 1:
                self.note("a refund was paid after a second try")
            state = move(refunds.TRANSITIONS, refund.state, RefundAction.FINISH)
            self.store.put(self.store.refunds, refund_id, refund._replace(state=state))

    def late_looked(self, call: Call, view: object) -> Calls:
        """Money that bought nothing goes back, under an id that is always the same for a payment."""
        payment = self.store.payments[call.payment_id]
        if not isinstance(view, ProviderOrder) or payment.state not in ENDED_IN_VAIN or "late_money" in self.off:
            return []
        late = str(late_refund_id(payment.payment_id))
        if view.capture is None or any(known.reference == late for known in view.refunds):
            return []
        return [call._replace(kind="late refund", outcome=late)]

    # -- timers ----------------------------------------------------------------------------------------------------

    def resolve(self, now: datetime) -> Calls:
        """Claim open payments that nobody finished, and go on with them."""
        due: Calls = []
        for payment in self.store.payments.values():
            if payment.state in ENDED or payment.tried_at > now - PATIENCE:
                continue
            deadline = self.store.orders[int(payment.order_id)].pay_deadline
            if payment.state is PaymentState.CREATED and (deadline is None or deadline > now):
                continue
            self._pay(replace(payment, tried_at=now))
            due.append(Call("settle", payment.payment_id, resolves=True))
        return due

    def reconcile(self, captured: list[tuple[int, str]]) -> Calls:
        """Compare with the provider's list of captures: what was not noted is settled, late money goes back."""
        calls: Calls = []
        for payment_id, ref in captured:
            payment = self.store.payments[payment_id]
            if payment.provider_ref != ref:
                self.note("a capture of an order that we do not know")
            elif payment.state in ENDED_IN_VAIN:
                self.note("late money was found")
                calls.append(Call("late look", payment_id, ref=ref))
            elif payment.state is not PaymentState.CAPTURED:
                calls.append(Call("settle", payment_id))
        return calls

    # -- rows ------------------------------------------------------------------------------------------------------

    def _live_payment(self, order_id: int) -> Payment | None:
        for payment_id in self.store.attempts.get(order_id, ()):
            payment = self.store.payments[payment_id]
            if payment.state not in ENDED_IN_VAIN:
                return payment
        return None

    def _heard(self, call: Call) -> Calls:
        if call.webhook:
            self.store.put(self.store.heard, call.webhook, row=True)
        return []

    def _set(self, number: int, seat: Seat) -> None:
        self.store.put(self.store.seats, number, seat)

    def _keep(self, order: Order) -> None:
        self.store.put(self.store.orders, order.order_id, order)

    def _pay(self, payment: Payment) -> None:
        self.store.put(self.store.payments, payment.payment_id, payment)

    def _advance(self, order: Order, action: OrderAction, type_: str, **changes: Any) -> None:
        state = move(orders.TRANSITIONS, order.state, action)
        after = order._replace(state=state, version=order.version + 1, **changes)
        self._keep(after)
        self._tell(after, type_)

    def _count_down(self, user_id: int, places: int) -> None:
        self.store.put(self.store.places, user_id, self.store.places[user_id] - places)

    def _tell(self, order: Order, type_: str) -> None:
        number, message = self.store.number(), Message(order.order_id, order.version, type_)
        if "told_outside" in self.off:
            self.store.outbox[number] = message
        else:
            self.store.put(self.store.outbox, number, message)


def _new_payment(payment_id: int, order: Order, attempt: int, now: datetime) -> Payment:
    return Payment(
        payment_id=payment_id, order_id=order.order_id, event_id=1, user_id=order.user_id, attempt=attempt,  # type: ignore[arg-type]
        provider="paypal", provider_ref=None, capture_ref=None, approval_url=None, return_url=None, cancel_url=None,
        state=PaymentState.CREATED, total=Money(order.total, CURRENCY), refunded=Money(0, CURRENCY), failure=None,
        tried_at=now,
    )  # fmt: skip
