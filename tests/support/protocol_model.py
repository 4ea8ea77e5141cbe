"""The protocol of the sale, checked exhaustively: hold, pay, claim, capture, confirm, release, refund, and their kin.

Every step is one committed transaction or one idempotent provider call, so a kill at any moment is the same as "that
step happens later, or never": plain interleaving covers crashes, lost replies, retries and repeated webhooks. Change
this first, then the code. A mutant is one guard left out; the checker must find what then goes wrong.

The bare protocol is the one of reliability section 4.6. ``features`` add what it leaves out: ``part`` (tickets cancelled
one by one), ``give_back`` (a hold returned by its buyer), ``turn_back`` (a buyer who leaves the payment page and may try
again), ``extend`` (a hold made longer once), ``exchange`` (other seats for the same order), ``admit`` (a ticket used),
``event`` (the event is cancelled). Seats have prices, so that exchanges and refunds are counted.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NamedTuple

FREE, HELD, PAYING, SOLD = "free", "held", "paying", "sold"

ALL_FEATURES = frozenset({"part", "give_back", "turn_back", "extend", "exchange", "admit", "event"})


class Seat(NamedTuple):
    """A seat's state and the order that has it."""

    state: str
    order: int | None


OPEN_SEAT = Seat(FREE, None)


class Refund(NamedTuple):
    """Money on its way back; ``sent`` counts how often the provider paid it."""

    value: int
    sent: int = 0
    done: bool = False


class Order(NamedTuple):
    """An order with its one payment. ``decided``: what the provider said to the capture; ``tickets``: live ones."""

    state: str = "new"
    payment: str = "none"
    expired: bool = False
    overdue: bool = False
    approved: bool = False
    decided: str | None = None
    captured: int = 0
    refunds: tuple[Refund, ...] = ()
    tickets: tuple[int, ...] = ()
    used: tuple[int, ...] = ()
    voided: bool = False
    turned: bool = False
    retries: int = 0
    extended: bool = False
    exchanged: bool = False


class World(NamedTuple):
    """Everything that is stored anywhere: the seats, the orders with their payments, and whether the event is off."""

    seats: tuple[Seat, ...]
    orders: tuple[Order, ...]
    off: bool = False


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
    steps: frozenset[str] = field(default_factory=frozenset)
    """Every kind of step that was taken somewhere."""


