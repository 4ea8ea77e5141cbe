"""What must hold after every step (I1 to I7, I9), and exactly when everything has come to rest."""

from collections import Counter
from datetime import datetime

from tests.simulation.provider import Bank
from tests.simulation.sale import Sale
from tests.simulation.store import Order, Store

from boxoffice.services.sales.domain.order import OrderState
from boxoffice.services.sales.domain.payment import ENDED, PaymentState
from boxoffice.services.sales.domain.refund import RefundState
from boxoffice.services.sales.domain.seat import SeatState
from boxoffice.services.sales.domain.ticket import TicketState

TAKEN = frozenset({SeatState.HELD, SeatState.PAYING, SeatState.SOLD})
FOR_NOTHING = frozenset({PaymentState.ABANDONING, PaymentState.VOIDED, PaymentState.FAILED})
SOLD = frozenset({OrderState.CONFIRMED, OrderState.CANCELLED})


class Broken(AssertionError):  # noqa: N818 - reads as a sentence
    """An invariant does not hold."""


def check_step(sale: Sale, now: datetime, *, clock_went_back: bool) -> None:
    """After every committed transaction.

    :raises Broken: naming the invariant and what breaks it.
    """
    store = sale.store
    live: dict[int, list[int]] = {}
    for ticket in store.tickets.values():
        if ticket.state is not TicketState.VOID:
            live.setdefault(ticket.seat, []).append(ticket.order_id)
    for number, seat in store.seats.items():
        owners = live.get(number, [])
        if not (len(owners) <= 1):
            raise Broken(f"I1: seat {number} has live tickets of {owners}")
        sold = seat.state is SeatState.SOLD
        if not (owners == ([seat.order_id] if sold else [])):
            raise Broken(f"I1: seat {number} is {seat}, its tickets are of {owners}")
        if seat.state in TAKEN:
            order = store.orders[seat.order_id or 0]
            expected = OrderState.CONFIRMED if sold else OrderState(seat.state.value)
            if not (order.state is expected and number in order.seats):
                raise Broken(f"I1: seat {number} is {seat} of {order}")
    _check_seats_of_orders(store, now, clock_went_back=clock_went_back)
    _check_places(sale)
    _check_money(store)
    _check_tickets(store)


def _check_seats_of_orders(store: Store, now: datetime, *, clock_went_back: bool) -> None:
    """I3: whoever may pay, or is paying, has every seat."""
    for order in store.orders.values():
        lasts = order.state is OrderState.HELD and order.hold_expires_at > now and not clock_went_back
        if order.state is OrderState.PAYING or lasts:
            for number in order.seats:
                seat = store.seats[number]
                mine = seat.order_id == order.order_id and seat.state.value == order.state.value
                if not mine:
                    raise Broken(f"I3: {order} lost seat {number}: {seat}")


def _check_places(sale: Sale) -> None:
    """I7: counted over open orders and live tickets, and never above the limit."""
    store = sale.store
    held: Counter[int] = Counter()
    for order in store.orders.values():
        if order.state in {OrderState.HELD, OrderState.PAYING}:
            held[order.user_id] += len(order.seats)
    for ticket in store.tickets.values():
        if ticket.state is not TicketState.VOID:
            held[store.orders[ticket.order_id].user_id] += 1
    for user_id, places in store.places.items():
        if not (held[user_id] == places):
            raise Broken(f"I7: customer {user_id} has {held[user_id]} places, counted {places}")
        if not (places <= sale.terms.limit):
            raise Broken(f"I7: customer {user_id} has {places} places, the limit is {sale.terms.limit}")


def _check_money(store: Store) -> None:
    """I2 to I4 in our own books."""
    refunds: dict[int, int] = {}
    tickets: set[int] = set()
    for refund in store.refunds.values():
        if not (refund.ticket_id not in tickets):
            raise Broken(f"I4: ticket {refund.ticket_id} is refunded twice")
        tickets.add(refund.ticket_id)
        ticket = store.tickets[refund.ticket_id]
        if not (ticket.state is TicketState.VOID and refund.value <= ticket.price):
            raise Broken(f"I2: {refund} of {ticket}")
        refunds[refund.payment_id] = refunds.get(refund.payment_id, 0) + refund.value
    for order_id, attempts in store.attempts.items():
        captured = [p for p in map(store.payments.__getitem__, attempts) if p.state is PaymentState.CAPTURED]
        if not (len(captured) <= 1):
            raise Broken(f"I4: order {order_id} was captured {len(captured)} times")
        alive = [p for p in map(store.payments.__getitem__, attempts) if p.state not in ENDED]
        if not (len(captured) + len(alive) <= 1):
            raise Broken(f"I4: order {order_id} has several live payments")
        for payment in captured:
            state = store.orders[order_id].state
            if state not in SOLD:
                raise Broken(f"I3: order {order_id} is {state} and was captured")
            owed = refunds.get(payment.payment_id, 0)
            if not (payment.refunded.minor == owed <= payment.total.minor):
                raise Broken(f"I2: {payment} owes {owed}")


