"""The auditor while the sale runs: a breach stops the sale of its event within seconds, the others go on, a person lifts it."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.integration.sales.test_audit import DAMAGE, NO_GUARDS
from tests.support.sales import SIGNER, buy, hold, hold_places, put_areas_on_sale, put_on_sale, start_payment

from boxoffice.kernel.ids import EventId, SeatId
from boxoffice.runtime.database import Database
from boxoffice.runtime.jobs import running
from boxoffice.services.sales.domain.refusals import EventNotFoundError, SaleHaltedError
from boxoffice.services.sales.jobs import WATCH_TIMEOUT_MS, watch_jobs
from boxoffice.services.sales.store import terms
from boxoffice.services.sales.store.audit import RULES, SCOPE, within_events
from boxoffice.services.sales.usecases.audit import audit
from boxoffice.services.sales.usecases.exchange_tickets import Wish, exchange_tickets
from boxoffice.services.sales.usecases.lift_halt import lift_halt
from boxoffice.services.sales.usecases.watch_sale import Watch

BROKEN, HEALTHY = EventId(7), EventId(8)
HALTED_WITHIN_S = 40.0
"""Five seconds between looks that are short, thirty between long ones, and a machine that other tests share."""
TABLE = re.compile(r"\b(?<!DISTINCT )(?:FROM|JOIN) +([a-z_]+)\b(?!\()")
EXTRACT = re.compile(r"extract\([^)]*\)")
OWN_PART = re.compile(r"(\w+) AS \(\s*SELECT")


@pytest.fixture
async def sale(sales_url: str) -> AsyncIterator[Database]:
    async with Database.open(sales_url, size=4, statement_timeout_ms=WATCH_TIMEOUT_MS) as opened:
        yield opened


@pytest.fixture
async def seats(sale: Database) -> dict[EventId, list[SeatId]]:
    found = {event: await put_on_sale(sale, 20, event_id=event) for event in (BROKEN, HEALTHY)}
    await buy(sale, found[BROKEN][:2])
    await hold(sale, found[BROKEN][2:4])
    paying, _ = await hold(sale, found[BROKEN][4:6])
    await start_payment(sale, paying)
    bought, owner, _ = await buy(sale, found[BROKEN][6:8])
    async with sale.transaction() as tx:
        wish = Wish(order_id=bought, user_id=owner, give=[found[BROKEN][6]], take=[found[BROKEN][8]])
        await exchange_tickets(tx, wish, signer=SIGNER)
    await put_areas_on_sale(sale, {"Standing": 3}, event_id=9)
    await hold_places(sale, 2, event_id=9)
    return found


async def break_it(sale: Database, rule: str = "sold_seat_has_its_ticket") -> None:
    await sale.fetch(NO_GUARDS)
    await sale.fetch(DAMAGE[rule])


async def halted(sale: Database, event: EventId) -> str | None:
    found = await terms.of_event(sale, event)
    assert found is not None
    return found.halted_because


class TestWatch:
    async def test_stops_the_sale_of_a_broken_event_within_seconds_and_no_other(
        self, sale: Database, seats: dict[EventId, list[SeatId]]
    ) -> None:
        async with running(watch_jobs(sale)):
            await asyncio.sleep(0.5)
            assert await halted(sale, BROKEN) is None
            await break_it(sale)
            async with asyncio.timeout(HALTED_WITHIN_S):
                while await halted(sale, BROKEN) is None:  # noqa: ASYNC110 - it is the database that tells
                    await asyncio.sleep(0.1)
        with pytest.raises(SaleHaltedError):
            await hold(sale, seats[BROKEN][10:11], event_id=BROKEN)
        await hold(sale, seats[HEALTHY][10:11], event_id=HEALTHY)
        assert await halted(sale, HEALTHY) is None

    async def test_says_which_rule_and_which_records_and_alarms(
        self, sale: Database, seats: dict[EventId, list[SeatId]]
    ) -> None:
        await break_it(sale)
        with capture_logs() as logs:
            await Watch(sale).look()
        because = await halted(sale, BROKEN)
        assert because is not None
        assert "I1 sold_seat_has_its_ticket" in because
        assert any(f'"seat_id": {seat}' in because for seat in seats[BROKEN][:2])
        assert "sale.halted" in [entry["event"] for entry in logs if entry.get("alarm")]
        assert REGISTRY.get_sample_value("boxoffice_audit_findings", {"rule": "sold_seat_has_its_ticket"}) == 1
        assert REGISTRY.get_sample_value("boxoffice_events_halted") == 1
        age = REGISTRY.get_sample_value("boxoffice_audit_age_seconds")
        assert age is not None
        assert 0 <= age < 60

    @pytest.mark.usefixtures("seats")
    @pytest.mark.parametrize("rule", [rule.name for rule in RULES if rule.halts])
    async def test_names_the_event_of_each_breach_that_stops_a_sale(self, sale: Database, rule: str) -> None:
        await break_it(sale, rule)
        await Watch(sale).look()
        because = await halted(sale, BROKEN)
        assert because is not None
        assert rule in because
        assert await halted(sale, HEALTHY) is None

    @pytest.mark.usefixtures("seats")
    @pytest.mark.parametrize("rule", [rule.name for rule in RULES if not rule.halts])
    async def test_alarms_for_the_rest_and_lets_the_sale_go_on(self, sale: Database, rule: str) -> None:
        await break_it(sale, rule)
        with capture_logs() as logs:
            await Watch(sale).look()
        assert rule in {entry.get("rule") for entry in logs if entry.get("alarm")}
        assert await halted(sale, BROKEN) is None

    @pytest.mark.usefixtures("seats")
    async def test_finds_nothing_in_a_sale_as_it_should_be(self, sale: Database) -> None:
        await Watch(sale).look()
        assert await halted(sale, BROKEN) is None
        assert await audit(sale, [BROKEN, HEALTHY]) == []

    @pytest.mark.usefixtures("seats")
    async def test_stands_by_while_another_process_watches(self, sale: Database) -> None:
        await break_it(sale)
        async with sale.connection() as other:
            await other.fetchval("SELECT pg_advisory_lock($1)", 0x0B0C_0003)
            await Watch(sale).look()
            assert await halted(sale, BROKEN) is None
            await other.fetchval("SELECT pg_advisory_unlock($1)", 0x0B0C_0003)
        await Watch(sale).look()
        assert await halted(sale, BROKEN) is not None

    def test_narrows_every_table_that_a_rule_reads(self) -> None:
        for rule in RULES:
            read = set(TABLE.findall(EXTRACT.sub("", rule.sql))) - set(OWN_PART.findall(rule.sql))
            assert read <= SCOPE.keys(), f"{rule.name} reads a table that SCOPE does not narrow"
            assert within_events(rule).count("WITH ") >= 1

    async def test_no_narrowed_table_is_written_out_before_a_rule_asks(self, database: Database) -> None:
        """A view that is materialised is asked once for each record of another: the square of what an event sold."""
        for rule in RULES:
            plan = await database.fetch("EXPLAIN " + within_events(rule), [1])
            written_out = [name for name in SCOPE if any(f"CTE {name}" == row[0].strip() for row in plan)]
            assert not written_out, f"{rule.name} writes {written_out} out"


class TestLifting:
    @pytest.mark.usefixtures("seats")
    async def test_is_refused_while_it_is_still_broken_and_says_with_what(self, sale: Database) -> None:
        await break_it(sale)
        await Watch(sale).look()
        lift = await lift_halt(sale, BROKEN)
        assert not lift.lifted
        assert "sold_seat_has_its_ticket" in [finding.name for finding in lift.findings]
        assert await halted(sale, BROKEN) is not None

    async def test_lets_the_sale_go_on_once_it_is_put_right(
        self, sale: Database, seats: dict[EventId, list[SeatId]]
    ) -> None:
        await sale.fetch("CREATE TABLE spare AS SELECT * FROM tickets")
        await break_it(sale)
        await Watch(sale).look()
        await sale.fetch("INSERT INTO tickets SELECT * FROM spare ON CONFLICT DO NOTHING")
        await sale.fetch("DELETE FROM tickets k USING tickets j WHERE k.ctid > j.ctid AND k.ticket_id = j.ticket_id")
        assert (await lift_halt(sale, BROKEN)).lifted
        await hold(sale, seats[BROKEN][10:11], event_id=BROKEN)

    async def test_does_not_stop_again_for_what_a_person_accepted_and_does_for_anything_new(
        self, sale: Database, seats: dict[EventId, list[SeatId]]
    ) -> None:
        await break_it(sale)
        await Watch(sale).look()
        assert (await lift_halt(sale, BROKEN, accept="Both guests were seated by hand.")).lifted
        await Watch(sale).look()
        assert await halted(sale, BROKEN) is None
        await hold(sale, seats[BROKEN][10:11], event_id=BROKEN)
        await sale.fetch(DAMAGE["hold_has_all_its_seats"])
        await Watch(sale).look()
        assert await halted(sale, BROKEN) is not None

    async def test_refuses_an_event_that_nobody_knows(self, sale: Database) -> None:
        with pytest.raises(EventNotFoundError):
            await lift_halt(sale, EventId(404))
