"""The sale as dictionaries: what a hold must be told, one request after the other. Shares no code with the product.

Best available and the rule against single seats are those of ``tests/support/best_reference.py``, by trying everything.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.histories.house import AREAS, BUNDLES, DRAWN, FIELD, HALL, HOLD_S, PRICES
from tests.histories.steps import Ask, Rules

from boxoffice.kernel.ids import EventId

FREE, HELD, PAYING, SOLD = "free", "held", "paying", "sold"
BUDGET = 3
"""Full holds of the whole limit that may be let go unpaid."""

Label = tuple[int, int]
"""An order by the step and the request that made it."""
Place = int | str
"""A seat by its number, or a place by its area: those are all alike."""


class Said(NamedTuple):
    """What somebody heard: a code (``held``, or a refusal's) and what was said with it."""

    code: str
    told: tuple[tuple[str, object], ...] = ()


def said(code: str, **told: object) -> Said:
    return Said(code, tuple(sorted(told.items())))


@dataclass(frozen=True)
class Request:
    """A hold as it arrives. Two with one ``key`` and one ``body`` are the same request."""

    label: Label
    ask: Ask
    key: str | None
    body: str


@dataclass(frozen=True)
class Seat:
    state: str = FREE
    order: Label | None = None
    until: int | None = None
    fence: int = 0


@dataclass(frozen=True)
class Order:
    event: EventId
    customer: int
    places: tuple[Place, ...]
    prices: tuple[int, ...]
    since: int
    until: int
    state: str = HELD
    version: int = 0
    because: str | None = None
    extended: bool = False
    payment: str | None = None
    gone: frozenset[int] = frozenset()
    """Which of its tickets are void, by their number."""

    @property
    def total(self) -> int:
        return sum(self.prices)


@dataclass(frozen=True)
class Count:
    """What a customer has of an event, with the clock and the budget of their holds."""

    n: int = 0
    held: int = 0
    clock: int | None = None
    extended: int | None = None
    spent: int = 0


class RefusedError(Exception):
    """No; nothing of the request stays."""

    def __init__(self, code: str, **told: object) -> None:
        super().__init__(code)
        self.said = said(code, **told)


@dataclass
class Sale:
    """Everything there is."""

    rules: Rules
    now: int = 0
    seats: dict[tuple[EventId, int], Seat] = field(
        default_factory=lambda: {(event, place): Seat() for event in PRICES for place in range(len(PRICES[event]))}
    )
    free: dict[str, int] = field(default_factory=lambda: {area: size for area, (size, _) in AREAS.items()})
    orders: dict[Label, Order] = field(default_factory=dict)
    counts: dict[tuple[EventId, int], Count] = field(default_factory=dict)
    keys: dict[tuple[int, str], tuple[str, Said]] = field(default_factory=dict)
    messages: Counter[tuple[object, ...]] = field(default_factory=Counter)
    halted: frozenset[EventId] = frozenset()

    def copy(self) -> "Sale":
        return replace(
            self, seats=dict(self.seats), free=dict(self.free), orders=dict(self.orders), counts=dict(self.counts),
            keys=dict(self.keys), messages=Counter(self.messages),
        )  # fmt: skip

    def after(self, act: Callable[["Sale"], Said]) -> tuple[Said, "Sale"]:
        """What is said to an act, and the sale after it; a refusal leaves no trace."""
        trial = self.copy()
        try:
            return act(trial), trial
        except RefusedError as refusal:
            return refusal.said, self

    def hold(self, request: Request) -> Said:
        """Place a hold: key, sale, seats, limit and budget, companions, single seats, in this order."""
        ask = request.ask
        key = None if request.key is None else (ask.customer, request.key)
        if key is not None and key in self.keys:
            body, answer = self.keys[key]
            if body != request.body:
                raise RefusedError("request.idempotency_key_reused")
            return answer
        if ask.event in self.halted:
            raise RefusedError("sales.halted")
        if ask.event == FIELD:
            answer = self._hold_places(request)
        elif ask.places is None:
            answer = self._hold_best(request)
        else:
            answer = self._hold_seats(request, ask.places, None)
        if key is not None:
            self.keys[key] = (request.body, answer)
        return answer

    def _hold_seats(self, request: Request, places: Sequence[int], arrangement: str | None) -> Said:
        ask = request.ask
        unknown = [place for place in places if (ask.event, place) not in self.seats]
        if unknown:
            raise RefusedError("sales.seats_unknown", ticketIds=tuple(unknown))
        open_seats = self.open_seats(ask.event)
        taken = [place for place in places if place not in open_seats]
        if taken:
            raise RefusedError("sales.seats_taken", taken=tuple(taken))
        until = self._count(ask, len(places))
        lonely = {BUNDLES[place] for place in places if place in BUNDLES and BUNDLES[place] not in places}
        if lonely and ask.event == HALL:
            raise RefusedError("sales.companion_needs_wheelchair_place", wheelchairPlaces=tuple(sorted(lonely)))
        if self.rules.no_orphans and ask.event == HALL:
            single = DRAWN[ask.event].stranded(open_seats, set(places))
            if single:
                raise RefusedError("sales.single_seat_left", single=tuple(sorted(single)))
        for place in places:
            seat = self.seats[ask.event, place]
            self.seats[ask.event, place] = Seat(HELD, request.label, until, seat.fence + 1)
        prices = [PRICES[ask.event][place] for place in places]
        return self._held(request, tuple(places), tuple(prices), until, arrangement)

    def _hold_best(self, request: Request) -> Said:
        ask = request.ask
        assert ask.quantity is not None
        found = DRAWN[ask.event].best(
            self.open_seats(ask.event), ask.quantity, level=ask.level, together=ask.together,
            rule=self.rules.no_orphans and ask.event == HALL,
        )  # fmt: skip
        if found is None:
            self._count(ask, ask.quantity)
            raise RefusedError("sales.not_enough_seats")
        return self._hold_seats(request, sorted(found[1]), found[0])

    def _hold_places(self, request: Request) -> Said:
        """So many places of the first area that has them, holds that ran out included; those are ended if need be."""
        ask = request.ask
        assert ask.quantity is not None
        areas = [area for area in AREAS if ask.level in (None, area)]
        area = next((one for one in areas if self.free[one] + self._run_out(one) >= (ask.quantity or 0)), None)
        if area is None:
            raise RefusedError("sales.not_enough_seats")
        until = self._count(ask, ask.quantity)
        due = sorted((order.until, label) for label, order in self.orders.items() if self._is_due(order, area))
        while self.free[area] < ask.quantity:
            self.end(due.pop(0)[1])
        self.free[area] -= ask.quantity
        prices = (AREAS[area][1],) * ask.quantity
        return self._held(request, (area,) * ask.quantity, prices, until, None)

    def _run_out(self, area: str) -> int:
        return sum(len(order.places) for order in self.orders.values() if self._is_due(order, area))

    def _is_due(self, order: Order, area: str | None = None) -> bool:
        return order.state == HELD and order.until <= self.now and area in (None, order.places[0])

    def _held(
        self, request: Request, places: tuple[Place, ...], prices: tuple[int, ...], until: int, arrangement: str | None
    ) -> Said:
        ask, label = request.ask, request.label
        self.orders[label] = Order(ask.event, ask.customer, places, prices, since=self.now, until=until)
        self.tell("held", label, 0, places)
        return said(
            "held", order=label, places=places, total=sum(prices), seconds=until - self.now, arrangement=arrangement
        )

    def _count(self, ask: Ask, places: int) -> int:
        """Count places up against limit and budget; gives until when they are held. Own holds that ran out do not count."""
        until = self._counted(ask, places)
        if until is None:
            for label, order in list(self.orders.items()):
                if order.event == ask.event and order.customer == ask.customer and self._is_due(order):
                    self.end(label)
            until = self._counted(ask, places)
        if until is None:
            count, budget = self.count(ask.event, ask.customer), self.budget
            if count.n + places > self.rules.limit:
                raise RefusedError(
                    "sales.limit_reached", limitPerCustomer=self.rules.limit, requested=places,
                    alreadyHeldOrBought=count.n,
                )  # fmt: skip
            raise RefusedError("sales.hold_budget_spent", seatMinutes=budget // 60, spentSeatMinutes=count.spent // 60)
        return until

    def _counted(self, ask: Ask, places: int) -> int | None:
        count = self.count(ask.event, ask.customer)
        clock = self.now + HOLD_S
        if count.held and count.clock is not None and count.clock > self.now:
            clock = count.clock
        spent = count.spent + places * (clock - self.now)
        if count.n + places > self.rules.limit or spent > self.budget:
            return None
        self.counts[ask.event, ask.customer] = replace(
            count, n=count.n + places, held=count.held + places, clock=clock, spent=spent
        )
        return clock

    @property
    def budget(self) -> int:
        return BUDGET * self.rules.limit * HOLD_S

    def count(self, event: EventId, customer: int) -> Count:
        return self.counts.get((event, customer), Count())

    def open_seats(self, event: EventId) -> set[int]:
        return {
            place
            for (of, place), seat in self.seats.items()
            if of == event and (seat.state == FREE or (seat.until is not None and seat.until <= self.now))
        }

    def end(self, label: Label) -> None:
        """End a hold that ran out; seats that others took over are theirs."""
        order = self.orders[label]
        self.give_back(label, HELD)
        count = self.count(order.event, order.customer)
        size = len(order.places)
        self.counts[order.event, order.customer] = replace(count, n=count.n - size, held=count.held - size)
        self.change(label, state="released", because="expired")
        self.tell("released", label, order.version + 1, order.places, "expired")

    def sweep(self) -> None:
        for label, order in list(self.orders.items()):
            if self._is_due(order):
                self.end(label)

    def give_back(self, label: Label, state: str, numbers: Iterable[int] | None = None) -> None:
        """Free an order's places, or some of them by their number in it."""
        order = self.orders[label]
        for number in range(len(order.places)) if numbers is None else numbers:
            place = order.places[number]
            if isinstance(place, str):
                self.free[place] += 1
                continue
            seat = self.seats[order.event, place]
            if seat.order == label and seat.state == state:
                self.seats[order.event, place] = Seat(fence=seat.fence + 1)

    def change(self, label: Label, **changes: object) -> None:
        """Change an order, which has its next version then."""
        order = self.orders[label]
        self.orders[label] = replace(order, version=order.version + 1, **changes)  # type: ignore[arg-type]

    def tell(self, what: str, label: Label, version: int, places: Iterable[Place], reason: str | None = None) -> None:
        self.messages[what, label, version, tuple(sorted(places, key=str)), reason] += 1
