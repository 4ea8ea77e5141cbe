"""The protocol of the sale, checked exhaustively: hold, pay, claim, capture, confirm, release, refund.

Every step is one committed transaction or one idempotent provider call, so a kill at any moment is the same as "that
step happens later, or never": plain interleaving covers crashes, lost replies, retries and repeated webhooks. Change
this first, then the code. A mutant is one guard left out; the checker must find what then goes wrong.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

FREE, HELD, PAYING, SOLD = "free", "held", "paying", "sold"


class Seat(NamedTuple):
    """A seat's state and the order that has it."""

    state: str
    order: int | None


OPEN_SEAT = Seat(FREE, None)


class Order(NamedTuple):
    """An order with its one payment. ``decided``: what the provider said to the capture."""

    state: str = "new"
    payment: str = "none"
    expired: bool = False
    overdue: bool = False
    approved: bool = False
    decided: str | None = None
    captured: int = 0
    refunded: int = 0
    refund: str = "none"
    tickets: int = 0
    voided: bool = False
    retries: int = 0


class World(NamedTuple):
    """Everything that is stored anywhere: the seats, and the orders with their payments."""

    seats: tuple[Seat, ...]
    orders: tuple[Order, ...]


class Step(NamedTuple):
    """Who moves (``user``, ``sys`` or ``time``), what happens, and the world after it."""

    who: str
    name: str
    after: World


@dataclass(frozen=True)
class Verdict:
    """How many worlds there are, how many of them are at rest, and the first that breaks an invariant."""

    worlds: int
    at_rest: int
    violation: str | None = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """Which seats each buyer wants, and which guards are left out."""

    wants: tuple[tuple[int, ...], ...]
    mutations: frozenset[str] = frozenset()

    def start(self) -> World:
        seats = max(max(wanted) for wanted in self.wants) + 1
        return World((OPEN_SEAT,) * seats, (Order(),) * len(self.wants))

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that may happen next."""
        for buyer in range(len(self.wants)):
            moves = Moves(world, buyer, self.wants[buyer], self.mutations)
            yield from moves.hold()
            yield from moves.pay()
            yield from moves.give_up()
            yield from moves.capture()
            yield from moves.confirm()
            yield from moves.refund()


@dataclass(frozen=True)
class Moves:
    """The steps of one buyer in one world."""

    world: World
    buyer: int
    wants: tuple[int, ...]
    mutations: frozenset[str]

    @property
    def order(self) -> Order:
        return self.world.orders[self.buyer]

    def has_all(self, state: str) -> bool:
        return all(self.world.seats[seat] == (state, self.buyer) for seat in self.wants)

    def take(self, state: str) -> tuple[Seat, ...]:
        """Every wanted seat in that state for this buyer."""
        seats = list(self.world.seats)
        for seat in self.wants:
            seats[seat] = Seat(state, self.buyer)
        return tuple(seats)

    def drop(self, state: str) -> tuple[Seat, ...]:
        """Free the wanted seats that are this buyer's in that state."""
        return tuple(
            OPEN_SEAT if number in self.wants and seat == (state, self.buyer) else seat
            for number, seat in enumerate(self.world.seats)
        )

    def step(self, who: str, name: str, seats: tuple[Seat, ...] | None = None, **changes: object) -> Step:
        orders = list(self.world.orders)
        orders[self.buyer] = self.order._replace(**changes)
        after = World(self.world.seats if seats is None else seats, tuple(orders))
        return Step(who, f"{name}({self.buyer})", after)

    def may_hold(self, number: int) -> bool:
        state, owner = self.world.seats[number]
        if state == FREE:
            return True
        if owner is None or owner == self.buyer:
            return False
        other = self.world.orders[owner]
        return (state == HELD and other.expired) or (
            state == PAYING and "steal_paying" in self.mutations and other.overdue
        )

    def hold(self) -> Iterator[Step]:
        order = self.order
        if order.state == "new" and all(self.may_hold(seat) for seat in self.wants):
            yield self.step("user", "hold", self.take(HELD), state="held")
        if order.state != "held":
            return
        if not order.expired:
            yield self.step("time", "expire", expired=True)
        else:
            yield self.step("sys", "sweep", self.drop(HELD), state="released")

    def pay(self) -> Iterator[Step]:
        order = self.order
        if order.state == "held":
            ours = self.has_all(HELD)
            if "pay_unchecked" in self.mutations or (ours and not order.expired):
                yield self.step("user", "start_payment", self.take(PAYING), state="paying", payment="created")
            elif not ours:
                yield self.step("sys", "hold_is_gone", self.drop(HELD), state="released")
        if order.state == "paying" and not order.overdue:
            yield self.step("time", "deadline", overdue=True)
        if order.payment != "none" and not order.approved and not order.voided:
            if "auto_capture" in self.mutations:
                yield self.step("user", "approve", approved=True, captured=1, decided="ok")
            else:
                yield self.step("user", "approve", approved=True)

    def give_up(self) -> Iterator[Step]:
        order = self.order
        may_abandon = order.payment == "created" or (
            "deadline_blind" in self.mutations and order.payment == "capturing"
        )
        if order.overdue and may_abandon:
            yield self.step("sys", "abandon", payment="abandoning")
        if order.payment == "abandoning" and not order.voided:
            yield self.step("sys", "void", voided=True)
        if order.payment == "abandoning" and order.voided:
            yield self.step("sys", "release", self.drop(PAYING), payment="voided", state="released")

    def capture(self) -> Iterator[Step]:
        order = self.order
        if order.approved and order.payment == "created":
            yield self.step("sys", "claim", payment="capturing")
        unclaimed = (
            "capture_no_claim" in self.mutations and order.approved and order.payment in {"created", "abandoning"}
        )
        if order.voided or not (order.payment == "capturing" or unclaimed):
            return
        if order.decided is None:
            yield self.step("sys", "capture_ok", decided="ok", captured=1)
            yield self.step("sys", "capture_declined", decided="no")
        elif order.decided == "ok" and "capture_new_key" in self.mutations and order.captured < 2:
            yield self.step("sys", "capture_again", captured=order.captured + 1)

    def confirm(self) -> Iterator[Step]:
        order = self.order
        again = (
            "webhook_twice" in self.mutations
            and order.payment == "captured"
            and order.state == "confirmed"
            and order.tickets < 2
        )
        if order.captured and (order.payment == "capturing" or again):
            checked = self.has_all(PAYING) or "confirm_unchecked" in self.mutations or order.payment == "captured"
            if checked:
                yield self.step(
                    "sys", "confirm", self.take(SOLD), state="confirmed", payment="captured", tickets=order.tickets + 1
                )
        if order.payment == "capturing" and order.decided == "no":
            yield self.step("sys", "decline", self.drop(PAYING), payment="failed", state="released")
            if order.retries < 1:  # another card: the seats are held again, the next payment has a new id
                seats = self.take(HELD) if self.has_all(PAYING) else None
                fresh = Order(state="held", retries=1)
                yield self.step("sys", "try_another_card", seats, **fresh._asdict())

    def refund(self) -> Iterator[Step]:
        order = self.order
        if order.state == "confirmed" and order.refund == "none":
            yield self.step("user", "cancel", self.drop(SOLD), state="cancelled", tickets=0, refund="requested")
        if order.refund != "requested":
            return
        if order.refunded == 0:
            yield self.step("sys", "refund", refunded=1)
        elif "refund_new_key" in self.mutations and order.refunded < 2:
            yield self.step("sys", "refund_again", refunded=order.refunded + 1)
        if order.refunded:
            yield self.step("sys", "refund_done", refund="done")


