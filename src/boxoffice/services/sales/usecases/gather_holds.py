"""Decide holds that arrive together in one transaction: while some are at the database, the next ones gather.

A lone request waits for nobody: it goes as the plain call of ``place_hold.py``, which stays the reference. What a batch
cannot answer in few words (a repeat, a limit, a closed sale) it leaves to that call too.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, OrderId, SeatId
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.runtime.gathering import Lanes, Size, fair_share
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import HOLDS_TOGETHER, current_trace
from boxoffice.runtime.uuids import uuid7
from boxoffice.services.sales.domain.refusals import SeatsTakenError
from boxoffice.services.sales.store import holds
from boxoffice.services.sales.usecases.gather_places import PlaceDesk
from boxoffice.services.sales.usecases.hold_best_available import BestDesk
from boxoffice.services.sales.usecases.place_hold import Wish, place_hold

LANES = 2
"""Calls at the database at once: one fills the core that the other leaves idle while its answers are handed out."""
MOST_TOGETHER = 128
"""Requests of one batch. More of them would only keep each other waiting."""
LEAST_TOGETHER = 24
"""Fewer would cost more than they hurry: half of a call of eight is what every call costs."""
SHOULD_TAKE_S = 0.0055
"""A batch's time at the database, for 99 of 100 connections to be back after 10 ms (reliability section 4.3)."""
ALONE_AT_ONCE = 4
"""Plain calls at once for what a batch left undecided, each on a connection of its own."""
MOST_TRIES = 3
"""Batches after the first in which a request is tried whose seats were only locked, or tried for somebody else."""
LOOK_AHEAD = 4
"""Batches' worth of waiting requests that are looked at for ones that do not collide."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One request in line, with what it must not share with others that are being decided.

    ``seats`` with none of another lane, ``persons`` (its key, its customer of one event) with none at all; ``tries``
    counts how often a seat of it was only locked by somebody else.
    """

    wish: Wish
    call: IdempotentCall | None
    trace: str | None
    answer: "asyncio.Future[bytes]"
    when_taken: Callable[[EventId], None] | None
    seats: tuple[SeatId, ...]
    persons: tuple[object, ...]
    tries: int = 0
    is_in_line: bool = True