def _check_tickets(store: Store) -> None:
    """I5: tickets exist for captured money, or in a free order."""
    issued: dict[int, int] = {}
    for ticket in store.tickets.values():
        issued[ticket.order_id] = issued.get(ticket.order_id, 0) + (0 if ticket.exchanged else ticket.price)
    for order_id, worth in issued.items():
        order = store.orders[order_id]
        paid = sum(
            store.payments[p].total.minor
            for p in store.attempts.get(order_id, ())
            if store.payments[p].state is PaymentState.CAPTURED
        )
        if not (worth == paid and order.state in SOLD):
            raise Broken(f"I5: {order} has tickets worth {worth}, paid were {paid}")


def check_messages(store: Store) -> None:
    """I9: nothing is told that did not commit; each version once, in order."""
    last: dict[int, int] = {}
    for number in sorted(store.outbox):
        message = store.outbox[number]
        order = store.orders.get(message.order_id)
        if not (order is not None and message.version <= order.version):
            raise Broken(f"I9: {message} of {order}")
        newer = message.version > last.get(message.order_id, -1)
        if not newer:
            raise Broken(f"I9: {message} comes after version {last.get(message.order_id)}")
        last[message.order_id] = message.version


def check_bank(sale: Sale, bank: Bank) -> None:
    """I4 and I3 in the provider's books: nobody is charged twice or for nothing, no refund is paid twice.

    What no guard of ours can prevent is a request that arrives after its caller had given it up and somebody else had
    heard "no" meanwhile: that money is late, and goes back before everything is at rest.
    """
    for account in bank.accounts.values():
        if not (account.captures <= 1):
            raise Broken(f"I4: {account} was captured twice")
        paid = Counter(reference for reference, _ in account.refunds)
        if not (all(times == 1 for times in paid.values())):
            raise Broken(f"I4: {account} paid a refund twice")
        if not (account.kept >= 0):
            raise Broken(f"I4: {account} gave back more than it took")
        state = sale.store.payments[account.payment_id].state
        for_nothing = state in FOR_NOTHING and account.captures and not account.outdated
        if for_nothing:
            raise Broken(f"I3: {account} was captured, the payment is {state}")


def check_rest(sale: Sale, bank: Bank) -> None:
    """At rest: nothing is open, and the provider keeps exactly what the tickets are worth (I2, I3, I6)."""
    store = sale.store
    for order in store.orders.values():
        if not (order.state not in {OrderState.HELD, OrderState.PAYING}):
            raise Broken(f"I6: {order} never ended")
        _check_kept(store, bank, order)
        off = store.off and any(
            k.order_id == order.order_id and k.state is TicketState.VALID for k in store.tickets.values()
        )
        if off:
            raise Broken(f"I2: {order} has valid tickets of an event that is off")
    for number, seat in store.seats.items():
        if not (seat.state not in {SeatState.HELD, SeatState.PAYING}):
            raise Broken(f"I6: seat {number} is still {seat}")
    for payment in store.payments.values():
        if payment.state not in ENDED:
            raise Broken(f"I6: {payment} never ended")
    for refund in store.refunds.values():
        if refund.state is not RefundState.DONE:
            raise Broken(f"I6: {refund} never ended")
    check_messages(store)


def _check_kept(store: Store, bank: Bank, order: Order) -> None:
    """What the provider keeps of an order: what was paid for its tickets, less what was promised back."""
    kept = sum(account.kept for account in bank.accounts.values() if account.order_id == order.order_id)
    paid = sum(k.price for k in store.tickets.values() if k.order_id == order.order_id and not k.exchanged)
    back = sum(r.value for r in store.refunds.values() if store.tickets[r.ticket_id].order_id == order.order_id)
    if not (kept == paid - back):
        raise Broken(f"I2: the provider keeps {kept} of {order}; its tickets cost {paid}, {back} went back")
