"""The ground that every service stands on: transactions, timeouts, outbox, idempotency keys, migrations."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec
import psycopg2
import pytest
from tests.support.engines import Engines

from boxoffice.runtime import idempotency, migrations, outbox, revisions
from boxoffice.runtime.database import Database, DatabaseBusyError, DatabaseUnavailableError
from boxoffice.runtime.embedded.engines import SERVICES
from boxoffice.runtime.idempotency import Answer, IdempotentCall


class Body(msgspec.Struct):
    words: str


@pytest.fixture
async def database(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url, size=4) as opened:
        yield opened


JSON = [
    "null", "true", "0", "-0", "1.0", "1.50", "1e2", "1e400", "-1e400", "1e-400", "9007199254740993", "18446744073709551616",
    "-123456789012345678901234567890", "0.1", "2.2250738585072011e-308", '""', '"D\\u00e9j\\u00e0 \\ud83c\\udfbb \\" \\\\ \\n"',
    '{"a": 1, "a": 2, "": {}}', "[]", '[{"seat_id": 7, "mark": null, "price_minor": 4500}, [1.5, "x"]]',
]  # fmt: skip

JSON_OF_BOTH = [(kind, text) for kind in ("json", "jsonb") for text in JSON if kind == "jsonb" or "e400" not in text]
"""A number beyond a double is read from jsonb only, which writes all its digits."""


class TestJson:
    @pytest.mark.parametrize(("kind", "text"), JSON_OF_BOTH)
    async def test_is_read_as_the_standard_library_reads_it(self, text: str, kind: str, database: Database) -> None:
        said = f"SELECT j, j::text AS text FROM (SELECT $1::text::{kind} AS j)"  # noqa: S608 - one of two words
        record = await database.fetchrow(said, text)
        assert repr(record["j"]) == repr(json.loads(record["text"]))

    @pytest.mark.parametrize("value", [None, True, 7, 1.5, "Dvořák 🎻", {"a": [1, {"b": None}]}, []])
    async def test_is_written_as_it_is(self, value: object, database: Database) -> None:
        assert await database.fetchval("SELECT $1::jsonb", value) == value

    async def test_of_no_number_or_of_an_instant_is_refused(self, database: Database) -> None:
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await database.fetchval("SELECT $1::jsonb", float("nan"))
        with pytest.raises(asyncpg.DataError):
            await database.fetchval("SELECT $1::jsonb", datetime.now(UTC))


class TestTransaction:
    async def test_commits_on_leaving_and_rolls_back_on_any_exception(self, database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO inbox (consumer, message_id) VALUES ('kept', gen_random_uuid())")

        async def fail() -> None:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO inbox (consumer, message_id) VALUES ('gone', gen_random_uuid())")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert [record["consumer"] for record in await database.fetch("SELECT consumer FROM inbox")] == ["kept"]

    async def test_a_lock_that_somebody_holds_is_busy_within_half_a_second(self, database: Database) -> None:
        key = uuid4()
        await database.fetch("INSERT INTO inbox (consumer, message_id) VALUES ('c', $1)", key)
        async with database.transaction() as holder:
            await holder.execute("SELECT 1 FROM inbox WHERE message_id = $1 FOR UPDATE", key)
            began = asyncio.get_running_loop().time()
            with pytest.raises(DatabaseBusyError):
                await database.fetch("SELECT 1 FROM inbox WHERE message_id = $1 FOR UPDATE", key)
            assert asyncio.get_running_loop().time() - began < 0.6

    async def test_a_statement_that_runs_too_long_is_stopped(self, sales_url: str) -> None:
        async with Database.open(sales_url, size=1, statement_timeout_ms=1_000) as impatient:
            with pytest.raises(DatabaseBusyError):
                await impatient.fetch("SELECT pg_sleep(30)")

    async def test_no_connection_left_is_unavailable(self, sales_url: str) -> None:
        async with Database.open(sales_url, size=1) as small, small.connection():
            with pytest.raises(DatabaseUnavailableError):
                await small.fetch("SELECT 1")

    async def test_a_server_that_cut_us_off_is_unavailable_and_then_there_again(self, database: Database) -> None:
        async def be_cut_off() -> None:
            async with database.transaction() as tx:
                await tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with pytest.raises(DatabaseUnavailableError):
            await be_cut_off()
        assert await database.fetchval("SELECT 1") == 1

    async def test_json_columns_are_python_objects(self, database: Database) -> None:
        assert await database.fetchval("SELECT $1::jsonb", {"a": [1, None]}) == {"a": [1, None]}


class TestSession:
    @pytest.fixture
    async def single(self, sales_url: str) -> AsyncIterator[Database]:
        async with Database.open(sales_url, size=1) as opened:
            yield opened

    async def test_leaves_no_lock_and_no_setting_to_the_next_loan(self, single: Database) -> None:
        async with single.session() as connection:
            await connection.execute("SELECT pg_advisory_lock(7)")
            await connection.execute("SET lock_timeout = '7s'")
        assert await single.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
        assert await single.fetchval("SHOW lock_timeout") == "250ms"

    async def test_is_what_a_plain_loan_is_not(self, single: Database) -> None:
        # the control: without a session the lock stays, which is why locks of a session are taken in one
        async with single.connection() as connection:
            await connection.execute("SELECT pg_advisory_lock(7)")
        assert await single.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1

    async def test_a_plain_loan_leaves_no_transaction_open(self, single: Database) -> None:
        async with single.connection() as connection:
            await connection.execute("BEGIN")
            await connection.execute("INSERT INTO inbox (consumer, message_id) VALUES ('left', gen_random_uuid())")
        assert await single.fetchval("SELECT count(*) FROM inbox WHERE consumer = 'left'") == 0


class TestOutbox:
    async def test_tells_a_fact_of_a_version_once(self, database: Database) -> None:
        async def tell() -> None:
            async with database.transaction() as tx:
                await outbox.append(tx, topic="t", key="k", type_="told", version=1, body=Body("twice"))

        await tell()
        with pytest.raises(asyncpg.UniqueViolationError):
            await tell()


class TestIdempotency:
    def call(
        self, *, key: str = "k", body: bytes = b"body", route: str = "POST /x", who: UUID | None = None
    ) -> IdempotentCall:
        found = IdempotentCall.of(principal=who or UUID(int=1), key=key, route=route, body=body)
        assert found
        return found

    async def answer(self, database: Database, call: IdempotentCall, body: bytes) -> Answer:
        async with database.transaction() as tx:
            earlier = await idempotency.begin(tx, call)
            if earlier:
                return earlier
            return await idempotency.finish(tx, call, Answer(status=201, body=body))

    async def test_a_repeat_gets_the_first_answer_byte_for_byte(self, database: Database) -> None:
        first = await self.answer(database, self.call(), b"\x00first")
        assert await self.answer(database, self.call(), b"second") == first

    async def test_thirty_two_at_once_have_one_effect(self, database: Database) -> None:
        answers = await asyncio.gather(
            *(self.answer(database, self.call(), str(number).encode()) for number in range(32)), return_exceptions=True
        )
        given = {answer.body for answer in answers if isinstance(answer, Answer)}
        assert len(given) == 1
        assert all(isinstance(answer, Answer | DatabaseBusyError | DatabaseUnavailableError) for answer in answers)

    @pytest.mark.parametrize("other", [{"body": b"other"}, {"route": "POST /y"}], ids=["body", "route"])
    async def test_another_request_under_the_same_key_is_refused(
        self, database: Database, other: dict[str, str]
    ) -> None:
        await self.answer(database, self.call(), b"first")
        with pytest.raises(idempotency.KeyReusedError):
            await self.answer(database, self.call(**other), b"second")  # type: ignore[arg-type]

    async def test_keys_of_two_people_are_two_keys(self, database: Database) -> None:
        await self.answer(database, self.call(who=UUID(int=1)), b"first")
        assert (await self.answer(database, self.call(who=UUID(int=2)), b"second")).body == b"second"

    async def test_a_refusal_is_not_remembered(self, database: Database) -> None:
        async def refuse() -> None:
            async with database.transaction() as tx:
                await idempotency.begin(tx, self.call())
                raise KeyError

        with pytest.raises(KeyError):
            await refuse()
        assert (await self.answer(database, self.call(), b"later")).body == b"later"

    @pytest.mark.parametrize("key", ["", "x" * 201], ids=["empty", "too long"])
    def test_refuses_keys_that_cannot_be_kept(self, key: str) -> None:
        with pytest.raises(idempotency.BadKeyError):
            IdempotentCall.of(principal=UUID(int=1), key=key, route="r", body=b"")


class TestMigrations:
    @pytest.mark.parametrize("service", SERVICES)
    def test_run_twice_and_land_on_the_newest(self, engines: Engines, service: str) -> None:
        with engines.empty_database() as url:
            assert revisions.current(url) is None
            first = migrations.migrate(service, url)
            assert migrations.migrate(service, url) == first
            assert revisions.current(url) == revisions.newest(service) == first

    async def test_wait_for_one_another(self, engines: Engines) -> None:
        with engines.empty_database() as url:
            revisions = await asyncio.gather(*(asyncio.to_thread(_migrate_in_a_process, url) for _ in range(3)))
        assert len(set(revisions)) == 1

    def test_refuse_a_database_of_a_newer_version(self, engines: Engines) -> None:
        with engines.empty_database() as url:
            migrations.migrate("sales", url)
            connection = psycopg2.connect(url)
            with connection, connection.cursor() as cursor:
                cursor.execute("UPDATE alembic_version SET version_num = 'sales_9999'")
            connection.close()
            with pytest.raises(migrations.NewerSchemaError, match="sales_9999"):
                migrations.migrate("sales", url)


def _migrate_in_a_process(url: str) -> str:
    """Alembic keeps its context per process."""
    import subprocess
    import sys

    code = "import sys; from boxoffice.runtime.migrations import migrate; print(migrate('sales', sys.argv[1]))"
    run = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    return run.stdout.strip()
