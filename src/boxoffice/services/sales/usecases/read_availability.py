"""Show the state of a whole house: one small answer, shared by all readers of a process, at most 100 ms old.

A hundred thousand people looking cost the database ten short queries a second and event. What is shown is a picture;
only the hold itself decides (invariant I12: never a "yes" from here).
"""

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from boxoffice.kernel.ids import EventId
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.availability import ASCII_TO_CODE, FREE, HELD, SOLD, pack, spread
from boxoffice.services.sales.domain.refusals import EventNotFoundError
from boxoffice.services.sales.store import areas, seats, terms
from boxoffice.services.sales.store.areas import AreaCounts
from boxoffice.services.sales.store.terms import EventTerms

FRESH_S = 0.1
"""A picture of the house is shared for this long; a buyer cannot tell."""
MOST_HOUSES = 1_000
"""Houses kept in memory: some 15 kB each for a hall of 2,000, 250 kB for a stadium; the least recently seen goes."""
TAG_CHARS = 22
"""Of a SHA-256 in base64: 132 bits."""


class AreaView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """General admission: how many of an area's places are in which state; they are not told apart."""

    name: str
    capacity: int
    free: int
    held: int
    sold: int
    blocked: int


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
    areas: tuple[AreaView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One picture: the answer's bytes and its entity tag. Two pictures with the same tag show the same states."""

    event: EventTerms
    tag: str
    body: bytes
    taken_at: float
    version: int


class Houses:
    """The pictures of one process. Readers who come while one is being taken wait for that one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._houses: OrderedDict[EventId, House] = OrderedDict()
        self._places: OrderedDict[EventId, list[int]] = OrderedDict()
        self._taking: dict[EventId, asyncio.Task[House]] = {}

    async def look(self, event_id: EventId) -> House:
        """Show an event's house.

        :raises EventNotFoundError: when the event is not known.
        """
        house = self._houses.get(event_id)
        if house is not None and time.monotonic() - house.taken_at < FRESH_S:
            return house
        task = self._taking.get(event_id)
        if task is None:
            task = asyncio.create_task(self._take(event_id, house), name=f"house-{event_id}")
            self._taking[event_id] = task
            task.add_done_callback(lambda _: self._taking.pop(event_id, None))
        return await asyncio.shield(task)  # a reader who goes away must not take the picture from the others

    async def _take(self, event_id: EventId, before: House | None) -> House:
        taken_at = time.monotonic()
        event = await terms.of_event(self._database, event_id)
        if event is None:
            raise EventNotFoundError("There is no such event.", eventId=event_id)
        places = await self._places_of(event_id)
        text, now_ms = await seats.codes(self._database, event_id)
        if len(text) != len(places):  # put on sale between the two reads
            self._places.pop(event_id, None)
            places = await self._places_of(event_id)
        codes = text.encode().translate(ASCII_TO_CODE)
        packed = pack(spread(codes, places))
        admission = () if places else tuple(map(_area, await areas.counts(self._database, event_id)))
        shown = packed + msgspec.json.encode(admission)
        tag = base64.urlsafe_b64encode(hashlib.sha256(shown).digest()).decode()[:TAG_CHARS]
        if before is not None and before.tag == tag:
            house = House(event=event, tag=tag, body=before.body, taken_at=taken_at, version=before.version)
        else:
            view = _view(event_id, codes, packed, places, admission, now_ms)
            body = msgspec.json.encode(view)
            house = House(event=event, tag=tag, body=body, taken_at=taken_at, version=now_ms)
        self._houses[event_id] = house
        self._houses.move_to_end(event_id)
        while len(self._houses) > MOST_HOUSES:
            self._houses.popitem(last=False)
        return house

    async def _places_of(self, event_id: EventId) -> list[int]:
        known = self._places.get(event_id)
        if known is None:
            known = await seats.places(self._database, event_id)
            if known:  # event seats are created once; after that their places never change
                self._places[event_id] = known
                while len(self._places) > MOST_HOUSES:
                    self._places.popitem(last=False)
        return known


def _area(counted: AreaCounts) -> AreaView:
    return AreaView(
        name=counted.area, capacity=counted.capacity, free=counted.free, held=counted.held, sold=counted.sold,
        blocked=counted.blocked,
    )  # fmt: skip


def _view(
    event_id: EventId, codes: bytes, packed: bytes, places: list[int], admission: tuple[AreaView, ...], now_ms: int
) -> HouseView:
    free, held, sold = codes.count(FREE), codes.count(HELD), codes.count(SOLD)
    return HouseView(
        event_id=event_id, version=now_ms, places=places[-1] + 1 if places else 0,
        states=base64.b64encode(packed).decode(), free=free + sum(area.free for area in admission),
        held=held + sum(area.held for area in admission), sold=sold + sum(area.sold for area in admission),
        blocked=len(codes) - free - held - sold + sum(area.blocked for area in admission), as_of=now_ms,
        areas=admission,
    )  # fmt: skip
