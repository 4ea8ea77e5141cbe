"""The sometimes-list: what must have happened for a chaos run to prove anything. A boring run is invalid, not green."""

from collections import Counter
from dataclasses import dataclass, field

LEAST: dict[str, int] = {
    "expired hold taken over": 10,
    "abandoned before it was claimed (D before C1)": 5,
    "claimed before it was abandoned (C1 before D)": 5,
    "capture reply lost": 5,
    "approval after void": 5,
    "duplicate webhook": 50,
    "webhook before redirect": 5,
    "redirect before webhook": 5,
    "kill inside an open transaction": 10,
    "lock timeout": 1,
    "relay published again what was taken (redelivery)": 1,
    "consumer died between effect and acknowledgement": 1,
}
"""Of ten minutes or more. Redelivery: here the relay carries the outbox; with Debezium on Kafka it is Debezium's."""
FULL_MINUTES = 10.0


def least(minutes: float) -> dict[str, int]:
    """How often each must happen in a run of so many minutes: a shorter one in proportion, and always at least once."""
    return {name: max(1, round(times * min(1.0, minutes / FULL_MINUTES))) for name, times in LEAST.items()}


@dataclass
class Sometimes:
    """Counts what happened."""

    counted: Counter[str] = field(default_factory=Counter)

    def saw(self, name: str, times: int = 1) -> None:
        """Count; an unknown name is a mistake of whoever counts."""
        if name not in LEAST:
            raise KeyError(name)
        self.counted[name] += times

    def missing(self, minutes: float) -> list[str]:
        """Name what did not happen often enough."""
        return [
            f"{name}: {self.counted[name]} of {wanted}"
            for name, wanted in least(minutes).items()
            if self.counted[name] < wanted
        ]
