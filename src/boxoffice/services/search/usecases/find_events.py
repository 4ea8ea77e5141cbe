"""Find events: by the index, or by the catalog's own list while a search server is away."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from boxoffice.contracts.http.catalog import Peers
from boxoffice.services.search.domain.criteria import Criteria
from boxoffice.services.search.domain.words import folded
from boxoffice.services.search.providers.engine import Found, SearchUnavailableError
from boxoffice.services.search.providers.patience import Patience
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.find_without_index import AWAY, find_without_index

TEXT_FIELDS = ("q", "event_name", "venue_name", "location", "description", "keywords", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found; ``degraded`` when events, or what is known of them, are known to be missing just now."""

    found: Found
    degraded: bool


async def find_events(shelf: Shelf, patience: Patience, peers: Peers, criteria: Criteria, *, now: datetime) -> Answer:
    """Find events as of an instant.

    :raises SearchUnavailableError: when the index cannot be read, and nobody else answers.
    """
    try:
        found = await patience.ask(lambda engine: engine.search(criteria, now=now))
    except SearchUnavailableError as away:
        if not patience.limited:
            raise
        try:
            return Answer(found=await find_without_index(peers, criteria, now=now), degraded=True)
        except AWAY:
            raise away from None
    return Answer(found=found, degraded=shelf.incomplete)


def question_of(criteria: Criteria) -> bytes | None:
    """Name a question: what is answered alike has one name; none where the answer is for one person only.

    Where somebody is belongs to nobody else, and few ask from the same spot.
    """
    if criteria.near is not None:
        return None
    texts: dict[str, Any] = {name: getattr(criteria, name) for name in TEXT_FIELDS}
    alike: dict[str, Any] = {name: folded(text) or text for name, text in texts.items()}
    return repr(replace(criteria, **alike)).encode()