def broken(world: World, wants: Sequence[tuple[int, ...]], *, at_rest: bool) -> str | None:
    """Which invariant a world breaks, if any."""
    for number, seat in enumerate(world.seats):
        live = [buyer for buyer, order in enumerate(world.orders) if number in wants[buyer] and order.tickets]
        if sum(world.orders[buyer].tickets for buyer in live) > 1:
            return f"two live tickets for seat {number}"
        if (seat.state == SOLD) != (len(live) == 1) or (seat.state == SOLD and live != [seat.order]):
            return f"seat {number} is {seat.state} for {seat.order}, its tickets are of {live}"
    for buyer, order in enumerate(world.orders):
        if (wrong := _broken_order(order)) or (at_rest and (wrong := _unfinished(world, buyer, order))):
            return f"{wrong} (buyer {buyer})"
    return None


@cache
def _broken_order(order: Order) -> str | None:
    if order.tickets and not (order.captured == 1 and order.refunded == 0):
        return "a ticket without money"
    if order.captured > 1:
        return "charged twice"
    if order.refunded > order.captured:
        return "refunded more than captured"
    return "money taken for released seats" if order.state == "released" and order.captured else None


def _unfinished(world: World, buyer: int, order: Order) -> str | None:
    if order.captured - order.refunded != bool(order.tickets):
        return "at rest, money and tickets differ"
    if order.state == "held" or any(seat in {(HELD, buyer), (PAYING, buyer)} for seat in world.seats):
        return "at rest, seats are still taken"
    return None


def check(protocol: Protocol) -> Verdict:
    """Walk through every world that can be reached, breadth first; stops at the first that breaks an invariant."""
    start = protocol.start()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    at_rest = 0
    while waiting:
        world = waiting.popleft()
        steps = list(protocol.steps(world))
        rests = not any(step.who in {"sys", "time"} for step in steps)
        at_rest += rests
        if wrong := broken(world, protocol.wants, at_rest=rests):
            return Verdict(len(came_from), at_rest, wrong, _path(came_from, world))
        for step in steps:
            if step.after not in came_from:
                came_from[step.after] = (world, step.name)
                waiting.append(step.after)
    return Verdict(len(came_from), at_rest)


def mutant(protocol: Protocol, *mutations: str) -> Protocol:
    """The protocol without some of its guards."""
    return replace(protocol, mutations=frozenset(mutations))


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    names: list[str] = []
    while (step := came_from[world]) is not None:
        world, name = step
        names.append(name)
    return tuple(reversed(names))
