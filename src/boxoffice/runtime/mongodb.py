"""MongoDB: one client for each purpose of a process, with time limits as short as PostgreSQL's.

A server that is away is found out about by the first call, not by the start: nothing here waits for it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, TypeAlias

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from boxoffice.kernel.errors import Category, DomainError

CALL_TIMEOUT_MS = 2_000
"""For a whole call with its retries; longer than this a reader does not wait for preferences."""
POOL_SIZE = 10
DATABASE = "boxoffice"
"""Where the URL names none."""
REFUSES = frozenset({13, 18, 91, 11600})
"""Unauthorized, AuthenticationFailed, ShutdownInProgress, InterruptedAtShutdown: of a server that lets nobody in.
https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml"""

Documents: TypeAlias = AsyncDatabase[dict[str, Any]]
"""A database of documents."""


class MongoUnavailableError(DomainError):
    """MongoDB cannot be reached, or lets us not in."""

    code: ClassVar[str] = "runtime.mongodb_unavailable"
    category: ClassVar[Category] = Category.UNAVAILABLE
    title: ClassVar[str] = "MongoDB does not answer"


@asynccontextmanager
async def open_mongodb(url: str, *, name: str, timeout_ms: int = CALL_TIMEOUT_MS) -> AsyncIterator[Documents]:
    """Keep a client open; what is written is confirmed by a majority, what is read comes from the primary."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url,
        appname=name,
        tz_aware=True,
        uuidRepresentation="standard",
        w="majority",
        timeoutMS=timeout_ms,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
        maxPoolSize=POOL_SIZE,
    )
    try:
        yield client.get_default_database(DATABASE)
    finally:
        await client.close()


class speaking_plainly:  # noqa: N801 - reads as a phrase where it is used
    """Turn the driver's errors of a server that is away into a refusal that a client can act on."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate what was raised, if it is ours to translate."""
        if isinstance(error, PyMongoError) and is_away(error):
            raise MongoUnavailableError("Try again in a few seconds.", retryAfterSeconds=5) from error


def is_away(error: PyMongoError) -> bool:
    """Whether the same call may succeed later, without anything being changed."""
    if isinstance(error, OperationFailure) and error.code in REFUSES:
        return True
    return isinstance(error, ConnectionFailure) or error.timeout
