"""Notification's HTTP: my own list, sending by staff, what is still to come."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
import redis
from litestar import Litestar
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import AsyncTestClient, TestClient
from tests.support import notification as made
from tests.support.tokens import TokenFactory

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.bus.streams import FIELD
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.notification.app import build
from boxoffice.simulators.mailbox import Mailbox

HERE = "/api/v1/notifications"


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    mailbox = Mailbox(folder=tmp_path / "mails")
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


class KnownPeers(Peers):
    """Peers whose identity is a token factory."""

    def __init__(self, tokens: TokenFactory) -> None:
        super().__init__({})
        self._tokens = tokens

    async def jwks(self) -> dict[str, Any]:
        return await self._tokens.jwks()


@pytest.fixture
def service(notification_url: str, redis_url: str, mailbox: Mailbox, tokens: TokenFactory) -> Litestar:
    settings = Settings(
        notification_database_url=notification_url, redis_url=redis_url, smtp_port=mailbox.smtp_port,
        public_url="https://shop.example/", mail_from="tickets@shop.example", database_pool_size=4,
    )  # fmt: skip
    return build(settings, KnownPeers(tokens))


@pytest.fixture
async def client(service: Litestar) -> AsyncIterator[AsyncTestClient[Litestar]]:
    async with AsyncTestClient(service) as client:
        yield client


def tell(redis_url: str, *envelopes: Envelope) -> None:
    """Put messages on the bus as a relay does."""
    with redis.Redis.from_url(redis_url) as store:
        for envelope in envelopes:
            store.xadd(envelope.topic, {FIELD: msgspec.json.encode(envelope)})


async def until_state(client: AsyncTestClient[Litestar], headers: dict[str, str], state: str, count: int = 1) -> Any:
    """Ask until so many notifications are in a state."""
    import asyncio

    for _ in range(200):
        answer = (await client.get(HERE, headers=headers)).json()
        if [entry["state"] for entry in answer["notifications"]] == [state] * count:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError(answer)


class TestWholeService:
    async def test_turns_messages_on_the_bus_into_mail(
        self, client: AsyncTestClient[Litestar], redis_url: str, mailbox: Mailbox, tokens: TokenFactory
    ):
        fact = made.order()
        tell(redis_url, made.order_told("confirmed", fact), made.user_told(fact.user_id))
        answer = await until_state(client, tokens.headers(fact.user_id), "sent")
        (entry,) = answer["notifications"]
        assert entry["bookingId"] == str(fact.order_id)
        assert (entry["channel"], entry["template"]) == ("email", "tickets")
        assert entry["title"] == "Your tickets: Dvořák: From the New World"
        assert entry["sentAt"]
        assert [found.recipients for found in mailbox.folder.newest()] == [(f"{fact.user_id}@example.org",)]

    async def test_is_ready(self, client: AsyncTestClient[Litestar]):
        assert (await client.get("/health/ready")).json()["parts"] == {"database": "ok"}


class TestList:
    async def test_shows_nobody_anothers(self, client: AsyncTestClient[Litestar], redis_url: str, tokens: TokenFactory):
        fact = made.order()
        tell(redis_url, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await until_state(client, tokens.headers(fact.user_id), "sent")
        other = await client.get(HERE, headers=tokens.headers(uuid4(), ("customer", "administrator")))
        assert other.json() == {
            "notifications": [], "pageNumber": 0, "pageSize": 20, "totalElement": 0, "totalPages": 0, "isLast": True,
        }  # fmt: skip

    async def test_needs_a_token(self, client: AsyncTestClient[Litestar]):
        assert (await client.get(HERE)).status_code == 401

    async def test_gives_pages_newest_first(
        self, client: AsyncTestClient[Litestar], redis_url: str, tokens: TokenFactory
    ):
        user_id = uuid4()
        tell(redis_url, made.user_told(user_id))
        for _ in range(3):
            tell(redis_url, made.order_told("confirmed", made.order(user_id=user_id)))
        headers = tokens.headers(user_id)
        everything = await until_state(client, headers, "sent", 3)
        pages = [
            (await client.get(HERE, headers=headers, params={"pageNo": number, "pageSize": 2})).json()
            for number in range(3)
        ]
        assert [len(page["notifications"]) for page in pages] == [2, 1, 0]
        assert [page["isLast"] for page in pages] == [False, True, True]
        assert {page["totalElement"] for page in pages} == {3}
        assert pages[0]["notifications"] + pages[1]["notifications"] == everything["notifications"]

    @pytest.mark.parametrize(
        "query",
        [{"pageSize": 0}, {"pageSize": 101}, {"pageSize": 10**9}, {"pageNo": -1}, {"pageNo": "x"}, {"pageNo": 10**12}],
    )
    async def test_refuses_a_page_that_cannot_be(
        self, client: AsyncTestClient[Litestar], tokens: TokenFactory, query: dict[str, Any]
    ):
        answer = await client.get(HERE, headers=tokens.headers(uuid4()), params=query)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


class TestSend:
    @pytest.fixture
    async def reader(self, client: AsyncTestClient[Litestar], redis_url: str, tokens: TokenFactory) -> UUID:
        """A user whose contact is known."""
        user_id = uuid4()
        tell(redis_url, made.user_told(user_id), made.link_told("verify_email", user_id))
        await until_state(client, tokens.headers(user_id), "sent")
        import asyncio

        await asyncio.sleep(0.2)
        return user_id

    async def send(
        self,
        client: AsyncTestClient[Litestar],
        tokens: TokenFactory,
        user_id: UUID,
        *,
        roles: tuple[str, ...] = ("support",),
        key: str | None = None,
        caller: UUID | None = None,
        **changes: Any,
    ) -> httpx.Response:
        body = {"userId": str(user_id), "channel": "email", "subject": "Doors", "message": "Early.", **changes}
        headers = {**tokens.headers(caller or uuid4(), roles), **({"Idempotency-Key": key} if key else {})}
        return await client.post(f"{HERE}/send", json=body, headers=headers)

    async def test_reaches_the_user(
        self, client: AsyncTestClient[Litestar], tokens: TokenFactory, reader: UUID, mailbox: Mailbox
    ):
        answer = await self.send(
            client, tokens, reader, subject="Doors\r\nBcc: x@evil.example", message="One.\n\nTwo {{7*7}}."
        )
        assert answer.status_code == 202, answer.text
        await until_state(client, tokens.headers(reader), "sent", 2)
        newest = next(mailbox.folder.newest())
        found = mailbox.folder.find(newest.mail_id)
        assert found is not None
        mail = made.read(found[1])
        assert mail["Subject"] == "Doors Bcc: x@evil.example"
        assert mail["Bcc"] is None
        assert "Two {{7*7}}." in made.body(mail, "plain")

    async def test_is_sent_once_under_one_key(
        self, client: AsyncTestClient[Litestar], tokens: TokenFactory, reader: UUID, mailbox: Mailbox
    ):
        caller = uuid4()
        answers = [await self.send(client, tokens, reader, key="k1", caller=caller) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        other = await self.send(client, tokens, reader, key="k1", caller=caller, subject="Other")
        assert (other.status_code, other.json()["code"]) == (422, "request.idempotency_key_reused")
        await until_state(client, tokens.headers(reader), "sent", 2)
        assert len(list(mailbox.folder.newest())) == 2

    @pytest.mark.parametrize("roles", [("customer",), ("organiser",), ()])
    async def test_is_for_staff_and_services(
        self, client: AsyncTestClient[Litestar], tokens: TokenFactory, roles: tuple[str, ...]
    ):
        answer = await self.send(client, tokens, uuid4(), roles=roles)
        assert (answer.status_code, answer.json()["code"]) == (403, "identity.forbidden")

    async def test_says_when_there_is_nobody(self, client: AsyncTestClient[Litestar], tokens: TokenFactory):
        answer = await self.send(client, tokens, uuid4())
        assert (answer.status_code, answer.json()["code"]) == (404, "notification.recipient_unknown")

    async def test_respects_who_wants_no_mail(
        self, client: AsyncTestClient[Litestar], tokens: TokenFactory, reader: UUID
    ):
        off = {**made.WISH, "receiveEmail": False}
        await client.put("/api/v1/users/me/preferences", json=off, headers=tokens.headers(reader))
        answer = await self.send(client, tokens, reader)
        assert (answer.status_code, answer.json()["code"]) == (409, "notification.recipient_declines")

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"channel": "sms"}, 501), ({"channel": "push"}, 501), ({"channel": "pigeon"}, 422), ({"subject": " \n "}, 422),
            ({"message": "\n"}, 422), ({"message": "x" * 10_001}, 422), ({"subject": "x" * 201}, 422),
            ({"userId": "nobody"}, 422), ({"more": 1}, 422), ({"message": None}, 422), ({"message": "\x00"}, 422),
        ],
    )  # fmt: skip
    async def test_refuses_what_cannot_be_sent(
        self,
        client: AsyncTestClient[Litestar],
        tokens: TokenFactory,
        reader: UUID,
        changes: dict[str, Any],
        status: int,
    ):
        answer = await self.send(client, tokens, reader, **changes)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


class TestLive:
    async def test_says_that_it_is_still_to_come(self, client: AsyncTestClient[Litestar]):
        answer = await client.get(f"{HERE}/live")
        assert (answer.status_code, answer.json()["code"]) == (501, "notification.live_not_available")

    def test_refuses_the_handshake(self, service: Litestar):
        with (
            TestClient(service) as client,
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(f"{HERE}/live"),
        ):
            pass
