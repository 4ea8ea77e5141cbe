"""The topics as Kafka has them: partitions, and what is kept for how long. Each is stated; none is made otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass

from boxoffice.contracts.messages import catalog, identity, sales
from boxoffice.runtime.bus.seam import DEAD_LETTER

DAY_MS = 24 * 3_600 * 1_000
PARTITIONS = 6
"""Of a topic with keys: so many processes of one consumer share it. More can be added, but keys move then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """How a topic is made. ``compacted``: the newest message of every key stays for ever, older ones go.

    ``rows``: what it carries are rows of a table as Debezium tells them, not messages of ours.
    """

    partitions: int = PARTITIONS
    keep_ms: int = 7 * DAY_MS
    compacted: bool = False
    rows: bool = False

    def configuration(self) -> dict[str, str]:
        """Write it as Kafka's topic settings."""
        if self.compacted:
            return {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.keep_ms)}


MARKS = "boxoffice.relay-marks"
"""How far each relay has published: written in the transaction of the messages."""
USUAL = Topic()
"""Seven days are as long as an outbox remembers."""
TOPICS: Mapping[str, Topic] = {
    MARKS: Topic(partitions=1, compacted=True),
    catalog.TOPIC: USUAL,
    catalog.ROWS_TOPIC: Topic(compacted=True, rows=True),  # the table's state: read again by whoever comes later
    identity.TOPIC: USUAL,
    identity.MAIL_TOPIC: USUAL,
    sales.ORDER_TOPIC: USUAL,
    sales.EVENT_TOPIC: Topic(compacted=True),  # how an event sells now: read again when an index is built anew
    sales.SEED_RESERVATION_TOPIC: USUAL,
    sales.SEED_TICKETS_TOPIC: USUAL,
}
DEAD_LETTERS = Topic(partitions=1, keep_ms=90 * DAY_MS)
"""Somebody has to look at them."""


def topic_of(name: str) -> Topic:
    """Tell how a topic is made."""
    return DEAD_LETTERS if name.startswith(DEAD_LETTER) else TOPICS.get(name, USUAL)
