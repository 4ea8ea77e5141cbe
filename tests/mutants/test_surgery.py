"""The knife itself: what it replaces is the product's own text, it notices a stale passage, and it puts things back."""

from collections.abc import AsyncIterator

import pytest
from tests.mutants import surgery
from tests.mutants.surgery import NotThereError, edited, reworded, rewritten
from tests.support.sales import put_on_sale

from boxoffice.kernel.money import Money
from boxoffice.runtime.database import Database
from boxoffice.services.sales.domain.refund import refund_of
from boxoffice.services.sales.store import tickets


@pytest.fixture
async def database(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url, size=2) as opened:
        yield opened


def half() -> int:
    return refund_of(Money(1_000, "USD"), 50).minor


class TestEdited:
    def test_replaces_a_passage_and_puts_it_back(self) -> None:
        assert half() == 500
        with edited(refund_of, "return ", "return given or ", given=Money(7, "USD")):
            assert half() == 7
        assert half() == 500
        assert "given" not in refund_of.__globals__

    def test_stacks_on_one_function(self) -> None:
        with edited(refund_of, "return ", "return one or ", one=Money(1, "USD")):
            with edited(refund_of, "return one", "return two or one", two=Money(2, "USD")):
                assert half() == 2
            assert half() == 1
        assert half() == 500

    def test_puts_things_back_after_a_failure(self) -> None:
        with pytest.raises(ZeroDivisionError), edited(refund_of, "return ", "return 1 / 0 or "):
            half()
        assert half() == 500

    def test_refuses_a_passage_that_is_not_there(self) -> None:
        with pytest.raises(NotThereError), edited(refund_of, "no such passage", ""):
            pass

    def test_refuses_a_passage_that_is_there_twice(self) -> None:
        with pytest.raises(NotThereError):
            surgery.replaced("a a", "a", "b")


class TestReworded:
    def test_replaces_a_passage_and_puts_it_back(self) -> None:
        intact = tickets.VOID
        with reworded(tickets, "VOID", "state = 'valid'", "true"):
            assert intact != tickets.VOID
        assert intact == tickets.VOID


class TestRewritten:
    async def test_replaces_a_passage_of_a_routine(self, database: Database) -> None:
        await put_on_sale(database, 1)
        async with rewritten(database, "is_open", "state = 'free' OR", "true OR"):
            assert await database.fetchval("SELECT is_open('sold', NULL)") is True

    async def test_refuses_a_passage_that_is_not_there(self, database: Database) -> None:
        with pytest.raises(NotThereError):
            async with rewritten(database, "is_open", "no such passage", ""):
                pass
