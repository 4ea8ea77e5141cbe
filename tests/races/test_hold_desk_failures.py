"""Holds that are decided together and fail: everybody gets an answer, and only whoever is at fault gets a bad one."""

import asyncio
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from tests.support.sales import EVENT, put_on_sale

from boxoffice.kernel.ids import SeatId, UserId
from boxoffice.runtime.database import Database, DatabaseUnavailableError
from boxoffice.services.sales.usecases.gather_holds import HoldDesk
from boxoffice.services.sales.usecases.place_hold import Wish

PATIENCE_S = 10.0
"""Whoever is not answered within this time never is."""


def wish(*seats: SeatId, user_id: UserId | None = None) -> Wish:
    return Wish(user_id=user_id or UserId(uuid4()), event_id=EVENT, seat_ids=tuple(seats))


class TestFailures:
    async def test_one_that_cannot_be_written_fails_alone(self, database: Database) -> None:
        seats = await put_on_sale(database, 4)
        outcast = UserId(uuid4())
        await database.fetch(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF NEW.user_id::text = TG_ARGV[0] THEN RAISE 'no' USING ERRCODE = 'XX001'; END IF;"
            " RETURN NEW; END $$"
        )
        await database.fetch(f"CREATE TRIGGER no BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION no('{outcast}')")
        async with HoldDesk.open(database) as desk, asyncio.timeout(PATIENCE_S):
            first, refused, third = await asyncio.gather(
                desk.place(wish(seats[0])), desk.place(wish(seats[1], user_id=outcast)), desk.place(wish(seats[2])),
                return_exceptions=True,
            )  # fmt: skip
        assert isinstance(refused, asyncpg.DataCorruptedError)
        for answer in (first, third):
            assert isinstance(answer, bytes)
            assert msgspec.json.decode(answer)["bookingId"]

    async def test_whoever_waits_when_the_desk_closes_is_told(self, database: Database) -> None:
        seats = await put_on_sale(database, 4)
        async with database.transaction() as other, asyncio.timeout(PATIENCE_S):
            await other.fetch("LOCK TABLE customer_limits IN EXCLUSIVE MODE")
            async with HoldDesk.open(database) as desk:
                waiting = [asyncio.create_task(desk.place(wish(seat))) for seat in seats[:3]]
                await asyncio.sleep(0.05)
            for answer in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(answer, DatabaseUnavailableError)

    @pytest.mark.parametrize("together", [1, 3])
    async def test_a_database_that_has_gone_is_an_answer(self, database: Database, together: int) -> None:
        seats = await put_on_sale(database, 4)
        async with HoldDesk.open(database) as desk, asyncio.timeout(PATIENCE_S):
            waiting = [asyncio.create_task(desk.place(wish(seat))) for seat in seats[:together]]
            await asyncio.sleep(0)
            await database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            for answer in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(answer, bytes | DatabaseUnavailableError), answer
