"""Follow a house live: every change goes to everybody who watches, encoded once; who is too slow gets a snapshot later.

Nothing is queued for a client: it has at most one frame buffer (the server's high-water mark) and one task that catches
up from the version it has, so a client that takes nothing costs no more than one that takes everything.
"""

import asyncio
import base64
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property
from typing import Final, Protocol

import msgspec

from boxoffice.contracts.http.live import LiveArea, LiveCurrent, LiveDelta, LiveSnapshot
from boxoffice.runtime.frames import Wire, text_frame
from boxoffice.runtime.telemetry import LIVE_LATE, LIVE_SECONDS
from boxoffice.services.sales.domain.picture import Area, Delta, Picture
from boxoffice.services.sales.store.shared_houses import SharedHouse

AT_ONCE: Final = 500
"""Clients that are told before others get their turn on the loop: some 3 ms."""
STALLED_S: Final = 30.0
"""A client that takes nothing for so long is cut off; it comes back by itself, or is gone."""

Send = Callable[[bytes], Awaitable[None]]
"""Sends one text; waits while the client's buffer is full."""


class Update:
    """One step of a house, from ``since`` to ``version``, written once for everybody; a snapshot fits any version."""

    def __init__(self, house: SharedHouse, picture: Picture, change: Delta | None) -> None:
        self.version = picture.version
        self.since = None if change is None else change.since
        self._house, self._picture, self._change = house, picture, change

    @cached_property
    def text(self) -> bytes:
        """The message."""
        if self._change is None:
            return snapshot_text(self._house, self._picture)
        return delta_text(self._house, self._change)

    @cached_property
    def frame(self) -> bytes:
        """The message as a frame."""
        return text_frame(self.text)


class Source(Protocol):
    """What a watcher follows: the house as it is, and how to get there from a version."""

    @property
    def version(self) -> int:
        """The version that it has now."""

    def text_since(self, version: int | None, hash_: str | None = None) -> bytes:
        """Write what a client at that version needs to be current."""


class Watcher:
    """One client. ``version`` is what it was last sent; none before the first message."""

    __slots__ = ("_hide", "_send", "_source", "_task", "_wire", "version")

    def __init__(
        self, source: Source, send: Send, wire: Wire | None, *, hide: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._source = source
        self._hide = hide
        self._send = send
        self._wire = wire
        self._task: asyncio.Task[None] | None = None
        self.version: int | None = None

    async def begin(self, version: int | None, hash_: str | None) -> None:
        """Send what a client that has ``version`` needs to be current; from then on it is told every step."""
        self.version = None
        text, now = self._source.text_since(version, hash_), self._source.version
        await self._send(text)
        self.version = now
        if now != self._source.version:
            self._begin_catching_up()

    def tell(self, update: Update) -> None:
        """Pass a step on, or have the client catch up when it can."""
        if self._task is not None or self.version is None or self.version >= update.version:
            return
        wire = self._wire
        if wire is not None and wire.is_free and update.since in {None, self.version}:
            wire.write(update.frame)
            self.version = update.version
            return
        if wire is not None:
            LIVE_LATE.labels("caught_up").inc()
        self._begin_catching_up()

    def _begin_catching_up(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._catch_up(), name="live-catch-up")
            self._task.add_done_callback(self._caught_up)

    async def _catch_up(self) -> None:
        """Send what is missing, as often as more came while it was sent."""
        while self.version != self._source.version:
            text = self._source.text_since(self.version)
            version = self._source.version
            try:
                async with asyncio.timeout(STALLED_S):
                    await self._send(text)
            except TimeoutError:
                LIVE_LATE.labels("cut_off").inc()
                if self._wire is not None:
                    self._wire.cut()
                return
            except OSError:
                return  # it is gone; whoever receives from it is told
            self.version = version

    def _caught_up(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # seen; the connection's own task ends with the same

    def hide(self) -> None:
        """Say goodbye to a client that may not see the house any more."""
        if self._hide is not None and self.version is not None:
            self.version = None
            self.close()
            self._task = asyncio.create_task(self._say_goodbye(self._hide), name="live-goodbye")
            self._task.add_done_callback(self._caught_up)

    @staticmethod
    async def _say_goodbye(hide: Callable[[], Awaitable[None]]) -> None:
        with suppress(OSError):
            await hide()

    def close(self) -> None:
        """Stop catching up."""
        if self._task is not None:
            self._task.cancel()


class Audience:
    """Everybody who watches one house in this process."""

    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self._updates: deque[Update] = deque()
        self._task: asyncio.Task[None] | None = None

    def tell(self, update: Update) -> None:
        """Pass a step on to everybody, in the order of the steps."""
        if not self.watchers:
            return
        self._updates.append(update)
        if self._task is None:
            self._task = asyncio.create_task(self._tell(), name="live-broadcast")

    def hide(self) -> None:
        """Say goodbye to everybody who may see public houses only."""
        for watcher in tuple(self.watchers):
            watcher.hide()

    async def _tell(self) -> None:
        try:
            while self._updates:
                update = self._updates.popleft()
                began = time.perf_counter()
                for number, watcher in enumerate(tuple(self.watchers), 1):
                    watcher.tell(update)
                    if number % AT_ONCE == 0:
                        await asyncio.sleep(0)
                LIVE_SECONDS.observe(time.perf_counter() - began)
        finally:
            self._task = None

    def close(self) -> None:
        """Tell nobody any more."""
        if self._task is not None:
            self._task.cancel()
        for watcher in self.watchers:
            watcher.close()


def snapshot_text(house: SharedHouse, picture: Picture) -> bytes:
    """Write a whole house."""
    return msgspec.json.encode(
        LiveSnapshot(
            event_id=house.event_id, version=picture.version, as_of=house.as_of, places=picture.places,
            states=base64.b64encode(picture.packed).decode(), hash=picture.hash, free=house.free, held=house.held,
            sold=house.sold, blocked=house.blocked, areas=area_views(picture.areas),
        )
    )  # fmt: skip


def delta_text(house: SharedHouse, change: Delta) -> bytes:
    """Write a delta that ends at the version of ``house``."""
    return msgspec.json.encode(
        LiveDelta(
            since=change.since, version=change.version, changes=change.changes, hash=change.hash, free=house.free,
            held=house.held, sold=house.sold, blocked=house.blocked,
            areas=None if change.areas is None else area_views(change.areas),
        )
    )  # fmt: skip


def area_views(areas: tuple[Area, ...]) -> tuple[LiveArea, ...]:
    """Show areas on the API."""
    return tuple(
        LiveArea(
            name=area.name, capacity=area.capacity, free=area.free, held=area.held, sold=area.sold, blocked=area.blocked
        )
        for area in areas
    )  # fmt: skip


def current_text(picture: Picture) -> bytes:
    """Tell a client that it missed nothing."""
    return msgspec.json.encode(LiveCurrent(version=picture.version, hash=picture.hash))
