"""The topics as Kafka has them: partitions, and what is kept for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from boxoffice.runtime.bus.seam import DEAD_LETTER

DAY_MS = 24 * 3_600 * 1_000
PARTITIONS = 6
"""Of a topic with keys: so many processes of one consumer share it. More can be added, but keys move then."""


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is made. ``compacted``: the newest message of every key stays for ever, older ones go."""

    partitions: int = PARTITIONS
    keep_ms: int = 7 * DAY_MS
    compacted: bool = False

    def configuration(self) -> dict[str, str]:
        """Write it as Kafka's topic settings."""
        if self.compacted:
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.keep_ms)}


MARKS = "boxoffice.relay-marks"
"""How far each relay has published: written in the transaction of the messages."""
TOPICS: Mapping[str, Topic] = {
    MARKS: Topic(partitions=1, compacted=True),
    "sales.event.v1": Topic(compacted=True),  # how an event sells now: read again when an index is built anew
}
"""Those that are not made like the others. Seven days are as long as an outbox remembers."""
DEAD_LETTERS = Topic(partitions=1, keep_ms=90 * DAY_MS)
"""Somebody has to look at them."""
USUAL = Topic()


def topic_of(name: str) -> Topic:
    """Tell how a topic is made."""
    return DEAD_LETTERS if name.startswith(DEAD_LETTER) else TOPICS.get(name, USUAL)
