"""Write concerts that were read and placed: new ones in bulk, changed ones where nobody touched them since."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from boxoffice.runtime.database import Connection
from boxoffice.services.catalog.domain import concert as archive
from boxoffice.services.catalog.domain.concert import Concert
from boxoffice.services.catalog.domain.event import State, Terms
from boxoffice.services.catalog.domain.staging import LeftOut, Placed
from boxoffice.services.catalog.store import categories, events, venues
from boxoffice.services.catalog.store.events import BATCH, Imported
from boxoffice.services.catalog.usecases.describe_event import Defaults
from boxoffice.services.catalog.usecases.tell_event import CHANGED, PUBLISHED, tell_events

Progress = Callable[[int, int], None]
"""Told how many concerts are done, of how many."""


@dataclass(slots=True)
class Written:
    """The ids of events by what became of them, and what was left alone."""

    created: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


async def write_concerts(
    tx: Connection, placed: Sequence[Placed], *, organisation: UUID, defaults: Defaults, progress: Progress
) -> Written:
    """Write concerts and tell of each that is new or changed."""
    wrote = Written()
    category_ids = await categories.ensure(tx, sorted({one.concert.category for one in placed}))
    venue_ids = await _venues(tx, placed, organisation)
    for done in range(0, len(placed), BATCH):
        batch = [(one.source, _terms(one, category_ids, venue_ids, defaults)) for one in placed[done : done + BATCH]]
        await _write(tx, batch, organisation, wrote)
        progress(min(done + BATCH, len(placed)), len(placed))
    return wrote


async def _write(tx: Connection, batch: Sequence[tuple[str, Terms]], organisation: UUID, wrote: Written) -> None:
    known = await events.imported(tx, organisation, [source for source, _ in batch])
    new: list[dict[str, object]] = []
    different: list[dict[str, object]] = []
    for source, terms in batch:
        fingerprint = hashlib.sha256(msgspec.json.encode(terms)).digest()
        before = known.get(source)
        record = events.record_of(
            terms, organisation_id=organisation, status=State.PUBLISHED, source=source,
            source_fingerprint=f"\\x{fingerprint.hex()}",
        )  # fmt: skip
        if before is None:
            new.append(record)
        elif before.fingerprint == fingerprint:
            wrote.unchanged.append(before.id)
        elif _untouched(before):
            different.append({**record, "id": before.id})
        else:
            wrote.left_out.append(LeftOut(concert=source, reason="it was changed here since it was imported"))
    if new:
        wrote.created += [event.id for event in await tell_events(tx, await events.insert(tx, new), PUBLISHED)]
    if different:
        wrote.changed += [event.id for event in await tell_events(tx, await events.change(tx, different), CHANGED)]


def _untouched(before: Imported) -> bool:
    return before.as_imported and before.status is State.PUBLISHED


async def _venues(tx: Connection, placed: Sequence[Placed], organisation: UUID) -> dict[str, int]:
    """Find or make the venues of concerts that are not staged elsewhere."""
    wanted = {venue_source(one.concert): one.concert for one in placed if one.stage is None}
    known = await venues.ids_by_source(tx, organisation, list(wanted))
    missing = [
        {
            "name": concert.venue, "location": _location(concert), "time_zone": concert.place.time_zone,
            "city": concert.place.city, "region": concert.place.region, "country": concert.place.country,
            "source": source,
        }
        for source, concert in wanted.items()
        if source not in known
    ]  # fmt: skip
    return known | (await venues.insert_many(tx, organisation, msgspec.json.encode(missing).decode()))


def venue_source(concert: Concert) -> str:
    """Name a venue of the archive for ever."""
    return f"nyphil:{concert.venue}|{_location(concert)}"


def _location(concert: Concert) -> str:
    return ", ".join(_parts(concert))


def _parts(concert: Concert) -> Iterator[str]:
    place = concert.place
    yield place.city
    if place.region:
        yield place.region
    if place.country != place.city:
        yield place.country


def _terms(one: Placed, category_ids: Mapping[str, int], venue_ids: Mapping[str, int], defaults: Defaults) -> Terms:
    """Say what the event is. What happened long ago and elsewhere was never on sale here: its sale has no length."""
    history = one.stage is None and not one.shift_weeks
    return Terms(
        name=one.concert.name,
        description=one.concert.description,
        starts_at=one.starts_at,
        ends_at=one.starts_at + archive.LENGTH,
        on_sale_at=one.starts_at if history else None,
        off_sale_at=one.starts_at if history else None,
        venue_id=one.stage.venue_id if one.stage else venue_ids[venue_source(one.concert)],
        category_id=category_ids[one.concert.category.lower()],
        seat_map_id=one.stage.seat_map_id if one.stage else None,
        capacity=None,
        currency=defaults.currency,
        limit_per_customer=defaults.limit_per_customer,
        hold_minutes=defaults.hold_minutes,
        cancel_until_hours=defaults.cancel_until_hours,
        refund_percent=defaults.refund_percent,
        programme=one.concert.programme,
    )
