"""Find events while the index is away: by the catalog's own list, whose answer says that it is degraded.

Words must begin words of the event, its venue or category; nothing is forgiven or ranked, days are days, facets and
how events sell are left out: nothing is claimed to be for sale (invariant I12). What is near is looked for among the
first ``LOOKED_AT`` of them: the catalog's list knows no distances.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from boxoffice.contracts.http.catalog import CatalogRefusedError, EventsPage, Peers, get_events
from boxoffice.kernel.clock import rfc3339
from boxoffice.runtime.peers import PeerUnavailableError
from boxoffice.services.search.domain.criteria import MAX_TEXT, Bound, Criteria
from boxoffice.services.search.domain.geography import Near, distance_km, point_of
from boxoffice.services.search.domain.listing import Entry
from boxoffice.services.search.providers.engine import Found, Suggestion
from boxoffice.services.search.usecases.read_messages import listing_change

WORD = re.compile(r"[^\W_]+")
AWAY = (PeerUnavailableError, CatalogRefusedError)
LOOKED_AT = 500
"""Events that a search for what is near reads while the index is away: five pages of the catalog, at most."""
PAGE = 100


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
    asked = {**_days(criteria, now), "q": _words(*texts)}
    if criteria.near is not None:
        return await _near(peers, criteria, criteria.near, asked)
    page = await get_events(peers, page_no=criteria.page_no, page_size=criteria.page_size, **asked)
    return Found(hits=_hits(page), total=page.total_element)


async def _near(peers: Peers, criteria: Criteria, near: Near, asked: Mapping[str, str]) -> Found:
    """Keep what is near; by distance if that is asked, and otherwise by its start."""
    found: list[tuple[float, Entry]] = []
    for page_no in range(LOOKED_AT // PAGE):
        page = await get_events(peers, page_no=page_no, page_size=PAGE, **asked)
        found += [(away, entry) for entry in _hits(page) if (away := _away(entry, near)) is not None]
        if (page_no + 1) * PAGE >= page.total_element:
            break
    if criteria.order == "distance":
        found.sort(key=lambda one: one[0], reverse=criteria.descending)
    hits = [entry for _, entry in found]
    return Found(hits=hits[criteria.offset : criteria.offset + criteria.page_size], total=len(hits))


def _away(entry: Entry, near: Near) -> float | None:
    """Measure how far away an event is, in kilometres; none when it is not near, or nobody knows where it is."""
    venue = entry.listing.venue if entry.listing else None
    point = point_of(venue.latitude, venue.longitude) if venue else None
    away = distance_km(near.point, point) if point else None
    return away if away is not None and near.holds(away) else None


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
