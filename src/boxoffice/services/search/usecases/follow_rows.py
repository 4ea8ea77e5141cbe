"""Follow the catalog's events table: put right whatever the catalog's own messages did not tell the index.

A row says which version of an event there is, not what is public of it. What the index knows at that version or a newer
one is right already; what it lacks is asked of the catalog, which answers with the version that its message carries: so
both ways agree, whichever comes first. A row that is gone is gone for ever, since ids are never given twice.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from boxoffice.contracts.http.catalog import Peers, get_event
from boxoffice.contracts.messages.catalog import EventRow
from boxoffice.runtime.telemetry import log
from boxoffice.services.search.domain.listing import ListingChange
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.read_messages import FINDABLE, listing_change

LAST_VERSION: Final = 2**62
"""Of an event whose row is gone: newer than anything that a late message can tell."""

_log = log(__name__)


async def lacking(shelf: Shelf, rows: Sequence[EventRow]) -> Mapping[int, EventRow]:
    """Tell which rows the index does not know yet, the last of each event.

    :raises SearchUnavailableError: when the index cannot be read.
    """
    newest = {row.id: row for row in rows}
    known = await shelf.ask(lambda engine: engine.entries(sorted(newest)))
    return {
        event_id: row
        for event_id, row in newest.items()
        if event_id not in known or known[event_id].listing_version < version_of(row)
    }


async def changes_of(peers: Peers, rows: Mapping[int, EventRow]) -> list[ListingChange]:
    """Write what the index lacks as changes.

    :raises CatalogRefusedError: when the catalog does not answer as agreed.
    :raises PeerUnavailableError: when it does not answer.
    """
    changes = [await _change(peers, row) for row in rows.values()]
    _log.warning("index.corrected", events=len(changes), first=changes[0].event_id)
    return changes


def version_of(row: EventRow) -> int:
    """Tell the version that a row says; a row without one is gone."""
    return LAST_VERSION if row.version is None else row.version


async def _change(peers: Peers, row: EventRow) -> ListingChange:
    if row.status in FINDABLE:
        event = await get_event(peers, row.id)
        if event is not None:
            return listing_change(event.fact(), version=event.version)
    return ListingChange(event_id=row.id, version=version_of(row), listing=None)
