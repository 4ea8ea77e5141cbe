"""The steps of a history, and how Hypothesis makes them. Orders and earlier requests are meant by number, whatever there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st
from tests.histories.house import CLUB, CUSTOMERS, FAR, FIELD, HALL, NEAR, PRICES

from boxoffice.kernel.ids import EventId

MOST_TOGETHER = 16


@dataclass(frozen=True)
class Ask:
    """A hold that is wished for: these places, or a quantity. ``key``: whether it comes with an idempotency key."""

    customer: int
    event: EventId
    places: tuple[int, ...] | None = None
    quantity: int | None = None
    level: str | None = None
    together: bool = False
    key: bool = False


@dataclass(frozen=True)
class Again:
    """An earlier request with a key (number ``which``, counted back) once more.

    ``changed``: its body is another one; ``elsewhere``: it is quite another request, for a seat of the club.
    """

    which: int
    changed: bool = False
    elsewhere: bool = False


@dataclass(frozen=True)
class Together:
    """Requests that arrive at the same moment."""

    asks: Sequence[Ask | Again]


@dataclass(frozen=True)
class Release:
    """An order is given back by its owner."""

    order: int


@dataclass(frozen=True)
class Extend:
    """An order's hold is made longer."""

    order: int


@dataclass(frozen=True)
class Pay:
    """The payment of an order is started."""

    order: int


@dataclass(frozen=True)
class Confirm:
    """Payments are captured, and their orders confirmed at the same moment."""

    orders: list[int]


@dataclass(frozen=True)
class Cancel:
    """Tickets of an order are cancelled: all of them, or some by their number."""

    order: int
    tickets: tuple[int, ...] | None


@dataclass(frozen=True)
class Pass:
    """Time passes; ``swept``: the sweeper comes afterwards."""

    seconds: int
    swept: bool


@dataclass(frozen=True)
class Halt:
    """The sale of an event is halted, or goes on."""

    event: EventId
    on: bool


Step: TypeAlias = Together | Release | Extend | Pay | Confirm | Cancel | Pass | Halt
History: TypeAlias = list[list[Step]]


@dataclass(frozen=True)
class Rules:
    """What an event of this history keeps to."""

    limit: int
    no_orphans: bool


@st.composite
def _runs(draw: st.DrawFn, event: EventId) -> tuple[int, ...]:
    """Places side by side, mostly; now and then one that does not exist."""
    size = len(PRICES[event])
    first = draw(st.integers(0, size - 1))
    places = list(range(first, min(size, first + draw(st.integers(1, 4)))))
    if draw(st.integers(0, 7)) == 7:
        places.append(draw(st.integers(0, size)))
    return tuple(sorted(set(places)))


_customers = st.integers(0, len(CUSTOMERS) - 1)
_chosen = st.sampled_from([HALL, HALL, HALL, CLUB]).flatmap(
    lambda event: st.builds(Ask, customer=_customers, event=st.just(event), places=_runs(event), key=st.booleans())
)
_places = st.builds(
    Ask, customer=_customers, event=st.just(FIELD), quantity=st.integers(1, 4),
    level=st.sampled_from(["Floor", "Floor", "Gallery", None]), key=st.booleans(),
)  # fmt: skip
_best = st.builds(
    Ask, customer=_customers, event=st.sampled_from([HALL, HALL, CLUB]), quantity=st.integers(1, 4),
    level=st.sampled_from([NEAR, FAR, None, None]), together=st.booleans(), key=st.booleans(),
)  # fmt: skip
_again = st.one_of(
    st.builds(Again, which=st.integers(0, 5), changed=st.sampled_from([False, False, True])),
    st.builds(Again, which=st.integers(0, 5), changed=st.just(True), elsewhere=st.just(True)),
)
_order = st.integers(0, 9)


def _crowds(*asks: st.SearchStrategy[Ask | Again]) -> st.SearchStrategy[Step]:
    return st.builds(Together, st.lists(st.one_of(*asks), min_size=1, max_size=MOST_TOGETHER))


_rush = st.builds(
    lambda place, asked: Together([Ask(who, HALL, tuple(range(place, min(16, place + size)))) for who, size in asked]),
    st.integers(0, 15), st.lists(st.tuples(_customers, st.integers(1, 4)), min_size=4, max_size=MOST_TOGETHER),
)  # fmt: skip
"""All want one seat, and some of them more than they may have."""
_seats, _everything = _crowds(_chosen, _chosen, _chosen, _again), _crowds(_chosen, _places, _best, _again)
_holds = st.one_of(_seats, _seats, _rush, _crowds(_places, _places, _again), _crowds(_best, _best, _again), _everything)
_afterwards: list[st.SearchStrategy[Step]] = [
    st.builds(Release, _order),
    st.builds(Extend, _order),
    st.builds(Pay, _order),
    st.builds(Pay, st.just(0)),
    st.builds(Confirm, st.lists(_order, min_size=1, max_size=6)),
    st.builds(Cancel, _order, st.one_of(st.none(), st.tuples(st.integers(0, 3)), st.tuples(_order, _order))),
    st.builds(Pass, st.sampled_from([100, 200, 300, 600]), st.booleans()),
    st.builds(Halt, st.sampled_from([HALL, CLUB, FIELD]), st.sampled_from([True, False, False])),
]


def _hoarding(ask: Ask, times: int) -> list[Step]:
    """Somebody holds and lets go, again and again."""
    return [Together([ask]), Pass(600, swept=True)] * times


def _buying(holds: Step, *, last: bool) -> list[Step]:
    """The orders of some holds are paid and confirmed together; one ticket goes back."""
    confirmed: list[Step] = [holds, Pay(0), Pay(1), Pay(2), Confirm([0, 1, 2])]
    return [*confirmed, Cancel(0, (0,))] if last else confirmed


def _coming_late(first: Step, second: Step) -> list[Step]:
    """Holds run out, and others want the seats before anybody has tidied up."""
    return [first, Pass(600, swept=False), second]


def _histories(holds: st.SearchStrategy[Step], one: st.SearchStrategy[Ask]) -> st.SearchStrategy[History]:
    """Lists of lists: long on average, and quickly made shorter."""
    steps = st.lists(st.one_of(holds, holds, *_afterwards), max_size=8)
    parts = st.one_of(
        steps,
        steps,
        steps,
        st.builds(_buying, holds, last=st.booleans()),
        st.builds(_hoarding, one, st.integers(3, 6)),
        st.builds(_coming_late, holds, holds),
    )
    return st.lists(parts, max_size=7)


everything = _histories(_holds, _chosen)
seats = _histories(st.one_of(_seats, _rush), _chosen)
places = _histories(_crowds(_places, _places, _again), _places)
best = _histories(_crowds(_best, _best, _again), _best)
rules = st.builds(Rules, limit=st.sampled_from([2, 2, 4, 6]), no_orphans=st.booleans())
