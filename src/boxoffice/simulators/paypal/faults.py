"""What the simulator is told to do wrong. A fault names a call, a way to fail, and how often."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import msgspec

Call = Literal[
    "*",
    "token",
    "create_order",
    "get_order",
    "capture",
    "refund",
    "get_capture",
    "get_refund",
    "transactions",
    "webhook",
]
Kind = Literal[
    "slow", "lose", "stumble", "refuse", "throttle", "decline", "pending", "recapture", "repeat", "shuffle", "drop"
]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault.

    ``slow``: answer ``seconds`` late, after doing it; ``lose``: do it, then drop the connection; ``stumble``: do it,
    then answer ``status``; ``refuse``: answer ``status`` without doing it; ``throttle``: answer 429; ``decline``,
    ``pending``: what captures come to; ``recapture``: capture an order again, as a provider does whose only guard is
    the request's id; webhooks only: ``repeat`` each ``copies`` times, ``shuffle`` their order, ``drop`` them.
    ``times``: how often, 0 for until told otherwise.
    """

    on: Call = "*"
    kind: Kind
    seconds: float = 0.0
    status: int = 503
    copies: int = 2
    times: int = 0


@dataclass(slots=True)
class Faults:
    """The faults in force. They live in memory: a restarted simulator behaves."""

    active: list[tuple[Fault, int]] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    """How often each was met since the start, as ``call kind``."""

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self.active.append((fault, fault.times))

    def clear(self) -> None:
        """Behave again."""
        self.active.clear()

    def meets(self, call: Call, *kinds: Kind) -> Fault | None:
        """Find the first fault of these kinds that a call meets, and count it."""
        for index, (fault, left) in enumerate(self.active):
            if fault.on in {"*", call} and fault.kind in kinds:
                if fault.times and left == 1:
                    del self.active[index]
                elif fault.times:
                    self.active[index] = (fault, left - 1)
                self.met[f"{call} {fault.kind}"] += 1
                return fault
        return None
