"""Show an event with its house: the event itself, the price levels of its places, and what is free now."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from boxoffice.kernel.ids import SeatId, place_of
from boxoffice.services.storefront.domain.house import EventSeat, House, arrange, free_by_level, unpack, with_opened
from boxoffice.services.storefront.providers.answers import Availability, EventAnswer, Ticket
from boxoffice.services.storefront.providers.shop import ApiRefusalError, Shop

FRESH_S = 30.0
"""Prices hardly change once tickets are made, and the hold tells the true one; what is free is never kept."""
MOST_HOUSES = 200
"""About 1 MB each for a hall of 2,000 seats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An event and its house; ``states`` has two bits' value for each place, ``free`` counts by price level.

    ``opened`` are the places that are free for this visitor alone, by an access code; ``states`` shows them so.
    """

    event: EventAnswer
    house: House
    availability: Availability
    states: list[int]
    free: list[int]
    opened: tuple[int, ...] = ()

    @property
    def free_places(self) -> int:
        """How many places are free for this visitor."""
        return self.availability.free + len(self.opened)

    @property
    def has_seats(self) -> bool:
        """Whether people choose seats from a plan."""
        return self.event.seat_map_id is not None

    @property
    def has_areas(self) -> bool:
        """Whether there is general admission: alone, or beside seats."""
        return self.house.has_areas

    @property
    def is_open(self) -> bool:
        """Whether anything can be bought now."""
        return self.event.on_sale and self.free_places > 0


class Houses:
    """The price levels of events, kept for seconds, shared by all visitors of a process."""

    def __init__(self) -> None:
        self._houses: OrderedDict[int, tuple[float, House]] = OrderedDict()

    async def house(self, shop: Shop, event: EventAnswer) -> House:
        """Give an event's house; a draft's, which is for its organisers only, is not kept."""
        kept = self._houses.get(event.id)
        if kept and time.monotonic() - kept[0] < FRESH_S:
            return kept[1]
        listed, types = await asyncio.gather(_tickets(shop, event.id), _types(shop, event.id))
        house = arrange(map(_seat, listed), types)
        if event.status == "published" and house.levels:
            self._houses[event.id] = (time.monotonic(), house)
            self._houses.move_to_end(event.id)
            while len(self._houses) > MOST_HOUSES:
                self._houses.popitem(last=False)
        return house


async def show_event(shop: Shop, houses: Houses, event_id: int, *, opened: Sequence[int] = ()) -> Shown:
    """Read an event, its price levels and what is free now; ``opened``: the seats that an access code opens, by id.

    :raises ApiRefusalError: when there is no such event.
    """
    event, availability = await asyncio.gather(shop.event(event_id), _availability(shop, event_id))
    house = await houses.house(shop, event)
    public = unpack(availability.bits, availability.places)
    places = [place_of(SeatId(seat)) for seat in opened]
    states = with_opened(public, places)
    in_areas = {area.name: area.free for area in availability.areas}
    return Shown(
        event=event, house=house, availability=availability, states=states,
        free=free_by_level(house, states, in_areas),
        opened=tuple(place for place in places if place < len(states) and states[place] != public[place]),
    )  # fmt: skip


async def _availability(shop: Shop, event_id: int) -> Availability:
    """Read what is free; an event whose tickets are not made yet has nothing to sell."""
    try:
        return await shop.availability(event_id)
    except ApiRefusalError as refusal:
        if refusal.is_not_found:
            return Availability()
        raise


async def _tickets(shop: Shop, event_id: int) -> list[Ticket]:
    try:
        return await shop.tickets(event_id)
    except ApiRefusalError as refusal:
        if refusal.is_not_found:
            return []
        raise


async def _types(shop: Shop, event_id: int) -> dict[str, tuple[tuple[str, str], ...]]:
    try:
        found = await shop.ticket_types(event_id)
    except ApiRefusalError as refusal:
        if refusal.is_not_found:
            return {}
        raise
    return {level.price_level: tuple((one.name, one.price) for one in level.ticket_types) for level in found}


def _seat(ticket: Ticket) -> EventSeat:
    return EventSeat(
        place=place_of(SeatId(ticket.ticket_id)), section=ticket.section or "", row=ticket.row or "",
        number=ticket.number or "", price=ticket.price, currency=ticket.currency,
        price_level=ticket.price_level or "", mark=ticket.mark, notice=ticket.notice,
    )  # fmt: skip
