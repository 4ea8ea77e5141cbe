"""Keep pictures of the houses that somebody looks at, at most as old as they may be, read once for all processes.

A house is read again when something changed (an order, a block), when a hold ends by the clock, and slowly while it is
watched, in case a notice was lost; an event that nobody looks at costs nothing. Pictures are shared over Valkey; while
that is away each process reads for itself, less often. A picture may be old, and is never wrong about its own instant;
only the hold itself decides (invariant I12: never a "yes" from here).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import HOUSES, log
from boxoffice.services.sales.domain.availability import ASCII_TO_CODE, FREE, HELD, SOLD, pack, spread
from boxoffice.services.sales.domain.picture import Area
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import houses
from boxoffice.services.sales.store.areas import AreaCounts
from boxoffice.services.sales.store.houses import Reading
from boxoffice.services.sales.store.shared_houses import AWAY, Claim, SharedHouse, SharedHouses
from boxoffice.services.sales.usecases.kept_house import KeptHouse
from boxoffice.services.sales.usecases.watch_house import Watcher

FRESH_S: Final = 0.1
"""A house is read at most so often, by all processes together; a buyer cannot tell."""
SHARE: Final = 10
"""A big house takes longer to read: it is read for at most one part in so many of the time."""
CHECK_S: Final = 10.0
"""How soon a watched house is read again without a notice; a notice can be lost, a change cannot."""
ALONE_S: Final = 1.5
"""The same while Valkey is away: nobody tells us then, and every process reads."""
GRACE_S: Final = 0.25
"""A picture that should be replaced is still shown for so long while it is; nobody waits for the new one."""
WANTED_S: Final = 10.0
"""Somebody who looked is likely to look again: the house is kept up to date for so long."""
AGAIN_S: Final = 1.0
"""Pause before a reading that failed is tried again; as long the server is left alone after it failed."""
CLOCK_S: Final = 0.005
"""A hold that ends by the clock is looked at so much later."""
TRIES: Final = 5
"""How often a reader waits for another process's turn before it makes do with the picture there is."""
MOST_HOUSES: Final = 12_000
"""Houses kept in memory: some 5 kB each for a hall of 2,000 seats, 100 kB for a stadium; the least recently seen go."""

_log = log(__name__)


