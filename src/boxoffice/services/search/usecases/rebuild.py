"""Build the index again from the truth, and switch to it without a moment in which nothing is found.

Listings come from the catalog's public list, how events sell from what the index knew and what the stream still keeps.
Messages that arrive meanwhile go into both generations, and versions settle who is right.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from boxoffice.contracts.http.catalog import Peers, get_events
from boxoffice.runtime.telemetry import log
from boxoffice.services.search.domain.listing import Change, Entry, ListingChange
from boxoffice.services.search.providers.engine import SearchEngine
from boxoffice.services.search.providers.shelf import Shelf
from boxoffice.services.search.usecases.read_messages import listing_change
from boxoffice.services.search.usecases.take_changes import Intake, apply

BATCH = 1_000
WALKS = 3
"""An event deleted during a walk shifts the pages: the list is walked again until its length stays the same."""

Progress = Callable[[int, int], None]
"""Told how many events are in, of how many."""

_log = log(__name__)


async def rebuild(
    shelf: Shelf,
    intake: Intake,
    *,
    peers: Peers,
    retained: AsyncIterator[Change],
    progress: Progress = lambda _done, _of: None,
) -> int:
    """Rebuild the index and switch to it; returns how many events it lists.

    :raises DomainError: when the catalog does not answer; the index in use stays.
    """
    async with intake.lock:
        fresh = await asyncio.to_thread(shelf.begin_next)
    try:
        await asyncio.to_thread(_keep_sales, shelf.engine, fresh)
        async for batch in _batches(retained):
            await _into(intake, fresh, batch)
        listed = await _walk(peers, intake, fresh, progress)
        async with intake.lock:
            await asyncio.to_thread(shelf.switch)
        await intake.changed()
    finally:
        await asyncio.to_thread(shelf.forget_next)
    _log.info("index.rebuilt", events=listed)
    return listed


def _keep_sales(old: SearchEngine, fresh: SearchEngine) -> None:
    """Carry over how events sell; listings are asked for anew."""
    for entries in old.everything(BATCH):
        sold = [
            Entry(event_id=entry.event_id, sale=entry.sale, sale_version=entry.sale_version)
            for entry in entries
            if entry.sale is not None
        ]
        known = fresh.entries([entry.event_id for entry in sold])
        fresh.put([entry for entry in sold if entry.event_id not in known])


async def _walk(peers: Peers, intake: Intake, fresh: SearchEngine, progress: Progress) -> int:
    total = -1
    for _ in range(WALKS):
        began_with, total, page_no, done = total, 0, 0, 0
        batch: list[ListingChange] = []
        while True:
            page = await get_events(peers, page_no=page_no)
            batch += [listing_change(event.fact(), version=event.version) for event in page.events]
            total, done, page_no = page.total_element, done + len(page.events), page_no + 1
            if len(batch) >= BATCH or page.is_last or not page.events:
                await _into(intake, fresh, batch)
                batch = []
                progress(done, total)
            if page.is_last or not page.events:
                break
        if total in {began_with, done}:
            break
    return total


async def _into(intake: Intake, fresh: SearchEngine, changes: Sequence[Change]) -> None:
    async with intake.lock:
        await asyncio.to_thread(apply, fresh, changes)


async def _batches(changes: AsyncIterator[Change]) -> AsyncIterator[list[Change]]:
    batch: list[Change] = []
    async for change in changes:
        batch.append(change)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
