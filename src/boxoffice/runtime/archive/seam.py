"""What an archive of log records is: keep them, find them, forget them after some days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from boxoffice.runtime.archive.record import LEVELS, LogRecord

MOST_FOUND = 10_000
"""Records of one answer; who needs more asks for a shorter time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records; what is empty does not matter. ``level`` is the least one; ``until`` is exclusive."""

    trace_id: str = ""
    service: str = ""
    level: str = LEVELS[0]
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 200

    @property
    def levels(self) -> list[str]:
        """The levels that are meant."""
        return list(LEVELS[LEVELS.index(self.level) :])


class LogStore(Protocol):
    """An archive; each call raises a ``DomainError`` of category unavailable while its server is away."""

    async def prepare(self, *, days: int) -> None:
        """Make what is missing (table, indexes), and set for how many days records are kept. Repeating it is right."""

    async def add(self, records: Sequence[LogRecord]) -> None:
        """Keep records; those that are kept already are left alone, so that a repeat is right."""

    async def find(self, wanted: Wanted) -> list[LogRecord]:
        """Find the newest records that are wanted, the oldest of them first."""

    async def forget(self, *, days: int) -> int:
        """Forget some of what is older; returns how many, 0 when nothing is left or the server does it by itself."""