@dataclass(frozen=True)
class Protocol:
    """Which seats each buyer wants, what seats there are besides and cost, and which guards are left out."""

    wants: tuple[tuple[int, ...], ...]
    features: frozenset[str] = frozenset()
    prices: tuple[int, ...] = ()
    mutations: frozenset[str] = frozenset()

    def start(self) -> World:
        seats = max(len(self.prices), max(max(wanted) for wanted in self.wants) + 1)
        return World((OPEN_SEAT,) * seats, (Order(),) * len(self.wants))

    def price(self, seat: int) -> int:
        return self.prices[seat] if self.prices else 1

    def worth(self, seats: Iterable[int]) -> int:
        return sum(self.price(seat) for seat in seats)

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that may happen next."""
        for buyer in range(len(self.wants)):
            moves = Moves(self, world, buyer)
            yield from moves.hold()
            yield from moves.pay()
            yield from moves.give_up()
            yield from moves.capture()
            yield from moves.confirm()
            yield from moves.cancel()
            yield from moves.refund()
            if self.features:
                yield from moves.change_hold()
                yield from moves.exchange()
                yield from moves.admit()
        if "event" in self.features and not world.off:
            yield Step("user", "cancel_event", self._switched_off(world))

    def _switched_off(self, world: World) -> World:
        after = world._replace(off=True)
        if "event_looks_once" in self.mutations:
            for buyer in range(len(self.wants)):
                for step in Moves(self, after, buyer).cancel_for_event():
                    after = step.after
        return after


@dataclass(frozen=True)
class Moves:
    """The steps of one buyer in one world."""

    protocol: Protocol
    world: World
    buyer: int

    @property
    def order(self) -> Order:
        return self.world.orders[self.buyer]

    @property
    def wants(self) -> tuple[int, ...]:
        return self.protocol.wants[self.buyer]

    def without(self, guard: str) -> bool:
        return guard in self.protocol.mutations

    def may(self, feature: str) -> bool:
        return feature in self.protocol.features

    def has_all(self, state: str) -> bool:
        return all(self.world.seats[seat] == (state, self.buyer) for seat in self.wants)

    def take(self, state: str, numbers: Iterable[int] | None = None) -> tuple[Seat, ...]:
        """Every wanted seat (or these) in that state for this buyer."""
        seats = list(self.world.seats)
        for seat in self.wants if numbers is None else numbers:
            seats[seat] = Seat(state, self.buyer)
        return tuple(seats)

    def drop(self, state: str, numbers: Iterable[int] | None = None) -> tuple[Seat, ...]:
        """Free the wanted seats (or these) that are this buyer's in that state."""
        chosen = self.wants if numbers is None else tuple(numbers)
        return tuple(
            OPEN_SEAT if number in chosen and seat == (state, self.buyer) else seat
            for number, seat in enumerate(self.world.seats)
        )

    def step(self, who: str, name: str, seats: tuple[Seat, ...] | None = None, **changes: object) -> Step:
        orders = list(self.world.orders)
        orders[self.buyer] = self.order._replace(**changes)
        after = World(self.world.seats if seats is None else seats, tuple(orders), self.world.off)
        return Step(who, f"{name}({self.buyer})", after)

    def may_take(self, number: int) -> bool:
        """Whether a seat is open for this buyer: free, or held by an order whose time is up."""
        state, owner = self.world.seats[number]
        if state == FREE:
            return True
        if owner is None or owner == self.buyer:
            return False
        other = self.world.orders[owner]
        return (state == HELD and other.expired) or (state == PAYING and self.without("steal_paying") and other.overdue)

    def hold(self) -> Iterator[Step]:
        order = self.order
        if order.state == "new" and not self.world.off and all(self.may_take(seat) for seat in self.wants):
            yield self.step("user", "hold", self.take(HELD), state="held")
        if order.state != "held":
            return
        if not order.expired:
            yield self.step("time", "expire", expired=True)
        else:
            freed = self._freed_of_anybody() if self.without("sweep_unchecked") else self.drop(HELD)
            yield self.step("sys", "sweep", freed, state="released")

    def change_hold(self) -> Iterator[Step]:
        """A hold is given back by its buyer, or made longer once: only while it lasts and has every seat."""
        order = self.order
        if order.state != "held":
            return
        if self.may("give_back"):
            freed = self._freed_of_anybody() if self.without("give_back_unchecked") else self.drop(HELD)
            yield self.step("user", "give_back", freed, state="released")
        lasts = not order.expired and self.has_all(HELD)
        if self.may("extend") and not order.extended and (lasts or self.without("extend_unchecked")):
            yield self.step("user", "extend", extended=True, expired=False)

    def _freed_of_anybody(self) -> tuple[Seat, ...]:
        return tuple(
            OPEN_SEAT if number in self.wants and seat.state == HELD else seat
            for number, seat in enumerate(self.world.seats)
        )

    def pay(self) -> Iterator[Step]:
        order = self.order
        if order.state == "held":
            ours = self.has_all(HELD)
            if self.without("pay_unchecked") or (ours and not order.expired and not self.world.off):
                yield self.step("user", "start_payment", self.take(PAYING), state="paying", payment="created")
            elif not ours:
                yield self.step("sys", "hold_is_gone", self.drop(HELD), state="released")
        if order.state == "paying" and not order.overdue:
            yield self.step("time", "deadline", overdue=True)
        if order.payment != "none" and not order.approved and not order.voided:
            if self.without("auto_capture"):
                yield self.step("user", "approve", approved=True, captured=1, decided="ok")
            else:
                yield self.step("user", "approve", approved=True)

    def give_up(self) -> Iterator[Step]:
        order = self.order
        may_abandon = order.payment == "created" or (self.without("deadline_blind") and order.payment == "capturing")
        if order.overdue and may_abandon:
            yield self.step("sys", "abandon", payment="abandoning")
        may_turn = order.payment == "created" or (self.without("turn_back_blind") and order.payment == "capturing")
        if self.may("turn_back") and may_turn:
            yield self.step("user", "turn_back", payment="abandoning", turned=True)
        if order.payment == "abandoning" and not order.voided:
            yield self.step("sys", "void", voided=True)
        if order.payment != "abandoning" or not order.voided:
            return
        if order.turned:  # the first attempt makes the hold longer; later ones keep what is left of it, or nothing
            yield self._held_again("return_to_hold")
        if not order.turned or order.retries:
            yield self.step("sys", "release", self.drop(PAYING), payment="voided", state="released")

    def _held_again(self, name: str) -> Step:
        seats = self.take(HELD) if self.has_all(PAYING) else None
        fresh = Order(state="held", retries=1, extended=self.order.extended, captured=self.order.captured)
        return self.step("sys", name, seats, **fresh._asdict())

    def capture(self) -> Iterator[Step]:
        order = self.order
        if order.approved and order.payment == "created":
            yield self.step("sys", "claim", payment="capturing")
        unclaimed = self.without("capture_no_claim") and order.approved and order.payment in {"created", "abandoning"}
        if order.voided or not (order.payment == "capturing" or unclaimed):
            return
        if order.decided is None:
            yield self.step("sys", "capture_ok", decided="ok", captured=1)
            yield self.step("sys", "capture_declined", decided="no")
        elif order.decided == "ok" and self.without("capture_new_key") and order.captured < 2:
            yield self.step("sys", "capture_again", captured=order.captured + 1)

    def confirm(self) -> Iterator[Step]:
        order = self.order
        again = (
            self.without("webhook_twice")
            and order.payment == "captured"
            and order.state == "confirmed"
            and len(order.tickets) < 2 * len(self.wants)
        )
        if order.captured and (order.payment == "capturing" or again):
            checked = self.has_all(PAYING) or self.without("confirm_unchecked") or order.payment == "captured"
            if checked:
                tickets = tuple(sorted(order.tickets + self.wants))
                yield self.step(
                    "sys", "confirm", self.take(SOLD), state="confirmed", payment="captured", tickets=tickets
                )
        if order.payment == "capturing" and order.decided == "no":
            yield self.step("sys", "decline", self.drop(PAYING), payment="failed", state="released")
            if order.retries < 1:  # another card: the seats are held again, the next payment has a new id
                yield self._held_again("try_another_card")

    def cancel(self) -> Iterator[Step]:
        order = self.order
        if order.state != "confirmed":
            return
        if self.may("part"):
            for seat in self.wants if self.without("cancel_twice") else dict.fromkeys(self._valid()):
                yield self._cancelled("user", f"cancel {seat}", [seat])
        elif self._valid() and not order.refunds:
            yield self._cancelled("user", "cancel", self._valid())
        if "event_looks_once" not in self.protocol.mutations:
            yield from self.cancel_for_event()

    def cancel_for_event(self) -> Iterator[Step]:
        """The event is off: whatever ticket is still valid is void, its money goes back."""
        if self.world.off and self.order.state == "confirmed" and self._valid():
            yield self._cancelled("sys", "cancel_for_event", self._valid())

    def _valid(self) -> list[int]:
        if self.without("cancel_used"):
            return list(self.order.tickets)
        left = list(self.order.tickets)
        for seat in self.order.used:
            left.remove(seat)
        return left

    def _cancelled(self, who: str, name: str, given: list[int]) -> Step:
        order = self.order
        left = list(order.tickets)
        for seat in given:
            if seat in left:
                left.remove(seat)
        worth = self.protocol.worth
        part = [worth([seat]) for seat in given] if self.may("part") else [worth(given)]
        if self.without("part_refunds_all"):
            part = [worth(self.wants)]
        if self.without("event_pays_nothing") and self.world.off:
            part = []
        seats = None if self.without("cancel_keeps_seats") else self.drop(SOLD, given)
        return self.step(
            who, name, seats, state="confirmed" if left else "cancelled", tickets=tuple(left),
            refunds=tuple(sorted([*order.refunds, *map(Refund, part)])),
        )  # fmt: skip

    def refund(self) -> Iterator[Step]:
        order = self.order
        for number, refund in enumerate(order.refunds):
            if refund.done or refund in order.refunds[:number]:
                continue
            if refund.sent == 0 or (self.without("refund_new_key") and refund.sent < 2):
                yield self._refunded("refund", number, refund._replace(sent=refund.sent + 1))
            if refund.sent:
                yield self._refunded("refund_done", number, refund._replace(done=True))

    def _refunded(self, name: str, number: int, refund: Refund) -> Step:
        refunds = list(self.order.refunds)
        refunds[number] = refund
        return self.step("sys", name, refunds=tuple(sorted(refunds)))

    def exchange(self) -> Iterator[Step]:
        """Another seat for a ticket, in one transaction; a dearer one is refused, the difference of a cheaper is owed."""
        order = self.order
        if not self.may("exchange") or order.state != "confirmed" or order.exchanged or self.world.off:
            return
        for given in dict.fromkeys(self._valid()):
            for taken in range(len(self.world.seats)):
                owed = self.protocol.price(given) - self.protocol.price(taken)
                is_open = self.may_take(taken) or (self.without("exchange_unchecked") and taken != given)
                if is_open and (owed >= 0 or self.without("exchange_for_dearer")):
                    yield self._exchanged(given, taken, max(owed, 0))

    def _exchanged(self, given: int, taken: int, owed: int) -> Step:
        order = self.order
        tickets = [*order.tickets, taken]
        if not self.without("exchange_keeps_ticket"):
            tickets.remove(given)
        freed = self.world.seats if self.without("exchange_keeps_seat") else self.drop(SOLD, [given])
        seats = list(freed)
        seats[taken] = Seat(SOLD, self.buyer)
        refunds = list(order.refunds)
        if owed and not self.without("exchange_pays_nothing"):
            refunds.append(Refund(owed))
        return self.step(
            "user", f"exchange {given} for {taken}", tuple(seats), tickets=tuple(sorted(tickets)),
            refunds=tuple(sorted(refunds)), exchanged=True,
        )  # fmt: skip

    def admit(self) -> Iterator[Step]:
        if self.may("admit"):
            for seat in self.order.tickets:
                if seat not in self.order.used:
                    yield self.step("user", "admit", used=tuple(sorted((*self.order.used, seat))))


