"""Find events while the index is away: by the catalog's own list, whose answer says that it is degraded.

Words must begin words of the event, its venue or category; nothing is forgiven or ranked, days are days, facets and
how events sell are left out: nothing is claimed to be for sale (invariant I12).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from boxoffice.contracts.http.catalog import CatalogRefusedError, EventsPage, Peers, get_events
from boxoffice.kernel.clock import rfc3339
from boxoffice.runtime.peers import PeerUnavailableError
from boxoffice.services.search.domain.criteria import MAX_TEXT, Bound, Criteria
from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.providers.engine import Found, Suggestion
from boxoffice.services.search.usecases.read_messages import listing_change

WORD = re.compile(r"[^\W_]+")
AWAY = (PeerUnavailableError, CatalogRefusedError)


async def suggest_without_index(peers: Peers, text: str, *, limit: int, now: datetime) -> Sequence[Suggestion]:
    """Complete what is being typed by the names of coming events.

    :raises PeerUnavailableError: when the catalog does not answer.
    :raises CatalogRefusedError: when it answers something else.
    """
    words = _words(text)
    page = await get_events(peers, page_no=0, page_size=limit, q=words, dateFrom=rfc3339(now)) if words else None
    names = dict.fromkeys(event.name for event in page.events) if page else ()
    return [Suggestion(text=name, kind="event", count=1) for name in names]


async def find_without_index(peers: Peers, criteria: Criteria, *, now: datetime) -> Found:
    """Find events by the catalog's list: what is coming, or the days that were asked for.

    :raises PeerUnavailableError: when the catalog does not answer.
    :raises CatalogRefusedError: when it answers something else.
    """
    texts = (
        criteria.q, criteria.event_name, criteria.venue_name, criteria.location, criteria.description,
        criteria.keywords, criteria.category,
    )  # fmt: skip
    page = await get_events(
        peers, page_no=criteria.page_no, page_size=criteria.page_size, **_days(criteria, now), q=_words(*texts)
    )
    return Found(hits=_hits(page), total=page.total_element)


def _words(*texts: str) -> str:
    return " ".join(WORD.findall(" ".join(texts)))[:MAX_TEXT]


def _days(criteria: Criteria, now: datetime) -> Mapping[str, str]:
    """Say the days that were asked for; without any, what is coming, as the index lists that first."""
    if criteria.since is None and criteria.until is None:
        return {"dateFrom": rfc3339(now)}
    asked = {"dateFrom": criteria.since, "dateTo": criteria.until}
    return {name: _instant(bound) for name, bound in asked.items() if bound is not None}


def _instant(bound: Bound) -> str:
    return bound.at.isoformat() if bound.is_local else rfc3339(bound.at)


def _hits(page: EventsPage) -> list[Entry]:
    changes = [listing_change(event.fact(), version=event.version) for event in page.events]
    return [
        Entry(event_id=one.event_id, listing=one.listing, listing_version=one.version)
        for one in changes
        if one.listing is not None
    ]
