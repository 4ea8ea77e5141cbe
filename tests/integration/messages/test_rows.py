"""The catalog's events table, row by row, from the real Debezium into the index: also what no message ever told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from tests.integration.messages.facts import until
from tests.support.catalog import Catalog, running_catalog
from tests.support.connect import Worker
from tests.support.tokens import TokenFactory

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages import catalog as contract
from boxoffice.contracts.messages.catalog import EventRow
from boxoffice.runtime import connectors
from boxoffice.runtime.bus.kafka import KafkaBus
from boxoffice.runtime.bus.rows import envelope_of_row, row_of
from boxoffice.runtime.connectors import ConnectApi, ConnectRefusedError
from boxoffice.services.search import consumers
from boxoffice.services.search.consumers import rows_consumer
from boxoffice.services.search.domain.listing import Entry, ListingChange
from boxoffice.services.search.providers.folder_shelf import FolderShelf
from boxoffice.services.search.usecases.follow_rows import LAST_VERSION
from boxoffice.services.search.usecases.take_changes import Intake

KAFKA = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(300)]
IS_READ = "SELECT active FROM pg_replication_slots WHERE slot_name = $1"


def record(key: Any, value: Any, offset: int = 5) -> Any:
    """What the client hands out of the topic."""
    return SimpleNamespace(
        topic="shop.catalog.events.rows", partition=0, offset=offset, timestamp=1_700_000_000_000, headers=(),
        key=msgspec.json.encode(key), value=None if value is None else msgspec.json.encode(value),
    )  # fmt: skip


def read(key: Any, value: Any) -> Envelope:
    return envelope_of_row(record(key, value), topic=contract.ROWS_TOPIC)


class TestRecords:
    def test_the_seed_read_a_null_when_a_row_was_deleted(self) -> None:
        """A deleted row comes twice: with its key alone in ``before``, and as a record that has no value at all."""
        deleted = read({"id": 7}, {"op": "d", "before": {"id": 7, "status": None, "version": 0}, "after": None})
        tombstone = read({"id": 7}, None)
        for envelope in (deleted, tombstone):
            assert (envelope.key, envelope.type_, envelope.version) == ("7", "row.deleted", 0)
            assert consumers.row_of(envelope) == EventRow(id=7)

    def test_a_change_is_its_newest_state(self) -> None:
        row = {"id": 7, "status": "published", "version": 3, "name": "not needed"}
        for op, type_ in (("c", "row.inserted"), ("u", "row.updated"), ("r", "row.read")):
            envelope = read({"id": 7}, {"op": op, "before": None, "after": row})
            assert (envelope.type_, envelope.version) == (type_, 3)
            assert consumers.row_of(envelope) == EventRow(id=7, status="published", version=3)

    @pytest.mark.parametrize("value", [{"op": "x"}, {"id": 7}, [], "text"])
    def test_what_is_no_change_is_said_to_be_none(self, value: Any) -> None:
        with pytest.raises(ValueError, match="is no change of a row"):
            read({"id": 7}, value)

    @pytest.mark.parametrize("value", [None, {"op": "c", "after": {"id": 7, "version": 1}}])
    def test_goes_back_as_it_came(self, value: Any) -> None:
        key, body = row_of(read({"id": 7}, value))
        assert (key, body) == (b'{"id":7}', None if value is None else msgspec.json.encode(value))


class Index:
    """The index in a folder, fed by rows alone."""

    def __init__(self, folder: Path) -> None:
        self.shelf = FolderShelf(folder)
        self.shelf.open()
        self.intake = Intake(self.shelf)

    def entry(self, event_id: int) -> Entry:
        return self.shelf.engine.entries([event_id]).get(event_id) or Entry(event_id=event_id)

    def name(self, event_id: int) -> str | None:
        listing = self.entry(event_id).listing
        return listing.name if listing else None


@pytest.fixture
async def catalog(catalog_url: str, redis_url: str, tokens: TokenFactory) -> AsyncIterator[Catalog]:
    async with running_catalog(catalog_url, redis_url, tokens) as running:
        yield running


@pytest.fixture
def index(tmp_path: Path) -> Any:
    opened = Index(tmp_path / "index")
    yield opened
    opened.shelf.close()


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "GRACE_S", 0.0)


def told_row(event_id: int, status: str | None, version: int | None) -> Envelope:
    after = None if version is None else {"id": event_id, "status": status, "version": version}
    value = None if after is None else {"op": "u", "before": None, "after": after}
    return read({"id": event_id}, value)


class TestFollowing:
    """Rows and messages in any order end in the same index."""

    async def test_a_row_that_a_message_told_changes_nothing(self, catalog: Catalog, index: Index) -> None:
        made = await catalog.published(name="Told")
        known = ListingChange(event_id=made["id"], version=made["version"], listing=None)
        await index.intake.take([known])
        await rows_consumer(index.shelf, index.intake, catalog.peers).take(
            told_row(made["id"], "published", made["version"])
        )
        assert index.name(made["id"]) is None, "the same version: the row has nothing to add"

    async def test_what_no_message_told_is_asked_of_the_catalog(self, catalog: Catalog, index: Index) -> None:
        made = await catalog.published(name="Untold")
        take = rows_consumer(index.shelf, index.intake, catalog.peers).take
        await take(told_row(made["id"], "published", 1))
        assert (index.name(made["id"]), index.entry(made["id"]).listing_version) == ("Untold", made["version"])

    @pytest.mark.parametrize("status", ["draft", "deleted"])
    async def test_what_nobody_may_find_leaves_the_index(self, catalog: Catalog, index: Index, status: str) -> None:
        made = await catalog.published(name="Gone soon")
        take = rows_consumer(index.shelf, index.intake, catalog.peers).take
        await take(told_row(made["id"], "published", 1))
        await take(told_row(made["id"], status, made["version"] + 1))
        assert index.name(made["id"]) is None

    async def test_a_deleted_row_is_gone_whatever_comes_later(self, catalog: Catalog, index: Index) -> None:
        made = await catalog.published(name="Gone")
        take = rows_consumer(index.shelf, index.intake, catalog.peers).take
        await take(told_row(made["id"], "published", 1))
        listing = index.entry(made["id"]).listing
        await take(told_row(made["id"], None, None))
        await index.intake.take([ListingChange(event_id=made["id"], version=99, listing=listing)])
        await take(told_row(made["id"], "published", 1))
        assert index.entry(made["id"]) == Entry(event_id=made["id"], listing_version=LAST_VERSION)


class Followed:
    """The connector on the catalog's events table."""

    def __init__(self, worker: Worker, catalog: Catalog, url: str, shop: str) -> None:
        self.reading = connectors.readings([], shop)[-1]
        self.name, self.configuration = connectors.connector(
            self.reading, url, user=urlsplit(url).username or "", shop=shop
        )
        self.worker, self.database = worker, catalog.database

    async def apply(self) -> None:
        await self.database.fetch(self.reading.make_publication)
        with closing(ConnectApi(self.worker.connect.url)) as api:
            api.apply(self.name, self.configuration)
        await until(self.is_read)

    async def is_read(self) -> bool:
        return bool(await self.database.fetchval(IS_READ, self.reading.slot))

    async def remove(self) -> None:
        with suppress(ConnectRefusedError), closing(ConnectApi(self.worker.connect.url)) as api:
            api.remove(self.name)
        await until(self._is_dropped)

    async def _is_dropped(self) -> bool:
        try:
            await self.database.fetch("SELECT pg_drop_replication_slot($1)", self.reading.slot)
        except asyncpg.ObjectInUseError:
            return False
        except asyncpg.UndefinedObjectError:
            return True
        return True


