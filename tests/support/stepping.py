"""Two sessions on real PostgreSQL, let go step by step: whatever order of their steps there is, a test can run it.

A session runs a real use case on a database that stops it at named points: before it begins, after its first lock,
inside a function of the database (a trigger waits for an advisory lock that the controller holds), before its commit. The
controller lets one session go on until it stops again, ends, or waits for a lock of the other.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from boxoffice.kernel.errors import DomainError
from boxoffice.runtime.database import Database

START, BEGUN, LOCKED, INSIDE, COMMIT = "start", "begun", "locked", "inside", "before commit"
GATE = 4711
"""First half of the advisory locks that sessions wait for inside the database; the second is the session's number."""
POLL_S = 0.002
PATIENCE_S = 20.0
"""A session that neither stops, ends nor waits for a lock for this long hangs."""

STOP_INSIDE = """
CREATE FUNCTION stop_inside() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('stepping.session', true) <> '' THEN
    PERFORM pg_advisory_xact_lock_shared(4711, current_setting('stepping.session')::int);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER stop_inside BEFORE UPDATE ON event_seats FOR EACH STATEMENT EXECUTE FUNCTION stop_inside();
"""

Act = Callable[[Any], Awaitable[object]]


@dataclass
class Session:
    """One of the two: what it does, where it stands, what came of it."""

    number: int
    stops: frozenset[str]
    pid: int = 0
    at: str | None = None
    result: object = None
    task: "asyncio.Task[object] | None" = None
    passed: list[str] = field(default_factory=list)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    async def stop(self, name: str) -> None:
        if name not in self.stops:
            return
        self.at = name
        self.passed.append(name)
        self._stopped.set()
        await self._go.wait()
        self._go.clear()

    @property
    def ended(self) -> bool:
        return self.task is not None and self.task.done()

    def let_go(self) -> None:
        self.at = None
        self._stopped.clear()
        self._go.set()

    async def stands(self) -> bool:
        """Whether it stopped or ended within a moment."""
        assert self.task is not None
        waiting = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait({waiting, self.task}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return self._stopped.is_set() or self.ended


class StoppingConnection:
    """A connection whose user stops after the first statement of a transaction."""

    def __init__(self, connection: Any, session: Session) -> None:
        self._connection = connection
        self._session = session
        self._first = True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "fetch", "fetchrow", "fetchval"}:
            return found

        async def run(*arguments: Any, **named: Any) -> Any:
            answer = await found(*arguments, **named)
            if self._first:
                self._first = False
                await self._session.stop(LOCKED)
            return answer

        return run


class StoppingDatabase:
    """A database for one session; whatever a use case writes through it can be stopped at the named points."""

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Any]:
        await self._session.stop(BEGUN)
        async with self._database.transaction(**options) as tx:
            self._session.pid = tx.get_server_pid()
            inside = str(self._session.number) if INSIDE in self._session.stops else ""
            await tx.execute(
                "SELECT set_config('lock_timeout', '15s', true), set_config('statement_timeout', '0', true),"
                " set_config('stepping.session', $1, true)",
                inside,
            )
            yield StoppingConnection(tx, self._session)
            await self._session.stop(COMMIT)
        self._session.pid = 0  # the connection may be lent to the other session next

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One statement is one transaction: here it is an open one, so that it can be stopped before its commit."""
        async with self.transaction() as tx:
            yield tx


@dataclass
class Controller:
    """Lets the sessions go, one step at a time. ``gate`` is a connection of its own, which holds the gates shut."""

    database: Database
    gate: Any

    async def run(self, acts: Sequence[tuple[Act, frozenset[str]]], order: Sequence[int]) -> list[Session]:
        """Run the sessions in this order of steps; a step of one that waits for a lock is left out, and made up later."""
        sessions = [Session(number, stops) for number, (_, stops) in enumerate(acts)]
        for session, (act, _) in zip(sessions, acts, strict=True):
            await self.gate.fetchval("SELECT pg_advisory_lock($1, $2)", GATE, session.number)
            session.task = asyncio.create_task(_outcome(act, StoppingDatabase(self.database, session), session))
        blocked: set[int] = set()
        for session in sessions:
            await self._settle(session, blocked)
        turns = [*order]
        while not all(session.ended for session in sessions):
            able = [session.number for session in sessions if not session.ended and session.number not in blocked]
            number = turns.pop(0) if turns else next(iter(able), None)
            if number in able:
                await self._advance(sessions[number], blocked)
            for waiting in sorted(blocked):
                blocked.discard(waiting)  # what it waited for may be gone: look again
                await self._settle(sessions[waiting], blocked)
        for session in sessions:
            await self._open(session)
            assert session.task is not None
            session.result = session.task.result()
        return sessions

    async def _advance(self, session: Session, blocked: set[int]) -> None:
        if session.at == INSIDE:
            session.at = None
            await self._open(session)
        else:
            session.let_go()
        await self._settle(session, blocked)

    async def _open(self, session: Session) -> None:
        await self.gate.fetchval("SELECT pg_advisory_unlock($1, $2)", GATE, session.number)

    async def _settle(self, session: Session, blocked: set[int]) -> None:
        """Wait until the session stops, ends, or waits for a lock of the other one."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not await session.stands():
            if session.pid:
                blockers = await self.gate.fetchval("SELECT pg_blocking_pids($1)", session.pid)
                if self.gate.get_server_pid() in blockers:
                    session.at = INSIDE
                    session.passed.append(INSIDE)
                    return
                if blockers:
                    blocked.add(session.number)
                    return
            assert asyncio.get_running_loop().time() < deadline, f"session {session.number} hangs"


@asynccontextmanager
async def controlling(database: Database) -> AsyncIterator[Controller]:
    """Put the stop inside into a fresh database, and control sessions on it."""
    async with database.connection() as gate:
        await gate.execute(STOP_INSIDE)
        await gate.execute("SET client_min_messages = error; SET lock_timeout = 0; SET statement_timeout = 0")
        yield Controller(database, gate)


async def _outcome(act: Act, database: StoppingDatabase, session: Session) -> object:
    await session.stop(START)
    try:
        done = await act(database)
    except DomainError as refusal:
        return refusal.code
    return "done" if done is None else f"done: {done}"


def merges(first: int, second: int) -> list[tuple[int, ...]]:
    """Every order of the steps of two sessions in which the first one begins."""

    def rest(left: int, right: int) -> list[tuple[int, ...]]:
        if not left or not right:
            return [(0,) * left + (1,) * right]
        return [(0, *tail) for tail in rest(left - 1, right)] + [(1, *tail) for tail in rest(left, right - 1)]

    return [(0, *tail) for tail in rest(first - 1, second)]
