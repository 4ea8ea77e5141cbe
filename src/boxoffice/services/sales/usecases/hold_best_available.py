"""Hold the best available seats: choose and claim in one transaction, those who wait for the same event together.

The choice is made on what the transaction reads; the claim is the hold's own statement, which alone decides. Whoever
loses a seat to another process meanwhile chooses again on what is open then. Requests that come while some of the same
event are being decided gather and are decided in their order, each seeing the earlier ones' seats as taken.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId
from boxoffice.runtime.database import Connection, Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import current_trace
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.best_available import BestWish, Choice, choose
from boxoffice.services.sales.domain.refusals import NotEnoughSeatsError, SeatsTakenError, SingleSeatLeftError
from boxoffice.services.sales.domain.seating import Seating
from boxoffice.services.sales.store import holds, open_seats
from boxoffice.services.sales.usecases.place_hold import Wish, pause

MOST_CHOICES = 6
"""How often a request chooses anew because others were quicker; in a rush of several processes two or three do."""
MOST_TOGETHER = 64
"""Requests of one event in one transaction: some ten milliseconds."""
NO_AREA = ""
"""No area has this name: who wished for seats is not given a place without one."""
MOST_SEATS_KEPT = 400_000
"""Seats whose places one process remembers, over all events: about 200 bytes each."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One request in line."""

    wish: Wish
    call: IdempotentCall | None
    trace: str | None
    answer: "asyncio.Future[bytes]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def persons(self) -> tuple[object, ...]:
        """What a batch may hold once only: the customer, the key."""
        return (self.wish.user_id, self.call.key) if self.call else (self.wish.user_id,)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an event's seats are, and their ids in the order of places."""

    seating: Seating
    ids: Sequence[int]


@dataclass(slots=True)
class Moment:
    """A house at one moment of a transaction; choosing from it takes seats away."""

    placed: Placed
    bits: int
    no_orphans: bool

    def choose(self, wish: Wish) -> Choice | None:
        """Choose for one, and count the seats as taken for the next."""
        assert wish.quantity is not None
        best = BestWish(
            quantity=wish.quantity, price_level=wish.price_level, section=wish.section, together=wish.together
        )
        found = choose(self.placed.seating, self.bits, best, no_orphans=self.no_orphans)
        if found is not None:
            self.bits &= ~found.slots
        return found

    def ids(self, choice: Choice) -> list[SeatId]:
        """Give the ids of chosen seats, growing."""
        return [SeatId(self.placed.ids[seat]) for seat in choice.seats]


class Seatings:
    """Where the seats of the events are that were asked for last; it never changes once an event has seats."""

    def __init__(self) -> None:
        self._kept: OrderedDict[EventId, Placed] = OrderedDict()
        self._seats = 0

    async def now(self, tx: Connection, event_id: EventId, *, allocation_id: int | None) -> Moment:
        """Read how an event's house is at this moment."""
        placed = await self._placed(tx, event_id)
        found = await open_seats.read(tx, event_id, allocation_id=allocation_id)
        if len(found.seats) != len(placed.ids):  # its seats were made between the two
            self._forget(event_id)
            found = open_seats.OpenSeats(seats=b"0" * len(placed.ids), no_orphans=found.no_orphans)
        return Moment(placed, placed.seating.bits(found.seats), found.no_orphans)

    async def _placed(self, tx: Connection, event_id: EventId) -> Placed:
        if event_id in self._kept:
            self._kept.move_to_end(event_id)
            return self._kept[event_id]
        seats, ids = await open_seats.placed(tx, event_id)
        # Some 8 microseconds a seat: beside the event loop, not in it.
        placed = Placed(await asyncio.to_thread(Seating, seats), ids)
        if ids:
            self._forget(event_id)
            self._kept[event_id] = placed
            self._seats += len(ids)
        while self._seats > MOST_SEATS_KEPT and len(self._kept) > 1:
            self._forget(next(iter(self._kept)))
        return placed

    def _forget(self, event_id: EventId) -> None:
        if (placed := self._kept.pop(event_id, None)) is not None:
            self._seats -= len(placed.ids)


class _ChosenInVainError(Exception):
    """Seats were chosen for somebody who does not get them, and others of the batch chose around them."""