def broken(world: World, protocol: Protocol, *, at_rest: bool) -> str | None:
    """Which invariant a world breaks, if any."""
    holders: dict[int, list[int]] = {}
    for buyer, order in enumerate(world.orders):
        for seat in order.tickets:
            holders.setdefault(seat, []).append(buyer)
    for number, seat in enumerate(world.seats):
        live = holders.get(number, [])
        if len(live) > 1:
            return f"two live tickets for seat {number}"
        if (seat.state == SOLD) != (len(live) == 1) or (seat.state == SOLD and live != [seat.order]):
            return f"seat {number} is {seat.state} for {seat.order}, its tickets are of {live}"
    for buyer, order in enumerate(world.orders):
        wrong = _broken_order(protocol, order, protocol.wants[buyer]) or _lost_seats(world, protocol, buyer, order)
        if wrong or (at_rest and (wrong := _unfinished(world, protocol, buyer, order))):
            return f"{wrong} (buyer {buyer})"
    return None


def _money(protocol: Protocol, order: Order, wants: tuple[int, ...]) -> tuple[int, int]:
    """What was captured, and what the provider paid back."""
    return order.captured * protocol.worth(wants), sum(refund.value * refund.sent for refund in order.refunds)


@cache
def _broken_order(protocol: Protocol, order: Order, wants: tuple[int, ...]) -> str | None:
    captured, refunded = _money(protocol, order, wants)
    if order.captured > 1:
        return "charged twice"
    if not set(order.used) <= set(order.tickets):
        return "a used ticket is void"
    if sum(refund.value for refund in order.refunds) > captured or refunded > captured:
        return "refunded more than captured"
    if any(refund.sent > 1 for refund in order.refunds):
        return "refunded twice"
    if protocol.worth(order.tickets) > captured - refunded:
        return "a ticket without money"
    return "money taken for released seats" if order.state in {"held", "released"} and order.captured else None


