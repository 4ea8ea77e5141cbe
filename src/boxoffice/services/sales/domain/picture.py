"""A picture of a whole house: states by place, a version that only grows, and how to get from one picture to the next.

A client that applies a delta to the picture it is made for has exactly the next one; the hash in it tells whether.
"""

import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from boxoffice.services.sales.domain.availability import HELD, SOLD, pack, unpack

CHUNK = 64
"""Bytes that are compared at once: 256 places."""
KEPT_DELTAS = 256
"""Some 25 seconds of a house that changes as often as it may: longer than a phone takes to change its network."""
PLACES_PER_CHANGE = 24
"""A change takes 9 bytes of a delta, a place a third of one of a snapshot: beyond this a snapshot is shorter."""
FEW_CHANGES = 16
"""So few are a delta in any house."""

Changes = tuple[tuple[int, int], ...]
"""Places and their new states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """General admission: how many of an area's places are in which state; they are not told apart."""

    name: str
    capacity: int
    free: int
    held: int
    sold: int
    blocked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The states of a house at a version; ``packed`` has two bits a seat (``availability.py``)."""

    version: int
    places: int
    packed: bytes
    areas: tuple[Area, ...] = ()

    @property
    def hash(self) -> str:
        """CRC-32 of ``packed``, 8 hex digits: against loss and mistakes, not against malice."""
        return f"{zlib.crc32(self.packed):08x}"

    def taken(self, places: list[int]) -> list[int]:
        """Give those of some places that are held or sold here; a place that we know nothing of is not."""
        return [place for place in places if place < self.places and self._state(place) in {HELD, SOLD}]

    def _state(self, place: int) -> int:
        return self.packed[place >> 2] >> 2 * (place & 3) & 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """How to get from one version to a later one; ``areas`` are all of them, when any of them changed."""

    since: int
    since_hash: str
    version: int
    changes: Changes
    hash: str
    areas: tuple[Area, ...] | None = None


def delta(before: Picture, after: Picture) -> Delta | None:
    """Tell what changed between two pictures; none when a snapshot tells it in fewer bytes."""
    if before.places != after.places:
        return None
    most = max(FEW_CHANGES, after.places // PLACES_PER_CHANGE)
    changes = tuple(islice(_changed(before.packed, after.packed, after.places), most + 1))
    if len(changes) > most:
        return None
    return Delta(
        since=before.version, since_hash=before.hash, version=after.version, changes=changes, hash=after.hash,
        areas=None if after.areas == before.areas else after.areas,
    )  # fmt: skip


def apply(picture: Picture, change: Delta) -> Picture:
    """Make the next picture out of one and a delta, as a client does.

    :raises ValueError: when the delta is not for this picture, or the outcome is not what the server has.
    """
    if change.since != picture.version:
        raise ValueError(f"a delta from version {change.since} does not fit version {picture.version}")
    codes = bytearray(unpack(picture.packed, picture.places))
    for place, code in change.changes:
        codes[place] = code
    areas = picture.areas if change.areas is None else change.areas
    after = Picture(version=change.version, places=picture.places, packed=pack(bytes(codes)), areas=areas)
    if after.hash != change.hash:
        raise ValueError(f"version {change.version} should have the hash {change.hash} and has {after.hash}")
    return after


@dataclass(slots=True)
class Ring:
    """The last deltas of a house, each from the version before; bounded."""

    _deltas: deque[Delta] = field(default_factory=lambda: deque(maxlen=KEPT_DELTAS))

    def add(self, change: Delta | None) -> None:
        """Keep a delta; none (a snapshot was shorter) breaks the chain, so what was before it goes."""
        if change is None or (self._deltas and self._deltas[-1].version != change.since):
            self._deltas.clear()
        if change is not None:
            self._deltas.append(change)

    def since(self, version: int, hash_: str | None = None) -> Delta | None:
        """Merge what came after a version into one delta; none when it is not known any more, or nothing came.

        With ``hash_`` the version must have had that hash: processes that were alone may have used one version twice.
        """
        merged: dict[int, int] = {}
        first: Delta | None = None
        last: Delta | None = None
        areas: tuple[Area, ...] | None = None
        for change in self._deltas:
            if first is None and change.since == version and hash_ in {None, change.since_hash}:
                first = change
            if first is not None:
                merged.update(change.changes)
                areas = areas if change.areas is None else change.areas
                last = change
        if first is None or last is None:
            return None
        return Delta(
            since=version, since_hash=first.since_hash, version=last.version, changes=tuple(merged.items()),
            hash=last.hash, areas=areas,
        )  # fmt: skip


def _changed(before: bytes, after: bytes, places: int) -> Iterator[tuple[int, int]]:
    for start in range(0, len(after), CHUNK):
        if before[start : start + CHUNK] == after[start : start + CHUNK]:
            continue
        for at in range(start, min(start + CHUNK, len(after))):
            if before[at] != after[at]:
                for lane in range(4):
                    code = after[at] >> 2 * lane & 3
                    if code != before[at] >> 2 * lane & 3 and 4 * at + lane < places:
                        yield 4 * at + lane, code
