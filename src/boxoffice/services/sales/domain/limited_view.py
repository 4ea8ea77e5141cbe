"""Limited views: what a buyer is told of a place before paying, from the seat map or from the organiser's own list."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from boxoffice.services.sales.domain.prices import EventSeat
from boxoffice.services.sales.domain.refusals import BadPriceLevelsError

LIMITED_VIEW = "limited_view"
"""The mark of such a place in a seat map; its description there is the notice."""
USUAL_NOTICE = "Limited view"
MAX_NOTICE = 200
"""Characters: a line on the plan, the payment page and the ticket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedView:
    """Places of one section with a limited view for this event: all rows or those named, all numbers or those named."""

    section: str
    rows: frozenset[str] | None = None
    numbers: frozenset[str] | None = None
    notice: str = USUAL_NOTICE

    def covers(self, seat: EventSeat) -> bool:
        """Whether a place is meant."""
        return (
            seat.section == self.section
            and (self.rows is None or seat.row in self.rows)
            and (self.numbers is None or seat.number in self.numbers)
        )


def note_views(
    seats: Iterable[EventSeat], views: Sequence[LimitedView], *, usual: str | None = None
) -> list[EventSeat]:
    """Give places with a limited view their notice: of the first view that covers one, else (by the map) ``usual``.

    :raises BadPriceLevelsError: when a view covers no place.
    """
    noted: list[EventSeat] = []
    used: set[int] = set()
    for seat in seats:
        number = next((index for index, view in enumerate(views) if view.covers(seat)), None)
        if number is not None:
            used.add(number)
            noted.append(replace(seat, notice=views[number].notice, mark=seat.mark or LIMITED_VIEW))
        elif seat.mark == LIMITED_VIEW and seat.notice is None:
            noted.append(replace(seat, notice=(usual or USUAL_NOTICE)[:MAX_NOTICE]))
        else:
            noted.append(seat)
    idle = [view.section for number, view in enumerate(views) if number not in used]
    if idle:
        raise BadPriceLevelsError(f"Limited views of places that are not there, in: {', '.join(idle)}.", sections=idle)
    return noted
