"""Rounds: what is compared takes turns, since a machine is quicker at one moment than at another; medians count."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Measure = Callable[[], Awaitable[float]]
"""One round: prepares what it needs, warms up, measures, and gives one figure."""


@dataclass
class Contender:
    """Something that is measured, and its figures so far."""

    name: str
    unit: str
    measure: Measure
    figures: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)


@dataclass(frozen=True)
class Record:
    """One line of ``artifacts/bench.json``. ``reference`` is the other's figure in the same unit, none without one."""

    name: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None


def against(measured: Contender, reference: Contender) -> Record:
    """Compare two contenders of the same rounds; the ratio is the median of the rounds' own ratios."""
    ratios = [mine / other for mine, other in zip(measured.figures, reference.figures, strict=True)]
    return Record(
        name=f"{measured.name}, against {reference.name}",
        value=round(measured.median, 3),
        unit=measured.unit,
        reference=round(reference.median, 3),
        ratio=round(statistics.median(ratios), 3),
    )


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
            contender.figures.append(await contender.measure())
            say(f"round {number + 1} of {rounds}: {contender.name}: {contender.figures[-1]:,.0f} {contender.unit}")
