"""What every store of preferences must do, on each: versions, erasing, carrying, and no guessing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import uuid4

import pytest
from tests.support.mongodb import MONGODB, ON_ONE_WORKER

from boxoffice.kernel.ids import UserId
from boxoffice.runtime.database import Database, DatabaseBusyError
from boxoffice.runtime.mongodb import Documents, open_mongodb
from boxoffice.services.notification.domain.preferences import Chosen, Home, Preferences, PreferenceStore
from boxoffice.services.notification.domain.refusals import (
    AccountGoneError,
    PreferencesChangedError,
    PreferencesElsewhereError,
    PreferencesUnreadableError,
)
from boxoffice.services.notification.providers.mongo_preferences import MongoPreferences
from boxoffice.services.notification.store.preferences import PostgresPreferences
from boxoffice.services.notification.usecases.carry_preferences import ON_THE_WAY, adopt_home, carry_preferences
from boxoffice.services.notification.usecases.change_preferences import change_preferences
from boxoffice.services.notification.usecases.read_preferences import Choices, read_preferences, wanting_mail

Kind = Literal["postgresql", "mongodb"]
NO_MAIL = Preferences(receive_email=False, receive_sms=True, receive_push=True, language="zh-HK")


def somebody() -> UserId:
    return UserId(uuid4())


@pytest.fixture
async def database(notification_url: str) -> AsyncIterator[Database]:
    async with Database.open(notification_url, size=6) as opened:
        yield opened


@pytest.fixture
async def documents(mongodb_url: str) -> AsyncIterator[Documents]:
    async with open_mongodb(mongodb_url, name="test") as opened:
        yield opened


@pytest.fixture(params=["postgresql", MONGODB])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[PreferenceStore]:
    async with opened(request.param, request) as found:
        yield found


@asynccontextmanager
async def opened(kind: Kind, request: pytest.FixtureRequest) -> AsyncIterator[PreferenceStore]:
    if kind == "postgresql":
        async with Database.open(request.getfixturevalue("notification_url"), size=6) as database:
            yield PostgresPreferences(database)
    else:
        async with open_mongodb(request.getfixturevalue("mongodb_url"), name="test") as documents:
            yield MongoPreferences(documents)


async def of(store: PreferenceStore, user_id: UserId) -> Chosen | None:
    return (await store.read([user_id])).get(user_id)


class TestWrite:
    async def test_leaves_out_who_never_chose(self, store: PreferenceStore) -> None:
        chose, never = somebody(), somebody()
        await store.write(chose, NO_MAIL)
        assert await store.read([chose, never]) == {chose: Chosen(version=1, preferences=NO_MAIL)}

    async def test_keeps_what_was_chosen_last_under_a_version_that_grows(self, store: PreferenceStore) -> None:
        user_id = somebody()
        versions = [(await store.write(user_id, wish)).version for wish in (NO_MAIL, Preferences(), NO_MAIL)]
        assert versions == [1, 2, 3]
        assert await of(store, user_id) == Chosen(version=3, preferences=NO_MAIL)

    async def test_replaces_only_the_version_that_was_seen(self, store: PreferenceStore) -> None:
        user_id = somebody()
        first = await store.write(user_id, NO_MAIL, expected=0)
        second = await store.write(user_id, Preferences(language="de"), expected=first.version)
        assert second.version == 2
        for stale in (0, 1, 3):
            with pytest.raises(PreferencesChangedError) as refused:
                await store.write(user_id, Preferences(language="fr"), expected=stale)
            assert refused.value.context["version"] == 2
        assert await of(store, user_id) == second

    async def test_a_version_of_somebody_who_never_chose_is_refused(self, store: PreferenceStore) -> None:
        user_id = somebody()
        with pytest.raises(PreferencesChangedError):
            await store.write(user_id, NO_MAIL, expected=7)
        assert await of(store, user_id) is None

    async def test_writers_without_a_version_lose_one_anothers_changes(self, store: PreferenceStore) -> None:
        """The control: what the next test shows would not be shown by a store that never conflicts."""
        user_id = somebody()
        seen = await store.write(user_id, Preferences())
        assert seen.preferences is not None
        await store.write(user_id, Preferences(receive_email=False))
        await store.write(user_id, Preferences(language="de"))  # made from what both have seen
        last = await of(store, user_id)
        assert last == Chosen(version=3, preferences=Preferences(receive_email=True, language="de"))

    async def test_writers_with_a_version_lose_nothing(self, store: PreferenceStore) -> None:
        user_id = somebody()
        await store.write(user_id, Preferences())

        async def change(**fields: Any) -> None:
            while True:
                seen = await of(store, user_id)
                assert seen is not None
                assert seen.preferences is not None
                kept = {name: getattr(seen.preferences, name) for name in ("receive_email", "receive_sms", "language")}
                try:
                    await store.write(user_id, Preferences(**{**kept, **fields}), expected=seen.version)
                except (PreferencesChangedError, DatabaseBusyError):  # the second: a busy machine, try again
                    continue
                return

        await asyncio.gather(
            change(receive_email=False), change(receive_sms=True), change(language="de"),
        )  # fmt: skip
        assert await of(store, user_id) == Chosen(
            version=4, preferences=Preferences(receive_email=False, receive_sms=True, language="de")
        )

    @pytest.mark.parametrize("expected", [0, None])
    async def test_first_writes_at_once_are_one_record(self, store: PreferenceStore, expected: int | None) -> None:
        user_id = somebody()
        outcomes = await asyncio.gather(
            *(store.write(user_id, NO_MAIL, expected=expected) for _ in range(12)), return_exceptions=True
        )
        won = [one for one in outcomes if isinstance(one, Chosen)]
        busy = [one for one in outcomes if isinstance(one, DatabaseBusyError)]  # on a busy machine: nothing was written
        lost = [one for one in outcomes if isinstance(one, PreferencesChangedError)]
        assert len(won) + len(lost) + len(busy) == 12
        assert len(won) == (1 if expected == 0 else 12 - len(busy))
        assert await of(store, user_id) == Chosen(version=len(won), preferences=NO_MAIL)


class TestErase:
    @pytest.mark.parametrize("chose", [True, False])
    async def test_leaves_only_that_the_user_is_gone(self, store: PreferenceStore, *, chose: bool) -> None:
        user_id, other = somebody(), somebody()
        await store.write(other, NO_MAIL)
        if chose:
            await store.write(user_id, NO_MAIL)
        for _ in range(2):
            await store.erase(user_id)
        found = await of(store, user_id)
        assert found is not None
        assert found.erased
        assert await of(store, other) == Chosen(version=1, preferences=NO_MAIL)

    async def test_nothing_brings_a_user_back(self, store: PreferenceStore) -> None:
        user_id = somebody()
        await store.write(user_id, NO_MAIL)
        await store.erase(user_id)
        for expected in (None, 0, 1, 2):
            with pytest.raises(AccountGoneError):
                await store.write(user_id, NO_MAIL, expected=expected)
        await store.carry(user_id, Chosen(version=99, preferences=NO_MAIL))
        found = await of(store, user_id)
        assert found is not None
        assert found.erased

    async def test_wins_against_writes_at_the_same_time(self, store: PreferenceStore) -> None:
        users = [somebody() for _ in range(10)]
        await asyncio.gather(
            *(store.write(user_id, NO_MAIL) for user_id in users), *(store.erase(user_id) for user_id in users),
            return_exceptions=True,
        )  # fmt: skip
        assert all(chosen.erased for chosen in (await store.read(users)).values())
        assert len(await store.read(users)) == 10


class TestPage:
    async def test_reads_everything_once_in_order(self, store: PreferenceStore) -> None:
        users = sorted(somebody() for _ in range(7))
        for user_id in users:
            await store.write(user_id, NO_MAIL)
        await store.erase(users[3])
        seen: list[UserId] = []
        while page := await store.page(seen[-1] if seen else None, limit=3):
            seen += [user_id for user_id, _ in page]
            assert all(chosen.erased == (user_id == users[3]) for user_id, chosen in page)
        assert seen == users
        await store.clear()
        assert not await store.page(None, limit=3)


class TestNoGuessing:
    WRONG = ({}, {"receiveEmail": "no"}, {"receiveEmail": True, "receiveSms": False, "receivePush": False}, [], "off")

    @pytest.mark.parametrize("wrong", WRONG, ids=str)
    async def test_a_record_that_cannot_be_read_is_no_default_in_postgresql(
        self, database: Database, wrong: Any
    ) -> None:
        user_id = somebody()
        await database.fetchval(
            "INSERT INTO preferences (user_id, version, chosen) VALUES ($1, 1, $2) RETURNING 1", user_id, wrong
        )
        await self.nobody_guesses(database, PostgresPreferences(database), user_id)

    @pytest.mark.parametrize("wrong", [*WRONG, None], ids=str)
    @ON_ONE_WORKER
    async def test_a_record_that_cannot_be_read_is_no_default_in_mongodb(
        self, database: Database, documents: Documents, wrong: Any
    ) -> None:
        user_id, store = somebody(), MongoPreferences(documents)
        await adopt_home(database, store)
        await documents["preferences"].insert_one({"_id": user_id, "version": 1, "chosen": wrong})
        await self.nobody_guesses(database, store, user_id)

    async def nobody_guesses(self, database: Database, store: PreferenceStore, user_id: UserId) -> None:
        choices = Choices(database=database, store=store)
        with pytest.raises(PreferencesUnreadableError):
            await read_preferences(choices, user_id)
        with pytest.raises(PreferencesUnreadableError):
            await wanting_mail(choices, [user_id])


@ON_ONE_WORKER
class TestCarry:
    async def test_there_and_back_loses_nothing(self, database: Database, documents: Documents) -> None:
        here, there = PostgresPreferences(database), MongoPreferences(documents)
        users = [somebody() for _ in range(12)]
        for user_id in users:
            await here.write(user_id, NO_MAIL)
        await here.write(users[0], Preferences(language="de"))
        await here.erase(users[1])
        before = await here.read(users)
        assert await carry_preferences(database, here=here, there=there, drain_s=0) == 12
        assert await there.read(users) == before
        assert not await here.page(None, limit=1)
        assert await carry_preferences(database, here=here, there=there, drain_s=0) is None
        await there.write(users[2], Preferences(), expected=1)
        await there.erase(users[3])
        after = await there.read(users)
        assert await carry_preferences(database, here=there, there=here, drain_s=0) == 12
        assert await here.read(users) == after

    async def test_begins_again_where_it_broke_off(self, database: Database, documents: Documents) -> None:
        here, there = PostgresPreferences(database), MongoPreferences(documents)
        users = sorted(somebody() for _ in range(4))
        for user_id in users:
            await here.write(user_id, NO_MAIL)

        class Breaking(MongoPreferences):
            async def carry(self, user_id: UserId, chosen: Chosen) -> None:
                if user_id == users[2]:
                    raise ConnectionError("in the middle")
                await super().carry(user_id, chosen)

        with pytest.raises(ConnectionError):
            await carry_preferences(database, here=here, there=Breaking(documents), drain_s=0)
        assert await database.fetchval("SELECT home FROM preference_home") == ON_THE_WAY
        for store in (here, there):  # nobody is told anything from a half
            with pytest.raises(PreferencesElsewhereError):
                await wanting_mail(Choices(database=database, store=store), users)
        assert await carry_preferences(database, here=here, there=there, drain_s=0) == 4
        assert await wanting_mail(Choices(database=database, store=there), users) == set()

    async def test_a_store_that_is_not_the_home_is_not_believed(self, database: Database, documents: Documents) -> None:
        """Without this, MongoDB set for a shop with preferences would send news to everybody who declined."""
        user_id, here, there = somebody(), PostgresPreferences(database), MongoPreferences(documents)
        await here.write(user_id, NO_MAIL)
        assert await there.read([user_id]) == {}, "the control: the other store knows nothing of the choice"
        await adopt_home(database, there)
        wrong = Choices(database=database, store=there)
        with pytest.raises(PreferencesElsewhereError, match="kept in postgresql"):
            await wanting_mail(wrong, [user_id])
        with pytest.raises(PreferencesElsewhereError):
            await read_preferences(wrong, user_id)
        with pytest.raises(PreferencesElsewhereError):
            await change_preferences(wrong, user_id, Preferences())
        assert await wanting_mail(Choices(database=database, store=here), [user_id]) == set()

    async def test_a_shop_that_begins_with_mongodb_has_nothing_to_carry(
        self, database: Database, documents: Documents
    ) -> None:
        there = MongoPreferences(documents)
        await adopt_home(database, there)
        assert await database.fetchval("SELECT home FROM preference_home") == Home.MONGODB
        user_id = somebody()
        assert await wanting_mail(Choices(database=database, store=there), [user_id]) == {user_id}
        with pytest.raises(PreferencesElsewhereError, match="kept in mongodb"):
            await wanting_mail(Choices(database=database, store=PostgresPreferences(database)), [user_id])
