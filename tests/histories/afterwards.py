"""What the model says to everything that happens to an order after its hold."""

from collections.abc import Sequence
from dataclasses import replace

from tests.histories.house import BUNDLES, EXTENSION_S, HALL
from tests.histories.model import FREE, HELD, PAYING, SOLD, Label, Order, RefusedError, Said, Sale, Seat, said

CONFIRMED, CANCELLED, RELEASED = "confirmed", "cancelled", "released"


def release(sale: Sale, label: Label) -> Said:
    """Give a hold back; the time that it still had goes back to the budget."""
    order = sale.orders[label]
    if order.state == RELEASED:
        return said(RELEASED)
    if order.state != HELD:
        raise RefusedError("sales.wrong_booking_state", bookingStatus=shown(sale, order))
    sale.give_back(label, HELD)
    size = len(order.places)
    count = sale.count(order.event, order.customer)
    spent = max(0, count.spent - size * max(0, order.until - sale.now))
    sale.counts[order.event, order.customer] = replace(count, n=count.n - size, held=count.held - size, spent=spent)
    sale.change(label, state=RELEASED, because="given_back")
    sale.tell("released", label, order.version + 1, order.places, "given_back")
    return said(RELEASED)


def extend(sale: Sale, label: Label) -> Said:
    """Make the customer's clock longer, once, and with it all of their open holds of the event."""
    order = sale.orders[label]
    if order.state != HELD:
        raise RefusedError("sales.wrong_booking_state", bookingStatus=shown(sale, order))
    count = sale.count(order.event, order.customer)
    if count.clock is None or count.clock == count.extended:
        raise RefusedError("sales.already_extended")
    until = count.clock + EXTENSION_S
    mine = {
        one: other
        for one, other in sale.orders.items()
        if (other.event, other.customer, other.state) == (order.event, order.customer, HELD)
        and sale.now < other.until < until
    }
    if label not in mine:
        if order.until <= sale.now:
            raise RefusedError("sales.hold_expired", bookingId=label)
        raise RefusedError("sales.already_extended")
    spent = count.spent + sum(len(other.places) * (until - other.until) for other in mine.values())
    if spent > sale.budget:
        raise RefusedError("sales.hold_budget_spent")
    for one, other in mine.items():
        sale.change(one, until=until, extended=True)
        _turn(sale, one, other, HELD, until)
    sale.counts[order.event, order.customer] = replace(count, clock=until, extended=until, spent=spent)
    return said("extended")


def pay(sale: Sale, label: Label) -> Said:
    """Start the payment: the order and its seats are being paid for. An order that has a payment answers with it."""
    order = sale.orders[label]
    if order.payment is not None:
        return said("payment", state=order.payment)
    if order.state == RELEASED or order.until <= sale.now:
        raise RefusedError("sales.hold_expired", bookingId=label)
    if order.event in sale.halted:
        raise RefusedError("sales.halted", retryAfterSeconds=60)
    _turn(sale, label, order, PAYING, None)
    sale.change(label, state=PAYING, payment="created")
    return said("payment", state="created")


def confirm(sale: Sale, label: Label) -> Said:
    """The money is captured: the seats are sold. What was bought was not held in vain."""
    order = sale.orders[label]
    if order.payment is None:
        return said("no payment")
    if order.state == PAYING:
        _turn(sale, label, order, SOLD, None)
        sale.change(label, state=CONFIRMED, payment="captured")
        sale.tell("confirmed", label, order.version + 1, order.places)
        count, size = sale.count(order.event, order.customer), len(order.places)
        spent = max(0, count.spent - size * (order.until - order.since))
        sale.counts[order.event, order.customer] = replace(count, held=count.held - size, spent=spent)
    return said("payment", state="captured")


def cancel(sale: Sale, label: Label, chosen: Sequence[int] | None) -> Said:
    """Void tickets (by their number in the order), free their seats, owe their price."""
    order = sale.orders[label]
    if order.state != CONFIRMED:
        raise RefusedError("sales.wrong_booking_state", bookingStatus=shown(sale, order))
    valid = [number for number in range(len(order.places)) if number not in order.gone]
    given = valid if chosen is None else sorted({number % len(order.places) for number in chosen})
    if not set(given) <= set(valid):
        raise RefusedError("sales.wrong_booking_state")
    kept = [order.places[number] for number in valid if number not in given]
    sale.give_back(label, SOLD, given)
    alone = {BUNDLES[place] for place in kept if order.event == HALL and place in BUNDLES} - {*kept}
    if alone:
        raise RefusedError("sales.companion_needs_wheelchair_place", wheelchairPlaces=tuple(sorted(alone)))
    count = sale.count(order.event, order.customer)
    sale.counts[order.event, order.customer] = replace(count, n=count.n - len(given))
    sale.change(label, state=CONFIRMED if kept else CANCELLED, gone=order.gone | {*given})
    places = tuple(order.places[number] for number in given)
    sale.tell("cancelled", label, order.version + 1, places, "by_customer")
    return said("cancelled", places=places, refund=sum(order.prices[number] for number in given))


def shown(sale: Sale, order: Order) -> str:
    """An order's state as the API calls it."""
    if order.because == "expired" or (order.state == HELD and order.until <= sale.now):
        return "EXPIRED"
    return order.state.upper()


def _turn(sale: Sale, label: Label, order: Order, state: str, until: int | None) -> None:
    """Bring the seats of an order to another state; they stay its own."""
    for place in order.places:
        if isinstance(place, int):
            seat = sale.seats[order.event, place]
            assert seat.order == label
            assert seat.state != FREE
            sale.seats[order.event, place] = Seat(state, label, until, seat.fence)
