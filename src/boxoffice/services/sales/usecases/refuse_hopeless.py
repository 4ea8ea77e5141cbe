"""Refuse a hopeless hold early: what the shared picture shows as held or sold is not asked of the database again.

The picture only says no, and only while it is at most :data:`MOST_S` old, counted from before it was read: so a seat
that becomes free is refused for no longer. Without a picture (Valkey away or emptied, nobody refused lately) the desk
decides. A repeat of a call that succeeded must get its answer, and its own seats look taken: so a call with a key is
refused only after its key was looked up, for all that wait in one read.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import EventId, SeatId, place_of, seat_id
from boxoffice.runtime import idempotency
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import IdempotentCall
from boxoffice.runtime.telemetry import EARLY_NO
from boxoffice.services.sales.domain.refusals import SeatsTakenError
from boxoffice.services.sales.store import seats
from boxoffice.services.sales.usecases.keep_houses import Houses
from boxoffice.services.sales.usecases.place_hold import Wish

MOST_S: Final = 2.0
"""An older picture says nothing: no free seat stays refused for longer."""
REFUSALS: Final = 3
"""So many refusals of an event within :data:`WINDOW_S` are worth a reading of its house; a few are quicker decided."""
WINDOW_S: Final = 2.0
CONTESTED_S: Final = 5.0
"""How long after a refusal its event counts as contested."""
MOST_EVENTS: Final = 10_000
MOST_LABELS: Final = 20_000
"""Names of seats that were refused, some 300 bytes each."""
MOST_KEYS: Final = 256
"""Keys that are looked up in one read."""
SAID: Final = "Somebody else was quicker. Choose others."


class Desk(Protocol):
    """Whoever decides holds."""

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Hold what is wished for."""

    def stand_in_line(
        self, wish: Wish, call: IdempotentCall | None, when_taken: Callable[[EventId], None] | None = None
    ) -> "asyncio.Future[bytes]":
        """Put a checked wish for chosen seats in line."""


@dataclass(slots=True)
class Contest:
    """How often an event was refused since an instant, and until when that makes it contested."""

    since: float = 0.0
    refusals: int = 0
    until: float = 0.0


class EarlyNo:
    """Stands before the desk: ``place`` is the desk's, and refuses by itself what is hopeless."""

    def __init__(self, desk: Desk, houses: Houses, database: Database) -> None:
        self._desk = desk
        self._houses = houses
        self._database = database
        self._contests: OrderedDict[EventId, Contest] = OrderedDict()
        self._labels: OrderedDict[SeatId, dict[str, Any]] = OrderedDict()
        self._keys: deque[tuple[IdempotentCall, asyncio.Future[bool]]] = deque()
        self._looking: asyncio.Task[None] | None = None

    async def place(self, wish: Wish, call: IdempotentCall | None = None) -> bytes:
        """Hold what is wished for, unless it is known to be hopeless.

        :raises DomainError: what the desk refuses with; ``SeatsTakenError`` also from here, with the same words.
        """
        wish.check()
        if wish.seat_ids is not None and wish.allocation_id is None:
            await self.refuse_hopeless(wish.event_id, wish.seat_ids, call)
        try:
            return await self._desk.place(wish, call)
        except SeatsTakenError:
            self._note_refusal(wish.event_id)
            raise

    def place_at_once(self, wish: Wish, call: IdempotentCall | None) -> "asyncio.Future[bytes] | None":
        """Put a wish in line without waiting for anything; none when something must be looked up first.

        :raises DomainError: what :meth:`Wish.check` refuses with; the rest comes in the future.
        """
        wish.check()
        if wish.seat_ids is None or wish.allocation_id is not None or self._taken(wish.event_id, wish.seat_ids):
            return None
        return self._desk.stand_in_line(wish, call, self._note_refusal)

    async def refuse_hopeless(
        self, event_id: EventId, seat_ids: tuple[SeatId, ...], call: IdempotentCall | None
    ) -> None:
        """Refuse a hold of seats that are known to be taken.

        :raises SeatsTakenError: naming those seats.
        """
        if not self._taken(event_id, seat_ids):
            return
        if call is not None and await self._is_answered(call):
            EARLY_NO.labels("let_through").inc()
            return
        taken = self._taken(event_id, seat_ids)  # looking the key up took time: the picture may be newer, or too old
        if not taken:
            return
        named = await self._named(taken)
        EARLY_NO.labels("refused").inc()
        self._note_refusal(event_id)
        raise SeatsTakenError(SAID, taken=named)

    def _taken(self, event_id: EventId, seat_ids: tuple[SeatId, ...]) -> list[SeatId]:
        contest = self._contests.get(event_id)
        is_contested = contest is not None and time.monotonic() < contest.until
        kept = self._houses.recent(event_id, most_seconds=MOST_S, renew=is_contested)
        if kept is None or kept.picture is None or kept.house is None or kept.house.status != "published":
            return []
        return [seat_id(event_id, place) for place in kept.picture.taken(sorted(map(place_of, seat_ids)))]

    def _note_refusal(self, event_id: EventId) -> None:
        now = time.monotonic()
        contest = self._contests.get(event_id)
        if contest is None:
            contest = self._contests[event_id] = Contest(since=now)
            while len(self._contests) > MOST_EVENTS:
                self._contests.popitem(last=False)
        if now - contest.since > WINDOW_S:
            contest.since, contest.refusals = now, 0
        contest.refusals += 1
        if contest.refusals >= REFUSALS or now < contest.until:
            contest.until = now + CONTESTED_S

    async def _named(self, taken: list[SeatId]) -> list[dict[str, Any]]:
        """Name seats as the desk's refusal does; each is read once, its name never changes."""
        unknown = [seat for seat in taken if seat not in self._labels]
        for record in await seats.by_ids(self._database, unknown) if unknown else ():
            self._labels[SeatId(record["seat_id"])] = {
                "ticketId": record["seat_id"], "section": record["section"], "row": record["row_label"],
                "number": record["number"],
            }  # fmt: skip
        named = [self._labels[seat] for seat in taken if seat in self._labels]
        while len(self._labels) > MOST_LABELS:
            self._labels.popitem(last=False)
        return named

    async def _is_answered(self, call: IdempotentCall) -> bool:
        """Whether a call with this key has an answer; asked for all that wait at once."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._keys.append((call, answered))
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_keys_up(), name="early-no-keys")
        return await answered

    async def _look_keys_up(self) -> None:
        try:
            while self._keys:
                batch = [self._keys.popleft() for _ in range(min(len(self._keys), MOST_KEYS))]
                try:
                    known = await idempotency.known(self._database, [call for call, _ in batch])
                except DomainError:  # the desk meets the same, and says so
                    known = {(call.principal, call.key) for call, _ in batch}
                for call, answered in batch:
                    if not answered.done():
                        answered.set_result((call.principal, call.key) in known)
        finally:
            self._looking = None
