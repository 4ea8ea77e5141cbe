"""Draw a house once per seat map and keep the picture."""

import asyncio
import gzip
from collections import OrderedDict
from dataclasses import dataclass

from boxoffice.contracts import hall as seat_maps
from boxoffice.kernel import drawing
from boxoffice.kernel.plan import Seat
from boxoffice.services.storefront.domain import svg
from boxoffice.services.storefront.providers.answers import SeatMapAnswer
from boxoffice.services.storefront.providers.shop import Shop

MOST_PICTURES = 64
"""Some 30 kB each for a hall of 2,000 seats; the least recently asked for goes."""
COMPRESSION = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A drawn house: the SVG, compressed with gzip, and how many places it has."""

    zipped: bytes
    places: int
    credit: str


class Pictures:
    """The pictures of one process. Whoever comes while one is being drawn waits for that one."""

    def __init__(self) -> None:
        self._drawn: OrderedDict[int, Picture] = OrderedDict()
        self._drawing: dict[int, asyncio.Lock] = {}

    async def picture(self, shop: Shop, seat_map_id: int) -> Picture:
        """Give a seat map's picture, drawn now if need be.

        :raises ApiRefusalError: when there is no such seat map.
        """
        lock = self._drawing.setdefault(seat_map_id, asyncio.Lock())
        try:
            async with lock:
                if seat_map_id not in self._drawn:
                    answer = await shop.seat_map(seat_map_id)
                    # A tenth of a second of work: beside the event loop, not in it.
                    self._drawn[seat_map_id] = await asyncio.to_thread(paint, answer)
                self._drawn.move_to_end(seat_map_id)
                found = self._drawn[seat_map_id]
        finally:
            if not lock.locked():
                self._drawing.pop(seat_map_id, None)
        while len(self._drawn) > MOST_PICTURES:
            self._drawn.popitem(last=False)
        return found


def paint(answer: SeatMapAnswer) -> Picture:
    """Draw a seat map.

    :raises BadHallError: when the map cannot be read.
    """
    seats = [
        Seat(place=seat.place, section=seat.section, row=seat.row, number=seat.number, block=seat.block, mark=seat.mark)
        for seat in seat_maps.seats(answer.hall)
    ]
    text = svg.render(drawing.draw(seats, stage=answer.hall.stage), title=answer.hall.name)
    zipped = gzip.compress(text.encode(), COMPRESSION, mtime=0)
    return Picture(zipped=zipped, places=len(seats), credit=answer.hall.credit)