def _lost_seats(world: World, protocol: Protocol, buyer: int, order: Order) -> str | None:
    """Whoever may pay, or is paying, has every seat."""
    lasting = (order.state == "held" and not order.expired) or order.state == "paying"
    if lasting:
        for seat in protocol.wants[buyer]:
            if world.seats[seat] != (order.state, buyer):
                return f"an order that is {order.state} lost seat {seat}"
    return None


def _unfinished(world: World, protocol: Protocol, buyer: int, order: Order) -> str | None:
    captured, refunded = _money(protocol, order, protocol.wants[buyer])
    if captured - refunded != protocol.worth(order.tickets):
        return "at rest, money and tickets differ"
    if order.state == "held" or any(seat in {(HELD, buyer), (PAYING, buyer)} for seat in world.seats):
        return "at rest, seats are still taken"
    return "at rest, tickets of an event that is off" if world.off and set(order.tickets) - set(order.used) else None


def check(protocol: Protocol) -> Verdict:
    """Walk through every world that can be reached, breadth first; stops at the first that breaks an invariant."""
    start = protocol.start()
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    at_rest = 0
    taken: set[str] = set()
    while waiting:
        world = waiting.popleft()
        steps = list(protocol.steps(world))
        rests = not any(step.who in {"sys", "time"} for step in steps)
        at_rest += rests
        if wrong := broken(world, protocol, at_rest=rests):
            return Verdict(len(came_from), at_rest, wrong, _path(came_from, world), _kinds(taken))
        for step in steps:
            taken.add(step.name)
            if step.after not in came_from:
                came_from[step.after] = (world, step.name)
                waiting.append(step.after)
    return Verdict(len(came_from), at_rest, steps=_kinds(taken))


def mutant(protocol: Protocol, *mutations: str) -> Protocol:
    """The protocol without some of its guards."""
    return replace(protocol, mutations=frozenset(mutations))


def _kinds(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.partition("(")[0].partition(" ")[0] for name in names)


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    names: list[str] = []
    while (step := came_from[world]) is not None:
        world, name = step
        names.append(name)
    return tuple(reversed(names))
