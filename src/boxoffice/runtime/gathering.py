"""Decide together what arrives together: while one batch is being decided, the next one fills.

There is no timer: a lone request is taken at once, and a crowd makes its own batches. Whatever happens to a batch, each
of its requests is answered or fails.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Generic, TypeVar

from boxoffice.runtime.tasks import end

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

FEW = 8
"""Requests that one lane takes even when another is idle: beyond, the lanes share what there is to do."""
WORTH = 16
"""Requests that are worth another lane while one is busy: beginning a batch costs as much as some ten of them."""
PATIENCE_S = 0.025
"""A batch that takes longer waits for somebody else: whoever is in line need not, and another lane takes them."""
LEARNS = 0.1
"""Part of the latest batch in what is expected of the next one: a single slow one is forgotten after some ten."""
LOOK_AHEAD = 4
"""Batches' worth of waiting requests that are looked at for ones that may be decided together."""


def fair_share(there: int, *, lanes: int, most: int) -> int:
    """Tell how many of all who wait or are being decided one batch may have, so that no lane idles beside a full one.

    >>> fair_share(64, lanes=2, most=128), fair_share(10, lanes=2, most=128), fair_share(900, lanes=2, most=128)
    (32, 8, 128)
    """
    return min(most, max(FEW, -(-there // lanes)))


class Lanes:
    """The batches that are being decided, and whether another may begin beside them."""

    def __init__(self, most: int) -> None:
        """Have at most so many at once."""
        self.most = most
        self._begun: dict[object, float] = {}
        self._wake: asyncio.TimerHandle | None = None

    def begin(self, batch: object, now: float) -> None:
        """Note that a batch begins."""
        self._begun[batch] = now

    def end(self, batch: object) -> None:
        """Note that a batch has ended."""
        del self._begun[batch]

    def may_begin(self, waiting: int, now: float) -> bool:
        """Whether so many who wait are to be decided now, beside what is."""
        if not self._begun:
            return waiting > 0
        if len(self._begun) >= self.most:
            return False
        return waiting >= WORTH or (waiting > 0 and now - max(self._begun.values()) > PATIENCE_S)

    def look_again(self, loop: asyncio.AbstractEventLoop, look: Callable[[], None]) -> None:
        """Have somebody look again when patience is over; once, however often this is asked."""
        if self._wake is None and len(self._begun) < self.most:
            self._wake = loop.call_later(PATIENCE_S, self._woken, look)

    def _woken(self, look: Callable[[], None]) -> None:
        self._wake = None
        look()

    def close(self) -> None:
        """Wake nobody any more."""
        if self._wake is not None:
            self._wake.cancel()


class Size:
    """How many requests a batch may have, so that it takes about as long as it should; learnt from those before."""

    def __init__(self, most: int, *, least: int, should_take_s: float) -> None:
        """Begin with the most: the first batches say how long one takes."""
        self._most = most
        self._least = least
        self._should_take_s = should_take_s
        self._each_s = 0.0

    @property
    def now(self) -> int:
        """So many, and not so few that what every batch costs would make it slower still."""
        if self._each_s * self._most <= self._should_take_s:
            return self._most
        return max(self._least, int(self._should_take_s / self._each_s))

    def learn(self, requests: int, seconds: float) -> None:
        """Learn how long a batch took; small ones tell more of what every batch costs."""
        if requests >= FEW:
            self._each_s += LEARNS * (seconds / requests - self._each_s)


class LeftUnansweredError(RuntimeError):
    """A batch ended without an answer to one of its requests: a defect of whoever decides."""


class Waiting(Generic[Ask, Answer]):
    """One request in line, and the place for its answer."""

    __slots__ = ("_future", "ask")

    def __init__(self, ask: Ask, future: "asyncio.Future[Answer]") -> None:
        self.ask = ask
        self._future = future

    @property
    def is_over(self) -> bool:
        """Whether it was answered, or whoever asked has gone."""
        return self._future.done()

    def answer(self, answer: Answer) -> None:
        """Answer it, if anybody still waits."""
        if not self._future.done():
            self._future.set_result(answer)

    def refuse(self, error: Exception) -> None:
        """Refuse it, if anybody still waits."""
        if not self._future.done():
            self._future.set_exception(error)


class Gathering(Generic[Ask, Answer]):
    """A line of requests and the one function that decides batches of them.

    ``apart`` names what no two requests that are being decided may have in common; those that collide wait in line.
    """

    def __init__(
        self,
        decide: Callable[[list[Waiting[Ask, Answer]]], Awaitable[None]],
        *,
        apart: Callable[[Ask], Iterable[Hashable]] | None,
        lanes: int,
        most_together: int,
    ) -> None:
        self._decide = decide
        self._apart = apart
        self._lanes = Lanes(lanes)
        self._most = most_together
        self._line: deque[Waiting[Ask, Answer]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._claimed: set[Hashable] = set()
        self._being_decided = 0
        self._is_called = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gathering[Ask, Answer]"]:
        """Stay open while inside; on leaving, what is being decided is waited for no longer, and the line is told."""
        try:
            yield self
        finally:
            self._lanes.close()
            running = list(self._running)
            while self._line:
                self._line.popleft().refuse(LeftUnansweredError("the process is ending"))
            await end(running)

    async def ask(self, ask: Ask) -> Answer:
        """Stand in line; returns the answer, or raises what the request was refused with."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._line.append(Waiting(ask, future))
        self._call(loop)
        return await future

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
            self._being_decided += len(batch)
            task = loop.create_task(self._run(batch), name="gathering")
            self._running.add(task)
            self._lanes.begin(task, loop.time())
            task.add_done_callback(partial(self._done, batch))
        if self._line:
            self._lanes.look_again(loop, self._serve)

    def _done(self, batch: list[Waiting[Ask, Answer]], task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._lanes.end(task)
        self._being_decided -= len(batch)
        if self._apart is not None:
            for waiting in batch:
                self._claimed.difference_update(self._apart(waiting.ask))
        if self._line:
            self._call(task.get_loop())

    async def _run(self, batch: list[Waiting[Ask, Answer]]) -> None:
        error: BaseException | None = None
        try:
            await self._decide(batch)
        except BaseException as raised:
            error = raised
            if not isinstance(raised, Exception):
                raise
        finally:
            for waiting in batch:
                if not waiting.is_over:
                    waiting.refuse(error if isinstance(error, Exception) else LeftUnansweredError(repr(error)))

    def _next_batch(self) -> list[Waiting[Ask, Answer]]:
        line, apart = self._line, self._apart
        most = fair_share(len(line) + self._being_decided, lanes=self._lanes.most, most=self._most)
        if apart is None:
            return [line.popleft() for _ in range(min(len(line), most))]
        batch: list[Waiting[Ask, Answer]] = []
        passed: list[Waiting[Ask, Answer]] = []
        claimed = self._claimed
        for _ in range(min(len(line), self._most * LOOK_AHEAD)):
            waiting = line.popleft()
            if waiting.is_over:  # whoever asked has gone
                continue
            marks = set(apart(waiting.ask))
            if claimed.isdisjoint(marks):
                batch.append(waiting)
                claimed |= marks
            else:
                passed.append(waiting)
            if len(batch) == most:
                break
        line.extendleft(reversed(passed))
        return batch