class BestDesk:
    """Takes the requests for best available seats of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seatings = Seatings()
        self._lines: dict[EventId, deque[Waiting]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait no longer for what is at the database."""
        await end(list(self._running))

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Hold the best seats there are; the same bytes for a repeat of the call.

        :raises NotEnoughSeatsError: when there are not that many as wished for, or others were quicker again and again.
        :raises DomainError: another refusal of ``store/holds.py``; nothing is held then.
        """
        wish.check()
        waiting = Waiting(wish, call, current_trace())
        line = self._lines.get(wish.event_id)
        if line is None:
            line = self._lines[wish.event_id] = deque()
            task = asyncio.create_task(self._serve(wish.event_id, line), name="best-available")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        line.append(waiting)
        return await waiting.answer

    async def _serve(self, event_id: EventId, line: deque[Waiting]) -> None:
        """Decide batch after batch while somebody waits for this event; what goes wrong is told to whoever waits."""
        batch: list[Waiting] = []
        deciding: asyncio.Task[None] | None = None
        try:
            while batch := _next_batch(line):
                deciding = asyncio.create_task(self._decide(batch), name="best-available batch")
                await asyncio.wait({deciding})
                if (error := deciding.exception()) is not None:
                    for waiting in batch:
                        _refuse(waiting, error)
        finally:
            del self._lines[event_id]
            if deciding is not None:
                deciding.cancel()
            for waiting in [*batch, *line]:
                _refuse(waiting, _closing())

    async def _decide(self, batch: list[Waiting]) -> None:
        for waiting in await self._together(batch) if len(batch) > 1 else batch:
            await self._alone(waiting)

    async def _together(self, batch: list[Waiting]) -> list[Waiting]:
        """Decide many in one transaction; gives those that are to be decided alone."""
        trying = batch
        try:
            for _ in range(MOST_CHOICES):
                if not (lost := await self._try(trying)):
                    break
                trying = [waiting for waiting in trying if waiting not in lost]
        except (DatabaseBusyError, asyncpg.PostgresError):
            pass  # one waits for somebody outside, or cannot be written: each alone, so that only it fails
        return [waiting for waiting in batch if not waiting.answer.done()]

    async def _try(self, batch: list[Waiting]) -> list[Waiting]:
        """Choose and claim for all, or undo all and give those whose chosen seats were kept from others in vain."""
        try:
            async with self._database.transaction() as tx:
                chosen = await self._choices(tx, batch)
                asked = [_asked(waiting, seats, choice) for waiting, seats, choice in chosen]
                verdicts = await holds.gather(tx, asked, route=_route(batch)) if asked else {}
                bodies = [
                    verdict.body if (verdict := verdicts.get(number)) is not None and verdict.kind == "placed" else None
                    for number in range(len(chosen))
                ]
                _check_choices(bodies)
        except _ChosenInVainError:
            return [waiting for (waiting, _, _), body in zip(chosen, bodies, strict=True) if body is None]
        for (waiting, _, _), body in zip(chosen, bodies, strict=True):
            if body is not None:
                _answer(waiting, body)
        return []

    async def _choices(self, tx: Connection, batch: Sequence[Waiting]) -> list[tuple[Waiting, list[SeatId], Choice]]:
        """Choose for each in its order; whoever finds nothing is left out."""
        found = []
        moments: dict[int | None, Moment] = {}
        taken = 0
        for waiting in batch:
            wish = waiting.wish
            if wish.allocation_id not in moments:
                moments[wish.allocation_id] = await self._seatings.now(
                    tx, wish.event_id, allocation_id=wish.allocation_id
                )
            moment = moments[wish.allocation_id]
            moment.bits &= ~taken
            choice = moment.choose(wish)
            if choice is not None:
                taken |= choice.slots
                found.append((waiting, moment.ids(choice), choice))
        return found

    async def _alone(self, waiting: Waiting) -> None:
        """Choose and claim for one; anew when somebody else was quicker."""
        for _ in range(MOST_CHOICES):
            try:
                async with self._database.transaction() as tx:
                    moment = await self._seatings.now(
                        tx, waiting.wish.event_id, allocation_id=waiting.wish.allocation_id
                    )
                    body = await _claim(tx, waiting, moment)
            except (SeatsTakenError, SingleSeatLeftError):
                await pause()
            except (DomainError, asyncpg.PostgresError) as refusal:
                _refuse(waiting, refusal)
                return
            else:
                _answer(waiting, body)
                return
        _refuse(waiting, NotEnoughSeatsError("Others were quicker each time. Try again.", contested=True))


def _check_choices(bodies: Sequence[bytes | None]) -> None:
    """Insist that nobody who is placed (has a body) chose around seats of somebody before who is not.

    :raises _ChosenInVainError: when somebody did: there may be better seats for them.
    """
    if None in bodies and any(bodies[bodies.index(None) :]):
        raise _ChosenInVainError


async def _claim(tx: Connection, waiting: Waiting, moment: Moment) -> bytes:
    """Claim the best seats; when there are none, the hold's statement says what is to be said."""
    wish = waiting.wish
    choice = moment.choose(wish)
    return await holds.place(
        tx,
        user_id=wish.user_id,
        event_id=wish.event_id,
        seat_ids=None if choice is None else moment.ids(choice),
        quantity=None if choice is not None else wish.quantity,
        price_level=wish.price_level or NO_AREA,
        together=wish.together,
        order_id=OrderId(uuid7()),
        call=waiting.call,
        trace=waiting.trace,
        allocation_id=wish.allocation_id,
        arrangement=None if choice is None else choice.arrangement,
    )


def _next_batch(line: deque[Waiting]) -> list[Waiting]:
    """Take from the line, in order; of one customer or one key only the first."""
    batch: list[Waiting] = []
    passed: list[Waiting] = []
    persons: set[object] = set()
    while line and len(batch) < MOST_TOGETHER:
        waiting = line.popleft()
        if waiting.answer.done():  # whoever asked has gone
            continue
        if persons.isdisjoint(waiting.persons):
            persons.update(waiting.persons)
            batch.append(waiting)
        else:
            passed.append(waiting)
    line.extendleft(reversed(passed))
    return batch


def _asked(waiting: Waiting, seats: list[SeatId], choice: Choice) -> holds.Asked:
    wish, call = waiting.wish, waiting.call
    return holds.Asked(
        user_id=wish.user_id, event_id=wish.event_id, seat_ids=seats, order_id=OrderId(uuid7()),
        key=call.key if call else None, fingerprint=call.fingerprint if call else None, trace=waiting.trace,
        allocation_id=wish.allocation_id, arrangement=choice.arrangement,
    )  # fmt: skip


def _route(batch: Sequence[Waiting]) -> str:
    return next((one.call.route for one in batch if one.call), "")


def _answer(waiting: Waiting, body: bytes) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(body)


def _refuse(waiting: Waiting, error: BaseException) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _closing() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("This process stops; another one takes over.", retryAfterSeconds=1)
