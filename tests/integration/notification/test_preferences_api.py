"""/users/me/preferences and what they do: on each store, and while the store is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support import notification as made
from tests.support.mongodb import MONGODB, ON_ONE_WORKER, demand_mongodb
from tests.support.preferences import HERE, Notification, running
from tests.support.tokens import TokenFactory

from boxoffice.runtime.embedded.ports import free_port
from boxoffice.runtime.engines import mongodb
from boxoffice.simulators.mailbox import Mailbox

OFF = {**made.WISH, "receiveEmail": False}
AWAY = "runtime.mongodb_unavailable"


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    mailbox = Mailbox(folder=tmp_path / "mails")
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


@pytest.fixture(params=["postgresql", MONGODB])
async def service(
    request: pytest.FixtureRequest, notification_url: str, redis_url: str, mailbox: Mailbox, tokens: TokenFactory
) -> AsyncIterator[Notification]:
    url = request.getfixturevalue("mongodb_url") if request.param == "mongodb" else ""
    async with running(notification_url, redis_url, mailbox, tokens, mongodb_url=url) as one:
        yield one


async def until(fact: Callable[[], Awaitable[bool]], *, seconds: float = 30) -> None:
    """Wait for a fact."""
    async with asyncio.timeout(seconds):
        while not await fact():  # noqa: ASYNC110 - the fact is in another program
            await asyncio.sleep(0.05)


class TestMine:
    async def test_are_the_defaults_until_i_choose(self, service: Notification) -> None:
        answer = await service.read(uuid4())
        assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, made.WISH, '"v0"')
        assert answer.headers["cache-control"] == "private, no-store"

    async def test_are_what_i_chose_and_nobody_elses(self, service: Notification) -> None:
        mine, theirs = uuid4(), uuid4()
        wish = {"receiveEmail": False, "receiveSms": True, "receivePushNotifications": True, "preferredLanguage": "de"}
        answer = await service.write(mine, wish)
        assert (answer.status_code, answer.json(), answer.headers["etag"]) == (200, wish, '"v1"')
        assert (await service.read(mine)).json() == wish
        assert (await service.read(theirs)).json() == made.WISH

    async def test_need_a_token(self, service: Notification) -> None:
        assert (await service.client.get(HERE)).status_code == 401
        assert (await service.client.put(HERE, json=made.WISH)).status_code == 401

    async def test_change_only_from_what_i_have_seen(self, service: Notification) -> None:
        user_id = uuid4()
        first = await service.write(user_id, OFF, **{"If-Match": '"v0"'})
        second = await service.write(user_id, {**OFF, "preferredLanguage": "de"}, **{"If-Match": first.headers["etag"]})
        assert second.headers["etag"] == '"v2"'
        stale = await service.write(user_id, made.WISH, **{"If-Match": first.headers["etag"]})
        assert (stale.status_code, stale.json()["code"]) == (412, "notification.changed_meanwhile")
        assert stale.json()["version"] == 2
        assert (await service.read(user_id)).json() == {**OFF, "preferredLanguage": "de"}
        assert (await service.write(user_id, made.WISH, **{"If-Match": "*"})).headers["etag"] == '"v3"'

    @pytest.mark.parametrize("tag", ["v1", '"1"', '"v-1"', '""', '"v1", "v2"', '"v' + "9" * 30 + '"'])
    async def test_refuse_a_tag_that_is_none_of_ours(self, service: Notification, tag: str) -> None:
        answer = await service.write(uuid4(), OFF, **{"If-Match": tag})
        assert (answer.status_code, answer.json()["code"]) == (422, "notification.if_match_malformed")

    @pytest.mark.parametrize(
        "change",
        [
            {"receiveEmail": None}, {"receiveEmail": "yes"}, {"preferredLanguage": "english"},
            {"preferredLanguage": "x" * 41}, {"preferredLanguage": "en\n"}, {"more": True}, {"version": 1},
        ],
        ids=str,
    )  # fmt: skip
    async def test_refuse_what_cannot_be(self, service: Notification, change: dict[str, Any]) -> None:
        user_id = uuid4()
        answer = await service.write(user_id, {**made.WISH, **change})
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        missing = {name: value for name, value in made.WISH.items() if name not in change}
        if len(missing) < len(made.WISH):
            assert (await service.write(user_id, missing)).status_code == 422
        assert (await service.read(user_id)).headers["etag"] == '"v0"'

    async def test_are_gone_with_the_account(self, service: Notification) -> None:
        user_id = uuid4()
        await service.take(made.user_told(user_id))
        await service.write(user_id, OFF)
        await service.take(made.user_told(user_id, type_="erased", version=2))
        for answer in (await service.read(user_id), await service.write(user_id, OFF)):
            assert (answer.status_code, answer.json()["code"]) == (401, "notification.account_gone")
        await until(lambda: self.noted(service))

    async def noted(self, service: Notification) -> bool:
        return bool(await service.database.fetchval("SELECT preferences_erased_at IS NOT NULL FROM contacts"))


class TestMails:
    async def test_tickets_reach_who_turned_news_off(self, service: Notification) -> None:
        fact = made.order()
        await service.take(made.user_told(fact.user_id))
        await service.write(fact.user_id, OFF)
        await service.take(made.order_told("confirmed", fact))
        await until(lambda: self.is_in(service, fact.user_id, {"tickets": "sent"}))
        assert (await service.send_news(fact.user_id)).json()["code"] == "notification.recipient_declines"

    async def test_news_turned_off_while_they_waited_are_dropped(self, service: Notification) -> None:
        user_id = uuid4()
        await service.take(made.user_told(user_id))
        await service.database.fetchval("ALTER TABLE mail_jobs ALTER due_at SET DEFAULT 'infinity'")
        assert (await service.send_news(user_id)).status_code == 202
        await service.write(user_id, OFF)
        await service.make_due()
        await until(lambda: self.is_in(service, user_id, {"news": "dropped"}))
        assert service.subjects(user_id) == []

    async def test_news_reach_who_wants_them(self, service: Notification) -> None:
        user_id = uuid4()
        await service.take(made.user_told(user_id))
        assert (await service.send_news(user_id)).status_code == 202
        await until(lambda: self.is_in(service, user_id, {"news": "sent"}))
        assert service.subjects(user_id) == ["Doors"]

    @staticmethod
    async def is_in(service: Notification, user_id: Any, states: dict[str, str]) -> bool:
        return await service.states(user_id) == states


@ON_ONE_WORKER
@pytest.mark.timeout(600)
class TestMongodbAway:
    async def test_necessary_mails_go_on_and_nothing_is_made_up(
        self, notification_url: str, redis_url: str, mailbox: Mailbox, tokens: TokenFactory, tmp_path: Path
    ) -> None:
        demand_mongodb()
        port, fact, declines, wants = free_port(), made.order(), uuid4(), uuid4()
        url = f"mongodb://127.0.0.1:{port}/boxoffice"
        async with running(notification_url, redis_url, mailbox, tokens, mongodb_url=url) as service:
            await service.take(*(made.user_told(user_id) for user_id in (fact.user_id, declines, wants)))
            server = mongodb.start_ready(tmp_path / "server", log=tmp_path / "server.log", port=port)
            try:
                assert (await service.write(declines, OFF)).status_code == 200
                await service.database.fetchval("ALTER TABLE mail_jobs ALTER due_at SET DEFAULT 'infinity'")
                assert (await service.send_news(wants)).status_code == 202
                await service.database.fetchval("ALTER TABLE mail_jobs ALTER due_at SET DEFAULT clock_timestamp()")
            finally:
                server.stop()

            await service.make_due()
            await service.take(made.order_told("confirmed", fact), made.user_told(declines, type_="erased", version=2))
            await until(lambda: TestMails.is_in(service, fact.user_id, {"tickets": "sent"}), seconds=120)
            for answer in (
                await service.read(wants), await service.write(wants, OFF), await service.send_news(wants),
            ):  # fmt: skip
                assert (answer.status_code, answer.json()["code"]) == (503, AWAY)
                assert answer.headers["retry-after"] == "5"
            await until(lambda: self.is_tried(service), seconds=120)
            assert await service.states(wants) == {"news": "waiting"}
            assert service.subjects(wants) == []
            assert (await service.client.get("/health/ready")).status_code == 200

            server = mongodb.start_ready(tmp_path / "server", log=tmp_path / "server.log", port=port)
            try:
                await until(lambda: self.is_erased(service, declines), seconds=120)
                await service.make_due()
                await until(lambda: TestMails.is_in(service, wants, {"news": "sent"}), seconds=120)
                assert (await service.write(wants, OFF)).status_code == 200
            finally:
                server.stop()

    async def is_tried(self, service: Notification) -> bool:
        said = await service.database.fetchval("SELECT last_error FROM mail_jobs WHERE template = 'news'")
        return said == "whether it is wanted is not known"

    async def is_erased(self, service: Notification, user_id: Any) -> bool:
        return bool(
            await service.database.fetchval(
                "SELECT preferences_erased_at IS NOT NULL FROM contacts WHERE user_id = $1", user_id
            )
        )
