"""The log archive: log records of every process, kept for some days where an operator can look for them.

What is kept is what standard error got, with everything blotted out (I24). A process never waits for the archive and
never fails because of it: records that cannot be kept are dropped and counted, and standard error has them still.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from boxoffice.runtime.archive.seam import LogStore
from boxoffice.runtime.settings import MONGODB

__all__ = ["LogStore", "open_log_store"]


@asynccontextmanager
async def open_log_store(url: str) -> AsyncIterator[LogStore]:
    """Keep a connection to the archive: MongoDB or PostgreSQL, as the scheme says.

    :raises DomainError: of category unavailable, when PostgreSQL is away; MongoDB says so when it is asked.
    """
    if urlsplit(url).scheme in MONGODB:
        from boxoffice.runtime.archive.mongodb import open_store as open_mongodb_store

        async with open_mongodb_store(url) as documents:
            yield documents
    else:
        from boxoffice.runtime.archive.postgresql import open_store as open_postgresql_store

        async with open_postgresql_store(url) as table:
            yield table