class TestDebezium:
    pytestmark = KAFKA

    async def test_keeps_the_index_right_also_where_no_message_was_told(
        self, catalog: Catalog, catalog_url: str, index: Index, kafka: KafkaBus, worker: Worker, shop: str
    ) -> None:
        before = await catalog.published(name="There before the connector")
        await kafka.make({contract.ROWS_TOPIC})
        followed = Followed(worker, catalog, catalog_url, shop)
        consumer = rows_consumer(index.shelf, index.intake, catalog.peers)
        try:
            await followed.apply()
            async with kafka.consuming([consumer]):
                await until(lambda: index.name(before["id"]) == "There before the connector")
                draft = await catalog.event(name="A draft")
                after = await catalog.published(name="Published after")
                await until(lambda: index.name(after["id"]) == "Published after")
                assert index.entry(after["id"]).listing_version == after["version"]
                await until(lambda: index.entry(draft["id"]).listing_version == 1)
                assert index.name(draft["id"]) is None

                by_hand = "UPDATE events SET name = 'By hand', version = version + 1 WHERE id = $1"
                await catalog.database.fetch(by_hand, after["id"])
                await until(lambda: index.name(after["id"]) == "By hand")

                await catalog.database.fetch("DELETE FROM events WHERE id = $1", before["id"])
                await until(lambda: index.entry(before["id"]).listing_version == LAST_VERSION)
                assert index.name(before["id"]) is None
            await self._told_as_agreed(kafka, before["id"], after["id"])
        finally:
            await followed.remove()

    async def _told_as_agreed(self, kafka: KafkaBus, deleted: int, changed: int) -> None:
        await until(lambda: _ends_with_a_tombstone(kafka, deleted))
        told = [envelope async for envelope in kafka.retained(contract.ROWS_TOPIC)]
        of_deleted = [one for one in told if one.key == str(deleted)]
        assert [one.type_ for one in of_deleted] == ["row.read", "row.deleted", "row.deleted"]
        assert bytes(of_deleted[-1].body) == b"null", "the tombstone"
        assert b"description" not in bytes(of_deleted[0].body)
        of_changed = [one.version for one in told if one.key == str(changed)]
        assert of_changed == sorted(of_changed)
        assert datetime.now(UTC) - told[-1].occurred_at < timedelta(minutes=5)
        assert [letter async for letter in kafka.dead_letters(consumers.ROWS_CONSUMER)] == []


async def _ends_with_a_tombstone(kafka: KafkaBus, event_id: int) -> bool:
    await asyncio.sleep(0)
    told = [one async for one in kafka.retained(contract.ROWS_TOPIC) if one.key == str(event_id)]
    return bool(told) and bytes(told[-1].body) == b"null"
