"""Find events."""

from dataclasses import dataclass
from datetime import datetime

from boxoffice.services.search.domain.criteria import Criteria
from boxoffice.services.search.providers.engine import Found
from boxoffice.services.search.providers.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found; ``degraded`` when the index is known to lack events just now."""

    found: Found
    degraded: bool


async def find_events(shelf: Shelf, criteria: Criteria, *, now: datetime) -> Answer:
    """Find events as of an instant.

    :raises SearchUnavailableError: when the index cannot be read.
    """
    found = await shelf.ask(lambda engine: engine.search(criteria, now=now))
    return Answer(found=found, degraded=shelf.incomplete)
