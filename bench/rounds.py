"""Rounds: what is compared takes turns, since a machine is quicker at one moment than at another; medians count."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One round of one contender: a rate, the latencies behind it, and whatever else was counted."""

    rate: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)


Measure = Callable[[], Awaitable[Sample]]
"""One round: prepares what it needs, warms up, measures, and gives its figures."""


@dataclass
class Contender:
    """Something that is measured, and its figures so far; ``clients``: how many asked at the same time."""

    name: str
    unit: str
    measure: Measure
    clients: int | None = None
    samples: list[Sample] = field(default_factory=list)

    @property
    def figures(self) -> list[float]:
        return [sample.rate for sample in self.samples]

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    def middle(self, what: str) -> float | None:
        """Take the median over the rounds of ``p50_ms``, ``p99_ms`` or something in ``more``."""
        found = [
            value
            for sample in self.samples
            if (value := sample.more.get(what, getattr(sample, what, None))) is not None
        ]
        return statistics.median(found) if found else None


@dataclass(frozen=True)
class Record:
    """One comparison in ``artifacts/bench.json``. ``reference`` is the other's figure in the same unit, or none."""

    name: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None


@dataclass
class Findings:
    """What one group found. ``keys`` are the figures that a buyer's engineer looks for by name."""

    records: list[Record] = field(default_factory=list)
    contenders: list[Contender] = field(default_factory=list)
    keys: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def ratio(measured: Contender, reference: Contender) -> float:
    """Take the median of the rounds' own ratios: a machine that is slow for a whole round does not change it."""
    return statistics.median(mine / other for mine, other in zip(measured.figures, reference.figures, strict=True))


def quicker(contenders: Sequence[Contender]) -> Contender:
    """Choose the strongest reference: the one with the higher median."""
    return max(contenders, key=lambda contender: contender.median)


def against(measured: Contender, reference: Contender) -> Record:
    """Compare two contenders of the same rounds."""
    return Record(
        name=f"{measured.name}, against {reference.name}",
        value=round(measured.median, 3),
        unit=measured.unit,
        reference=round(reference.median, 3),
        ratio=round(ratio(measured, reference), 3),
    )


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Read a percentile off sorted values: the smallest value that at least that share does not exceed."""
    if not sorted_values:
        return 0.0
    place = max(0, -(-int(share * len(sorted_values) * 1_000_000) // 1_000_000) - 1)
    return sorted_values[min(place, len(sorted_values) - 1)]


def fairness(shares: Sequence[float]) -> tuple[float, float]:
    """Tell the smallest and the largest share of anybody, in medians: (0.5, 2) is the promise."""
    middle = statistics.median(shares)
    return (min(shares) / middle, max(shares) / middle) if middle else (0.0, 0.0)


async def interleaved(
    contenders: Sequence[Contender], *, rounds: int, say: Callable[[str], None], left: Callable[[], float]
) -> None:
    """Measure all contenders in turn, each round beginning with another one; stops early when time runs out."""
    for number in range(rounds):
        if number and left() <= 0:
            say(f"time is up after {number} of {rounds} rounds")
            return
        for place in range(len(contenders)):
            contender = contenders[(place + number) % len(contenders)]
            sample = await contender.measure()
            contender.samples.append(sample)
            tail = "" if sample.p99_ms is None else f", p50 {sample.p50_ms:.2f} ms, p99 {sample.p99_ms:.2f} ms"
            clients = "" if contender.clients is None else f", {contender.clients} clients"
            say(f"round {number + 1} of {rounds}: {contender.name}{clients}: {sample.rate:,.0f} {contender.unit}{tail}")