class Houses:
    """The pictures of one process; ``shared`` is none in a process that has no Valkey."""

    def __init__(self, database: Database, shared: SharedHouses | None = None) -> None:
        self._database = database
        self._shared = shared
        self._kept: OrderedDict[EventId, KeptHouse] = OrderedDict()
        self._places: OrderedDict[EventId, list[int]] = OrderedDict()
        self._hearing = False
        self._said_alone = False
        self._alone_until = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear what other processes tell while inside; on leaving every reading ends."""
        listener = asyncio.create_task(self._listen(self._shared), name="houses") if self._shared else None
        try:
            yield
        finally:
            tasks = [kept.task for kept in self._kept.values() if kept.task is not None]
            for kept in self._kept.values():
                kept.close()
            await end([*tasks, *([listener] if listener else [])])
            self._kept.clear()

    def glance(self, event_id: EventId) -> KeptHouse | None:
        """Give a house whose picture is good as it is; none: :meth:`look`."""
        kept = self._kept.get(event_id)
        if kept is None:
            return None
        now = time.monotonic()
        kept.wanted_at = now
        return kept if now < kept.good_until else None

    async def look(self, event_id: EventId) -> KeptHouse:
        """Give a house, read now if need be; readers who come meanwhile wait for the same reading.

        :raises EventNotFoundError: when the event is not known.
        """
        kept = self._keep(event_id)
        now = time.monotonic()
        kept.wanted_at = now
        if kept.house is None or (now >= kept.good_until and now - kept.read_at > FRESH_S):
            await asyncio.shield(self._begin(kept))  # a reader who goes away must not take it from the others
        if kept.house is None:
            raise EventNotFoundError("There is no such event.", eventId=event_id)
        return kept

    def recent(self, event_id: EventId, *, most_seconds: float, renew: bool) -> KeptHouse | None:
        """Give a house whose picture is shared and at most so old, if there is one now.

        ``renew``: it is worth a reading; it begins when half the time is over, and nobody waits for it.
        """
        kept = self._keep(event_id)
        now = time.monotonic()
        age = now - kept.read_at
        if renew and age > most_seconds / 2 and now >= kept.not_before and not self._alone(now):
            self._begin(kept)
        return kept if kept.house is not None and kept.is_shared and age <= most_seconds else None

    def watch(self, kept: KeptHouse, watcher: Watcher) -> None:
        """Keep a house up to date for a watcher, who is told every change, until :meth:`leave`."""
        kept.audience.watchers.add(watcher)
        self._plan(kept)

    @staticmethod
    def leave(kept: KeptHouse, watcher: Watcher) -> None:
        """Tell a watcher nothing any more."""
        kept.audience.watchers.discard(watcher)
        watcher.close()

    def touch(self, event_id: EventId) -> None:
        """Note that something about a house changed, here."""
        kept = self._kept.get(event_id)
        if kept is None:
            return
        now = time.monotonic()
        kept.touched_at = now
        wanted = self._is_wanted(kept, now)
        kept.good_until = min(kept.good_until, now + GRACE_S if wanted else 0)
        if wanted:
            self._plan(kept)

    async def tell(self, event_ids: Iterable[EventId]) -> None:
        """Note, for all processes, that these houses changed; while Valkey is away they find out by themselves."""
        found = set(event_ids)
        for event_id in found:
            self.touch(event_id)
        if self._shared is not None and not self._alone(time.monotonic()):
            try:
                await self._shared.touch(found)
            except AWAY as error:
                self._leave_alone(error)

    def _keep(self, event_id: EventId) -> KeptHouse:
        kept = self._kept.get(event_id)
        if kept is None:
            kept = self._kept[event_id] = KeptHouse(event_id)
            if len(self._kept) > MOST_HOUSES:
                self._make_room()
        else:
            self._kept.move_to_end(event_id)
        return kept

    def _make_room(self) -> None:
        """Forget the house that was not looked at for longest; one that is watched is not forgotten."""
        for event_id, kept in self._kept.items():
            if not kept.audience.watchers and kept.task is None:
                self._forget(event_id)
                return

    def _forget(self, event_id: EventId) -> None:
        kept = self._kept.pop(event_id, None)
        self._places.pop(event_id, None)
        if kept is not None:
            kept.close()

    def _alone(self, now: float) -> bool:
        return self._shared is None or not self._hearing or now < self._alone_until

    def _leave_alone(self, error: BaseException) -> None:
        if not self._said_alone:
            _log.warning("houses.alone", error=f"{type(error).__name__}: {error}")
        self._said_alone = True
        self._alone_until = time.monotonic() + AGAIN_S

    @staticmethod
    def _is_wanted(kept: KeptHouse, now: float) -> bool:
        return bool(kept.audience.watchers) or now - kept.wanted_at < WANTED_S

    def _plan(self, kept: KeptHouse) -> None:
        """Set the alarm for the next reading, if somebody wants one."""
        kept.hush()
        now = time.monotonic()
        if kept.task is not None or not self._is_wanted(kept, now):
            return
        due = kept.due
        if kept.is_touched:
            due = kept.read_at + (ALONE_S if self._alone(now) else FRESH_S)
        due = max(due, kept.not_before)
        kept.alarm = asyncio.get_running_loop().call_later(max(0.0, due - now), self._ring, kept)

    def _ring(self, kept: KeptHouse) -> None:
        kept.alarm = None
        if kept.task is None and self._is_wanted(kept, time.monotonic()):
            self._begin(kept)

    def _begin(self, kept: KeptHouse) -> "asyncio.Task[None]":
        if kept.task is None:
            kept.hush()
            kept.task = asyncio.create_task(self._renew(kept), name=f"house-{kept.event_id}")
            kept.task.add_done_callback(lambda task: self._done(kept, task))
        return kept.task

    def _done(self, kept: KeptHouse, task: "asyncio.Task[None]") -> None:
        kept.task = None
        if task.cancelled():
            return
        failed = task.exception()
        if failed is not None:  # who waited for it was told; nobody may have
            _log.warning("house.not_read", event_id=kept.event_id, error=f"{type(failed).__name__}: {failed}")
            kept.not_before = time.monotonic() + AGAIN_S
        elif kept.house is None:
            self._forget(kept.event_id)
            return
        self._plan(kept)

    async def _renew(self, kept: KeptHouse) -> None:
        """Read a house, or take what another process has read; with nobody to share with, read it for ourselves."""
        for _ in range(TRIES):
            shared = self._shared
            if shared is None or self._alone(time.monotonic()):
                break
            kept.shown.clear()
            try:
                claim = await shared.claim(kept.event_id)
                if claim.token is not None:
                    await self._read_for_all(kept, claim, claim.token, shared)
                    return
                if claim.known is not None:
                    self._take(kept, claim.known)
            except AWAY as error:
                self._leave_alone(error)
                break
            if not kept.shown.is_set():  # whose turn it is will tell; should it die, its turn ends
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(claim.wait_s, FRESH_S) + CLOCK_S):
                        await kept.shown.wait()
            if kept.house is not None and not kept.is_touched and time.monotonic() < kept.due:
                return
            await asyncio.sleep(CLOCK_S)
        if kept.house is None or self._alone(time.monotonic()):
            await self._read_alone(kept)

    async def _read_alone(self, kept: KeptHouse) -> None:
        began = time.monotonic()
        reading = await houses.read(self._database, kept.event_id)
        if reading is None:
            kept.house = None
            return
        HOUSES.labels("alone").inc()
        found = await self._house(kept, reading, known=None, read_us=0)
        if began < kept.read_at:  # another process told us meanwhile
            return
        kept.show(found, read_at=began, due=began + ALONE_S, good_for=GRACE_S, is_shared=False)

    async def _read_for_all(self, kept: KeptHouse, claim: Claim, token: str, shared: SharedHouses) -> None:
        began = time.monotonic()
        reading = await houses.read(self._database, kept.event_id)
        if reading is None:
            kept.house = None
            await shared.give_back(kept.event_id, token)
            return
        HOUSES.labels("shared").inc()
        found = await self._house(kept, reading, known=claim.known, read_us=claim.now_us)
        took = time.monotonic() - began
        rest = max(FRESH_S, SHARE * took)
        if await shared.tell(found, token=token, rest_ms=int(rest * 1000)):
            self._show(kept, found, began)
        else:
            HOUSES.labels("too_late").inc()

    def _take(self, kept: KeptHouse, found: SharedHouse) -> None:
        """Take another process's picture, unless ours is newer; one that contradicts ours is read again."""
        assert self._shared is not None
        read_at = self._shared.seconds(found.read_us)
        if kept.contradicts(found, read_at):
            kept.touched_at = time.monotonic()
        elif read_at >= kept.read_at or kept.house is None:
            HOUSES.labels("taken").inc()
            self._show(kept, found, read_at)

    def _show(self, kept: KeptHouse, found: SharedHouse, read_at: float) -> None:
        due = read_at + CHECK_S
        if found.changes_in is not None:
            due = min(due, read_at + found.changes_in / 1000 + CLOCK_S)
        kept.show(found, read_at=read_at, due=due, good_for=GRACE_S, is_shared=True)

    async def _house(
        self, kept: KeptHouse, reading: Reading, *, known: SharedHouse | None, read_us: int
    ) -> SharedHouse:
        """Make a picture of a reading; its version is that of the last one when no state has changed."""
        places = await self._places_of(kept.event_id, len(reading.codes))
        codes = reading.codes.encode().translate(ASCII_TO_CODE)
        free, held, sold = codes.count(FREE), codes.count(HELD), codes.count(SOLD)
        blocked, areas = len(codes) - free - held - sold, tuple(map(_area, reading.areas))
        found = SharedHouse(
            event_id=kept.event_id, version=reading.as_of, read_us=read_us, as_of=reading.as_of,
            changes_in=reading.changes_in, places=places[-1] + 1 if places else 0, packed=pack(spread(codes, places)),
            free=free + sum(area.free for area in areas), held=held + sum(area.held for area in areas),
            sold=sold + sum(area.sold for area in areas), blocked=blocked + sum(area.blocked for area in areas),
            status=reading.status, organisation_id=reading.organisation_id, areas=areas,
        )  # fmt: skip
        lasts = [house for house in (known, kept.house) if house is not None]
        if not lasts:
            return found
        newest = max(lasts, key=lambda house: house.version)
        # Processes that were alone may have shown two pictures under one version: then neither keeps it.
        if all(house.shows(found) for house in lasts if house.version == newest.version):
            return msgspec.structs.replace(found, version=newest.version, as_of=newest.as_of)
        return msgspec.structs.replace(found, version=max(newest.version + 1, found.version))

    async def _places_of(self, event_id: EventId, count: int) -> list[int]:
        known = self._places.get(event_id)
        if known is None or len(known) != count:  # put on sale since
            known = await houses.places(self._database, event_id)
            if known:  # event seats are created once; after that their places never change
                self._places[event_id] = known
                while len(self._places) > MOST_HOUSES:
                    self._places.popitem(last=False)
        return known

    async def _listen(self, shared: SharedHouses) -> None:
        while True:
            try:
                async for heard in shared.listen():
                    self._hear(heard)
            except AWAY as error:
                self._hearing = False
                self._leave_alone(error)
                for kept in self._kept.values():
                    kept.good_until = min(kept.good_until, time.monotonic() + GRACE_S)
                    kept.due = min(kept.due, kept.read_at + ALONE_S)
                    self._plan(kept)
            await asyncio.sleep(AGAIN_S)

    def _hear(self, heard: SharedHouse | list[EventId] | None) -> None:
        if heard is None:
            self._hearing = True
            self._said_alone = False
            self._alone_until = 0.0
            for event_id in list(self._kept):
                self.touch(event_id)
        elif isinstance(heard, list):
            for event_id in heard:
                self.touch(event_id)
        elif (kept := self._kept.get(EventId(heard.event_id))) is not None:
            self._take(kept, heard)
            self._plan(kept)


def _area(counted: AreaCounts) -> Area:
    return Area(
        name=counted.area, capacity=counted.capacity, free=counted.free, held=counted.held, sold=counted.sold,
        blocked=counted.blocked,
    )  # fmt: skip
