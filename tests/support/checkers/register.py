"""Each seat is a register with at most one owner: is there an order of the operations that agrees with every answer?

The search of Wing and Gong (1993) with Lowe's memory, seat by seat. An operation takes effect at one moment between its
invoke and its answer; one without an answer (``info``) may take effect later, or never. A hold may end by itself once
its time is over, never before. Operations that failed have no effect and are left out.

What a value holds: ``booking``; ``seats`` for reserve, else the booking's; ``hold_s`` for reserve (seconds that the
server promised); ``pay_s`` for pay (how long the seats stay the buyer's at least); exchange: ``gives`` and ``takes``,
and ``seats`` in whatever follows it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from tests.support.checkers.history import Operation

FREE = None
State = tuple[str, str] | None
"""Who owns the seat and how far they got: ``held``, ``paying`` or ``sold``; none when it is free."""

MOVES: dict[str, dict[str, str]] = {
    "pay": {"held": "paying", "paying": "paying"},
    "confirm": {"paying": "sold", "sold": "sold"},
    "confirm_free": {"held": "sold", "sold": "sold"},
}
ENDS = {"release": {"held"}, "cancel": {"sold"}, "give": {"sold"}, "expire": {"held"}, "abandon": {"paying"}}
NO_MATTER = {"release"}
"""Giving back what is no longer one's own is answered with yes, and changes nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one operation does to one seat. ``needed``: it certainly happened."""

    what: str
    booking: str
    begin: float
    end: float
    needed: bool


def violations(operations: Iterable[Operation]) -> list[str]:
    """Say, for every seat whose history has no order, which and with what."""
    found = []
    for seat, steps in sorted(by_seat(operations).items()):
        stuck = check(steps)
        if stuck is not None:
            told = " · ".join(f"{s.what} {s.booking[-6:]} [{s.begin:.3f}, {s.end:.3f}]" for s in stuck)
            found.append(f"seat {seat}: no order of its {len(steps)} steps agrees with what was answered; at: {told}")
    return found


def by_seat(operations: Iterable[Operation]) -> dict[int, list[Step]]:
    """Project a history on each seat; steps that nothing depends on are left out where leaving out allows more."""
    done = [operation for operation in operations if operation.outcome in {"ok", "info"}]
    seats_of: dict[str, list[int]] = {}
    known: set[str] = {str(o.value["booking"]) for o in done if o.outcome == "ok" and "booking" in o.value}
    steps: dict[int, list[Step]] = defaultdict(list)
    for operation in done:
        if operation.f == "reserve" and "booking" in operation.value:
            seats_of[str(operation.value["booking"])] = operation.value["seats"]
    for operation in done:
        booking = str(operation.value.get("booking", ""))
        # What nobody was told of, and nobody built upon, need not have happened: leaving it out only allows more.
        if booking in known:
            for seat, step in _steps(operation, booking, seats_of.get(booking, [])):
                steps[seat].append(step)
    return steps


def _steps(operation: Operation, booking: str, seats: list[int]) -> Iterator[tuple[int, Step]]:
    end = inf if operation.end is None else operation.end
    needed = operation.outcome == "ok"
    begin = operation.begin
    match operation.f:
        case "reserve":
            for seat in operation.value["seats"]:
                yield seat, Step("take", booking, begin, end, needed)
                yield seat, Step("expire", booking, begin + operation.value["hold_s"], inf, needed=False)
        case "pay":
            for seat in seats:
                yield seat, Step("pay", booking, begin, end, needed)
                yield seat, Step("abandon", booking, begin + operation.value.get("pay_s", 0.0), inf, needed=False)
        case "exchange":
            for seat in operation.value["gives"]:
                yield seat, Step("give", booking, begin, end, needed)
            for seat in operation.value["takes"]:
                yield seat, Step("swap_in", booking, begin, end, needed)
        case "confirm" | "confirm_free" | "release" | "cancel":
            for seat in operation.value.get("seats", seats):
                yield seat, Step(operation.f, booking, begin, end, needed)


def check(steps: list[Step]) -> list[Step] | None:
    """Find an order; returns the steps that could not be placed when there is none."""
    steps = sorted(steps, key=lambda step: (step.end, step.begin))
    of_booking: dict[str, list[int]] = defaultdict(list)
    for index, step in enumerate(steps):
        of_booking[step.booking].append(index)
    takes = [index for index, step in enumerate(steps) if step.what in {"take", "swap_in"}]
    free_anytime = [index for index, step in enumerate(steps) if step.what in NO_MATTER]
    all_needed = sum(1 << index for index, step in enumerate(steps) if step.needed)
    seen: set[tuple[int, State]] = set()
    furthest, waiting = 0, all_needed
    stack: list[tuple[int, State]] = [(0, FREE)]
    while stack:
        done, state = stack.pop()
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = all_needed & ~done
        if not left:
            return None
        if done.bit_count() > furthest:
            furthest, waiting = done.bit_count(), left
        # Nothing may be placed that began after something still to be placed had ended. Sorted by end: the lowest bit.
        limit = steps[(left & -left).bit_length() - 1].end
        candidates = takes if state is FREE else of_booking[state[0]]
        for index in {*candidates, *free_anytime}:
            step = steps[index]
            if done >> index & 1 or step.begin > limit:
                continue
            after = _apply(step, state)
            if after != "no":
                stack.append((done | 1 << index, after))  # type: ignore[arg-type]
    return [step for index, step in enumerate(steps) if waiting >> index & 1][:4]


def _apply(step: Step, state: State) -> State | str:
    if step.what in {"take", "swap_in"}:
        return (step.booking, "held" if step.what == "take" else "sold") if state is FREE else "no"
    if state is None or state[0] != step.booking:
        return state if step.what in NO_MATTER else "no"
    if step.what in MOVES:
        after = MOVES[step.what].get(state[1])
        return "no" if after is None else (step.booking, after)
    if state[1] in ENDS[step.what]:
        return FREE
    return state if step.what in NO_MATTER else "no"
