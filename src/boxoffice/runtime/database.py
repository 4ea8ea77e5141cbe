"""PostgreSQL: one pool per service. ``transaction()`` is the only way to write; it commits on leaving.

Every connection carries the timeouts of reliability section 4.3 as session defaults, so that no statement needs a
second round trip to set them.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal, TypeAlias

import asyncpg
import msgspec
from prometheus_client import Histogram

from boxoffice.kernel.errors import Category, DomainError

LOCK_TIMEOUT_MS = 250
"""A buyer who waits longer for a lock has lost the seat anyway."""
STATEMENT_TIMEOUT_MS = 1_000
"""No statement of the sale needs a tenth of it; a slow one must not keep a connection."""
IDLE_IN_TRANSACTION_MS = 2_000
"""A process that froze inside a transaction gives its locks back after this."""
ACQUIRE_TIMEOUT_S = 2.0
"""Longer than this in line for a connection means overload: say so instead of piling up."""
ANSWER_SLACK_S = 2.0
"""A server that froze does not even say that a statement took too long: after this beyond its timeout we let go."""
CLOSE_S = 5.0
"""How long closing waits for connections that are still lent; then they are cut, and what was not committed is not."""

CONNECTION = Histogram(
    "boxoffice_database_connection_seconds", "How long a connection was lent: what a pool runs out of first.",
    buckets=(
        0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1,
        5,
    ),
)  # fmt: skip
"""Reliability section 4.3: 99 of 100 for at most 10 ms. The bounds are close together around that."""
WAITED = Histogram(
    "boxoffice_database_wait_seconds", "How long a connection was waited for, where it was longer than 1 ms.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2),
)  # fmt: skip
WAIT_COUNTS_S = 0.001
"""A pool that has a free connection lends it sooner; counting those too would cost every statement."""

Connection: TypeAlias = Any
"""An asyncpg connection, pooled or not; the driver ships no types, so this is a named boundary."""
Isolation = Literal["read_committed", "repeatable_read"]


class DatabaseUnavailableError(DomainError):
    """The database cannot be reached, or has no connection left."""

    code: ClassVar[str] = "runtime.database_unavailable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "The database does not answer"


class DatabaseBusyError(DomainError):
    """Somebody else holds the record for longer than a request may wait."""

    code: ClassVar[str] = "runtime.database_busy"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "Too many people are changing the same thing"


UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the driver's word for a connection that broke in the middle of an exchange
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # we slept in a transaction, and the server took its locks back
    asyncpg.InsufficientResourcesError,  # no connection, no memory, no disk: a message must wait, not be set aside
    asyncpg.PostgresSystemError,  # its files cannot be read or written
)
BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)


async def _prepare(connection: asyncpg.Connection) -> None:
    """Read and write JSON.

    msgspec reads three times as fast, and the same but for what jsonb cannot hold: a lone half of a character and a
    number beyond a double are errors. It would write NaN as null and instants as text where ``json`` has an error.
    """
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=msgspec.json.decode, schema="pg_catalog")


class PlainConnection(asyncpg.Connection):  # type: ignore[misc] # the driver ships no types
    """A connection that is not wiped when it is given back, unless it was lent for a session.

    Wiping (``RESET ALL`` and its like) is a round trip for every loan, a tenth of what a sale costs. Nothing here
    leaves anything behind: settings come with the connection, locks of a session are taken in ``session()`` only.
    """

    __slots__ = ("was_session",)

    def get_reset_query(self) -> str:
        """Say what wipes the connection; nothing when there is nothing to wipe."""
        wiping: str = super().get_reset_query()
        return wiping if getattr(self, "was_session", False) else ""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the driver calls it so
        """Roll back what was left open, and wipe the session if it was one."""
        await super().reset(timeout=timeout)
        self.was_session = False


class Database:
    """A pool of connections to one service's database."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        size: int = 10,
        name: str = "boxoffice",
        statement_timeout_ms: int | None = None,
    ) -> AsyncIterator["Database"]:
        """Keep a pool of at most ``size`` connections open.

        ``statement_timeout_ms``: none is ``STATEMENT_TIMEOUT_MS``; 0, no limit at all, is for long commands only.
        """
        if statement_timeout_ms is None:
            statement_timeout_ms = STATEMENT_TIMEOUT_MS
        pool = await asyncpg.create_pool(
            url,
            min_size=min(2, size),
            max_size=size,
            init=_prepare,
            connection_class=PlainConnection,
            timeout=ACQUIRE_TIMEOUT_S,
            command_timeout=statement_timeout_ms / 1_000 + ANSWER_SLACK_S if statement_timeout_ms else None,
            server_settings={
                "application_name": name,
                "timezone": "UTC",
                "lock_timeout": str(LOCK_TIMEOUT_MS if statement_timeout_ms else 0),
                "statement_timeout": str(statement_timeout_ms),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS if statement_timeout_ms else 0),
            },
        )
        try:
            yield cls(pool)
        finally:
            try:
                await asyncio.wait_for(pool.close(), CLOSE_S)
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; what is executed on it commits by itself."""
        asked_at = time.perf_counter()
        with speaking_plainly():
            async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                lent_at = time.perf_counter()
                if lent_at - asked_at > WAIT_COUNTS_S:
                    WAITED.observe(lent_at - asked_at)
                try:
                    yield connection
                finally:
                    CONNECTION.observe(time.perf_counter() - lent_at)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Lend a connection for what outlives a statement, such as an advisory lock; it is wiped afterwards."""
        async with self.connection() as connection:
            connection._con.was_session = True  # noqa: SLF001 - the pool's proxy hides the connection that it lends
            yield connection

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read_committed", readonly: bool = False
    ) -> AsyncIterator[Connection]:
        """Run one transaction: commit on leaving, roll back on any exception."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
        ):
            yield connection

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Any]:
        """Read records."""
        async with self.connection() as connection:
            records: Sequence[Any] = await connection.fetch(sql, *arguments)
            return records

    async def fetchrow(self, sql: str, *arguments: object) -> Any | None:
        """Read one record or none."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """Read one value."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *arguments)


class speaking_plainly:  # noqa: N801 - reads as a phrase where it is used
    """Turn a driver's connection and lock errors into refusals that a client can act on."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate what was raised, if it is one of ours to translate."""
        if isinstance(error, DomainError):
            return
        if isinstance(error, BUSY):
            raise DatabaseBusyError("Try again in a moment.", retryAfterSeconds=1) from error
        if isinstance(error, UNREACHABLE):
            raise DatabaseUnavailableError("Try again in a few seconds.", retryAfterSeconds=5) from error
