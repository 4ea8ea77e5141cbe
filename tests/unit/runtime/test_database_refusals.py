"""What the driver raises when the database is away, said so that clients try again and messages wait."""

import asyncpg
import pytest

from boxoffice.runtime.bus.taking import is_away
from boxoffice.runtime.database import DatabaseUnavailableError, speaking_plainly

AWAY = [
    asyncpg.DiskFullError("could not extend file"),
    asyncpg.OutOfMemoryError("out of memory"),
    asyncpg.TooManyConnectionsError("sorry"),
    asyncpg.PostgresIOError("could not fsync"),
    asyncpg.IdleInTransactionSessionTimeoutError("terminating connection"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.CrashShutdownError("terminating connection"),
    ConnectionResetError(),
]


class TestDatabaseRefusals:
    @pytest.mark.parametrize("raised", AWAY, ids=lambda error: type(error).__name__)
    def test_say_that_the_database_is_away_and_keep_a_message_waiting(self, raised: Exception) -> None:
        with pytest.raises(DatabaseUnavailableError) as refused, speaking_plainly():
            raise raised
        assert is_away(refused.value)

    def test_leave_alone_what_is_a_defect_of_ours(self) -> None:
        with pytest.raises(asyncpg.UndefinedTableError), speaking_plainly():
            raise asyncpg.UndefinedTableError("no such table")