class HoldDesk:
    """Takes the holds of one process; ``place`` is what handlers call."""

    def __init__(self, database: Database, *, lanes: int = LANES, most_together: int = MOST_TOGETHER) -> None:
        self._database = database
        self._lanes = Lanes(lanes)
        self._most = most_together
        self._size = Size(most_together, least=min(LEAST_TOGETHER, most_together), should_take_s=SHOULD_TAKE_S)
        self._line: deque[Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._claimed: set[object] = set()
        self._being_decided = 0
        self._is_called = False
        self._places = PlaceDesk(database)
        self._best = BestDesk(database)

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database) -> AsyncIterator["HoldDesk"]:
        """Keep a desk open while inside; on leaving, what is at the database is waited for no longer."""
        desk = cls(database)
        try:
            async with desk._places.opened():
                yield desk
        finally:
            desk._lanes.close()
            waiting, desk._line = desk._line, deque()
            for one in waiting:
                _refuse(one, _closing())
            await desk._best.close()
            await end(list(desk._running))

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Hold what is wished for; the same answers and refusals as :func:`place_hold`.

        :raises DomainError: one of the refusals in ``store/holds.py`` or of :meth:`Wish.check`; nothing is held then.
        """
        wish.check()
        if wish.seat_ids is None:
            desk = self._places if await self._places.serves(wish) else self._best
            return await desk.place(wish, call)
        return await self.stand_in_line(wish, call)

    def stand_in_line(
        self, wish: Wish, call: IdempotentCall | None, when_taken: Callable[[EventId], None] | None = None
    ) -> "asyncio.Future[bytes]":
        """Put a checked wish for chosen seats in line; the answer comes in the future, or what it is refused with.

        ``when_taken`` is told the event of a wish for seats that others have.
        """
        assert wish.seat_ids is not None
        loop = asyncio.get_running_loop()
        customer = (wish.event_id, wish.user_id)
        persons = (customer, (call.principal, call.key)) if call else (customer,)
        waiting = Waiting(wish, call, current_trace(), loop.create_future(), when_taken, wish.seat_ids, persons)
        self._line.append(waiting)
        self._call(loop)
        return waiting.answer

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the line looked at once everybody who is about to join it has."""
        if not self._is_called and len(self._running) < self._lanes.most:
            self._is_called = True
            loop.call_soon(self._serve)

    def _serve(self) -> None:
        self._is_called = False
        loop = asyncio.get_running_loop()
        while self._lanes.may_begin(len(self._line), loop.time()):
            batch = self._next_batch()
            if not batch:
                return
            task = loop.create_task(self._decide(batch), name="holds")
            self._running.add(task)
            self._lanes.begin(task, loop.time())
            task.add_done_callback(partial(self._done, batch))
        if self._line:
            self._lanes.look_again(loop, self._serve)

    def _done(self, batch: list[Waiting], task: "asyncio.Task[None]") -> None:
        """Let go of what the batch claimed; whoever has no answer hears what went wrong."""
        self._running.discard(task)
        self._lanes.end(task)
        self._being_decided -= len(batch)
        error = None if task.cancelled() else task.exception()
        for waiting in batch:
            self._claimed.difference_update(waiting.seats)
            self._claimed.difference_update(waiting.persons)
            if not waiting.is_in_line:
                _refuse(waiting, error or _closing())
        if self._line:
            self._call(task.get_loop())

    def _next_batch(self) -> list[Waiting]:
        """Take from the line, in order, what is free to be decided; of one customer or one key only the first."""
        batch: list[Waiting] = []
        passed: list[Waiting] = []
        line, claimed = self._line, self._claimed
        most = fair_share(len(line) + self._being_decided, lanes=self._lanes.most, most=self._size.now)
        persons: set[object] = set()
        for _ in range(min(len(line), self._most * LOOK_AHEAD)):
            waiting = line.popleft()
            if waiting.answer.done():  # whoever asked has gone
                continue
            if not (
                claimed.isdisjoint(waiting.seats)
                and claimed.isdisjoint(waiting.persons)
                and persons.isdisjoint(waiting.persons)
            ):
                passed.append(waiting)
                continue
            waiting.is_in_line = False
            batch.append(waiting)
            persons.update(waiting.persons)
            if len(batch) == most:
                break
        self._being_decided += len(batch)
        line.extendleft(reversed(passed))
        claimed.update(persons)
        for waiting in batch:
            claimed.update(waiting.seats)
        return batch

    async def _decide(self, batch: list[Waiting]) -> None:
        HOLDS_TOGETHER.observe(len(batch))
        if len(batch) == 1:
            await self._alone(batch[0])
            return
        began = time.perf_counter()
        try:
            async with self._database.connection() as connection:
                verdicts = await holds.gather(connection, [_asked(one) for one in batch], route=_route(batch))
            self._size.learn(len(batch), time.perf_counter() - began)
        except (DatabaseBusyError, asyncpg.PostgresError):
            verdicts = {}  # one waits for somebody outside, or cannot be written: each alone, so that only it fails
        except DomainError as error:
            for one in batch:
                _refuse(one, error)
            return
        left = [one for number, one in enumerate(batch) if not self._settle(one, verdicts.get(number))]
        for start in range(0, len(left), ALONE_AT_ONCE):
            await asyncio.gather(*(self._alone(one) for one in left[start : start + ALONE_AT_ONCE]))

    def _settle(self, waiting: Waiting, verdict: holds.Verdict | None) -> bool:
        """Answer a request as far as the batch decided it; false when it is to be decided alone."""
        if verdict is None or verdict.kind == "alone":
            return False
        if verdict.kind == "contested" and waiting.tries >= MOST_TRIES:
            return False  # its seats may be free still, tried for others who did not get them: one call says so
        if verdict.kind == "placed":
            assert verdict.body is not None
            _answer(waiting, verdict.body)
        elif verdict.kind == "contested":
            waiting.tries += 1
            waiting.is_in_line = True
            self._line.append(waiting)
        else:
            _refuse(waiting, holds.taken_refusal(verdict.taken))
        return True

    async def _alone(self, waiting: Waiting) -> None:
        try:
            _answer(waiting, await place_hold(self._database, waiting.wish, waiting.call, trace=waiting.trace))
        except (DomainError, asyncpg.PostgresError) as refusal:
            _refuse(waiting, refusal)


def _asked(waiting: Waiting) -> holds.Asked:
    wish, call = waiting.wish, waiting.call
    assert wish.seat_ids is not None
    return holds.Asked(
        user_id=wish.user_id, event_id=wish.event_id, seat_ids=wish.seat_ids, order_id=OrderId(uuid7()),
        key=call.key if call else None, fingerprint=call.fingerprint if call else None, trace=waiting.trace,
        allocation_id=wish.allocation_id,
    )  # fmt: skip


def _route(batch: list[Waiting]) -> str:
    return next((one.call.route for one in batch if one.call), "")


def _answer(waiting: Waiting, body: bytes) -> None:
    if not waiting.answer.done():
        waiting.answer.set_result(body)


def _refuse(waiting: Waiting, error: BaseException) -> None:
    if waiting.when_taken is not None and isinstance(error, SeatsTakenError):
        waiting.when_taken(waiting.wish.event_id)
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _closing() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("This process stops; another one takes over.", retryAfterSeconds=1)
