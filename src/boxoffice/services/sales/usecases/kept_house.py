"""One house as a process keeps it: its last picture, how good that still is, its last changes, and who watches."""

import asyncio
import base64
from collections.abc import Collection
from typing import Any

import msgspec

from boxoffice.contracts.http.live import LiveArea
from boxoffice.kernel.ids import EventId, OrganisationId
from boxoffice.services.sales.domain.picture import Picture, Ring, delta
from boxoffice.services.sales.store.shared_houses import SharedHouse
from boxoffice.services.sales.usecases.watch_house import (
    Audience,
    Update,
    area_views,
    current_text,
    delta_text,
    snapshot_text,
)

PUBLIC = frozenset({"published", "cancelled"})
LONG_AGO = float("-inf")


class HouseView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer. ``states`` is base64 of two bits a seat (``domain/availability.py``); ``as_of`` is in ms.

    Places of general admission are counted in ``areas``, and in the sums.
    """

    event_id: int
    version: int
    places: int
    states: str
    free: int
    held: int
    sold: int
    blocked: int
    as_of: int
    areas: tuple[LiveArea, ...] = ()


class KeptHouse:
    """All instants are of the process's monotonic clock, in seconds."""

    def __init__(self, event_id: EventId) -> None:
        self.event_id = event_id
        self.house: SharedHouse | None = None
        self.picture: Picture | None = None
        self.body = b""
        """The picture as the API shows it."""
        self.written: Any = None
        """What the API made of the picture; it goes when the picture does."""
        self.tag = ""
        """Two pictures with the same tag show the same states."""
        self.is_shared = False
        """Whether the picture came over Valkey, so that every process has it."""
        self.read_at = LONG_AGO
        """Before the reading of the picture began: every change before it is shown."""
        self.good_until = LONG_AGO
        """Until when readers get the picture as it is."""
        self.due = LONG_AGO
        """When it should be read again without a notice."""
        self.touched_at = LONG_AGO
        self.wanted_at = LONG_AGO
        self.not_before = LONG_AGO
        """When a reading may be tried again, after one failed."""
        self.alarm: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.shown = asyncio.Event()
        self.audience = Audience()
        self._ring = Ring()

    @property
    def version(self) -> int:
        """The version of the picture; 0 before there is one."""
        return 0 if self.picture is None else self.picture.version

    @property
    def hash(self) -> str:
        """The hash of the picture's states."""
        return "" if self.picture is None else self.picture.hash

    @property
    def is_touched(self) -> bool:
        """Whether something changed that the picture may not show."""
        return self.touched_at >= self.read_at

    @property
    def is_public(self) -> bool:
        """Whether anybody may see the house."""
        return self.house is not None and self.house.status in PUBLIC

    def is_visible_to(self, organisations: Collection[OrganisationId]) -> bool:
        """Whether the members of these organisations may see the house."""
        return self.is_public or (self.house is not None and self.house.organisation_id in organisations)

    def contradicts(self, found: SharedHouse, read_at: float) -> bool:
        """Whether a newer picture has a version that we have shown something else under, or a lower one."""
        if self.house is None or read_at < self.read_at:
            return False
        same_version = found.version == self.house.version
        return found.version < self.house.version or (same_version and not found.shows(self.house))

    def show(self, found: SharedHouse, *, read_at: float, due: float, good_for: float, is_shared: bool) -> None:
        """Take a picture that is not older than the one there is; tell those who watch what changed."""
        before = self.picture
        self.house = found
        self.is_shared = is_shared
        self.read_at = read_at
        self.due = due
        self.good_until = due + good_for if self.is_public else LONG_AGO
        self.shown.set()
        self.written = None
        if not self.is_public:
            self.audience.hide()
        if before is not None and before.version == found.version:
            return
        self.picture = after = found.picture
        self.tag = f"{after.version:x}-{after.hash}"
        self.body = msgspec.json.encode(
            HouseView(
                event_id=found.event_id, version=found.version, places=found.places,
                states=base64.b64encode(found.packed).decode(), free=found.free, held=found.held, sold=found.sold,
                blocked=found.blocked, as_of=found.as_of, areas=area_views(found.areas),
            )
        )  # fmt: skip
        change = None if before is None else delta(before, after)
        self._ring.add(change)
        self.audience.tell(Update(found, after, change))

    def text_since(self, version: int | None, hash_: str | None = None) -> bytes:
        """Write what a client needs that has a version with a hash: nothing new, what changed, or everything."""
        assert self.house is not None
        assert self.picture is not None
        if version == self.version:
            # The hash is of the seats: areas, a handful of numbers, are sent again.
            is_same = hash_ in {None, self.hash} and not self.house.areas
            return current_text(self.picture) if is_same else snapshot_text(self.house, self.picture)
        change = None if version is None else self._ring.since(version, hash_)
        if change is None:
            return snapshot_text(self.house, self.picture)
        return delta_text(self.house, change)

    def hush(self) -> None:
        """Take the alarm back."""
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None

    def close(self) -> None:
        """Stop everything that was begun for this house."""
        self.hush()
        self.audience.close()
        if self.task is not None:
            self.task.cancel()
