"""From a message on the bus to a mail in the mailbox: once, whatever is repeated, missing, away or killed."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader
from tests.support import notification as made

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.database import Database
from boxoffice.services.notification.consumers import consumer
from boxoffice.services.notification.providers.smtp import MailServer
from boxoffice.services.notification.store import mail_jobs
from boxoffice.services.notification.store.preferences import PostgresPreferences
from boxoffice.services.notification.usecases.forget_old import forget_old
from boxoffice.services.notification.usecases.read_preferences import Choices
from boxoffice.services.notification.usecases.send_due_mails import Post, send_due_mails
from boxoffice.services.notification.usecases.write_letter import Sender
from boxoffice.simulators.mailbox import Mailbox

SENDER = Sender(address="tickets@shop.example", public_url="https://shop.example")
NOBODY_LISTENS = MailServer(host="127.0.0.1", port=1)


@pytest.fixture
async def database(notification_url: str) -> AsyncIterator[Database]:
    async with Database.open(notification_url, size=4) as opened:
        yield opened


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    mailbox = Mailbox(folder=tmp_path / "mails")
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


@pytest.fixture
def post(database: Database, mailbox: Mailbox) -> Post:
    return handing_in(database, MailServer(host="127.0.0.1", port=mailbox.smtp_port))


def handing_in(database: Database, server: MailServer) -> Post:
    choices = Choices(database=database, store=PostgresPreferences(database))
    return Post(database=database, server=server, sender=SENDER, choices=choices)


async def take(database: Database, *envelopes: Envelope) -> None:
    """Take messages as the bus hands them over."""
    for envelope in envelopes:
        await consumer(database).take(envelope)


async def send_all(post: Post) -> None:
    while await send_due_mails(post):
        pass


async def make_due(database: Database) -> None:
    """Let the pause of every waiting mail be over."""
    await database.fetch("UPDATE mail_jobs SET due_at = clock_timestamp() WHERE state = 'waiting' RETURNING 1")


async def states(database: Database) -> dict[str, int]:
    return {
        record["state"]: record["n"]
        for record in await database.fetch("SELECT state, count(*) AS n FROM mail_jobs GROUP BY state")
    }


def mails(mailbox: Mailbox, user_id: UUID | None = None) -> list[EmailMessage]:
    """The mails so far, oldest first."""
    to = f"{user_id}@example.org" if user_id else None
    found = [mailbox.folder.find(entry.mail_id) for entry in mailbox.folder.newest(to=to)]
    return [made.read(entry[1]) for entry in reversed(found) if entry is not None]


class TestConfirmedOrder:
    async def test_is_told_with_tickets_that_verify(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await send_all(post)
        (mail,) = mails(mailbox, fact.user_id)
        assert mail["Subject"] == "Your tickets: Dvořák: From the New World"
        assert mail["To"] == f"Zoë Łukasiewicz <{fact.user_id}@example.org>"
        assert "Orchestra, row C, seat 11, 149.50 USD" in made.body(mail, "plain")
        codes = [
            zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))[0].text
            for png in made.attached(mail, "image/png")
        ]
        assert [made.RING.verify(code).ticket_id for code in codes] == [ticket.ticket_id for ticket in fact.tickets]
        (pdf,) = made.attached(mail, "application/pdf")
        texts = ["".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages]
        assert len(texts) == 2
        assert all("DavidGeffenHall" in text and "Orchestra" in text for text in texts)
        assert await states(database) == {"sent": 1}

    async def test_sends_one_mail_however_often_it_is_told(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        told = made.order_told("confirmed", fact)
        again = msgspec.structs.replace(told, message_id=uuid4())  # as after a relay that was rebuilt with new ids
        await take(database, made.user_told(fact.user_id), told, told, again)
        await send_all(post)
        await take(database, told, again)
        await send_all(post)
        assert len(mails(mailbox)) == 1

    async def test_waits_for_the_contact(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(database, made.order_told("confirmed", fact))
        await send_all(post)
        assert not mails(mailbox)
        assert await states(database) == {"waiting": 1}
        await take(database, made.user_told(fact.user_id))
        await send_all(post)
        assert len(mails(mailbox, fact.user_id)) == 1

    async def test_goes_to_the_newest_address(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        old = made.user_told(fact.user_id, email="old@example.org")
        await take(
            database, made.user_told(fact.user_id, type_="changed", version=2), old, made.order_told("confirmed", fact)
        )
        await send_all(post)
        assert len(mails(mailbox, fact.user_id)) == 1

    async def test_leaves_nothing_secret_behind(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await send_all(post)
        assert await database.fetchval("SELECT facts FROM mail_jobs") == {}
        assert mails(mailbox)


class TestOtherMessages:
    async def test_an_exchange_takes_void_tickets_out_of_mails_that_wait(
        self, database: Database, mailbox: Mailbox, post: Post
    ):
        bought = made.order()
        first = msgspec.structs.replace(bought, tickets=(made.ticket(20),), given=bought.tickets[:1])
        second = msgspec.structs.replace(bought, tickets=(made.ticket(21),), given=first.tickets)
        await take(database, made.order_told("confirmed", bought, version=3))
        await take(database, made.order_told("exchanged", first, version=4))
        await take(database, made.order_told("exchanged", second, version=5), made.user_told(bought.user_id))
        await send_all(post)
        assert await states(database) == {"sent": 2, "dropped": 1}
        codes = [
            zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))[0].text
            for mail in mails(mailbox)
            for png in made.attached(mail, "image/png")
        ]
        assert set(codes) == {bought.tickets[1].barcode, second.tickets[0].barcode}

    async def test_a_hold_is_not_told(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order(state="held")
        await take(database, made.user_told(fact.user_id), made.order_told("held", fact))
        await send_all(post)
        assert not mails(mailbox)

    async def test_every_partial_cancellation_is_told(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact, version=3))
        await send_all(post)
        first = msgspec.structs.replace(fact, tickets=fact.tickets[:1], refund="149.50")
        second = msgspec.structs.replace(fact, tickets=fact.tickets[1:], refund="149.50", state="cancelled")
        cancelled = [made.order_told("cancelled", first, version=4), made.order_told("cancelled", second, version=5)]
        await take(database, *cancelled, *cancelled)
        await send_all(post)
        titles = [mail["Subject"].split(":")[0] for mail in mails(mailbox)]
        assert sorted(titles) == ["Cancelled", "Cancelled", "Your tickets"]

    async def test_a_failed_payment_is_told_once(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order(state="released", reason="payment_declined")
        told = made.order_told("released", fact)
        await take(database, made.user_told(fact.user_id), told, told)
        await send_all(post)
        (mail,) = mails(mailbox)
        assert "declined" in made.body(mail, "plain")

    async def test_a_link_needs_no_contact(self, database: Database, mailbox: Mailbox, post: Post):
        user_id = uuid4()
        await take(database, made.link_told("reset_password", user_id), made.link_told("reset_password", user_id))
        await send_all(post)
        assert [mail["Subject"] for mail in mails(mailbox, user_id)] == ["Choose a new password"] * 2

    async def test_a_link_that_expired_is_not_sent(self, database: Database, mailbox: Mailbox, post: Post):
        await take(database, made.link_told("verify_email", uuid4(), expires_in_minutes=0))
        await send_all(post)
        assert not mails(mailbox)
        assert await states(database) == {"undeliverable": 1}

    async def test_a_message_of_a_type_to_come_is_passed_over(self, database: Database):
        await take(database, made.link_told("something_new", uuid4()), made.order_told("transferred", made.order()))
        assert await states(database) == {}

    async def test_a_body_that_cannot_be_read_writes_nothing(self, database: Database):
        told = msgspec.structs.replace(made.order_told("confirmed", made.order()), body=msgspec.Raw(b'{"orderId": 7}'))
        with pytest.raises(msgspec.ValidationError):
            await take(database, told)
        assert await database.fetchval("SELECT count(*) FROM inbox") == 0


class TestCancelledBeforeTheMailLeft:
    async def test_a_whole_order_gets_no_tickets_any_more(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(
            database, made.user_told(fact.user_id), made.order_told("confirmed", fact, version=3),
            made.order_told("cancelled", msgspec.structs.replace(fact, state="cancelled", refund="299.00"), version=4),
        )  # fmt: skip
        await send_all(post)
        assert [mail["Subject"].split(":")[0] for mail in mails(mailbox)] == ["Cancelled"]
        assert await states(database) == {"sent": 1, "dropped": 1}

    async def test_a_part_leaves_the_live_tickets_only(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        part = msgspec.structs.replace(fact, tickets=fact.tickets[:1], refund="149.50")
        await take(
            database, made.user_told(fact.user_id), made.order_told("confirmed", fact, version=3),
            made.order_told("cancelled", part, version=4),
        )  # fmt: skip
        await send_all(post)
        tickets = next(mail for mail in mails(mailbox) if mail["Subject"].startswith("Your tickets"))
        assert len(made.attached(tickets, "image/png")) == 1
        assert "seat 11" not in made.body(tickets, "plain")
        assert "seat 12" in made.body(tickets, "plain")


class TestErasedUser:
    async def test_gets_no_mail_and_leaves_nothing(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(
            database, made.user_told(fact.user_id), made.order_told("confirmed", fact),
            made.user_told(fact.user_id, type_="erased", version=2),
        )  # fmt: skip
        await send_all(post)
        assert not mails(mailbox)
        assert await states(database) == {"dropped": 1}
        contact = await database.fetchrow("SELECT name, email FROM contacts")
        assert contact is not None
        assert tuple(contact) == (None, None)
        assert await database.fetchval("SELECT facts FROM mail_jobs") == {}

    async def test_does_not_come_back_with_a_late_message(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(
            database, made.user_told(fact.user_id, type_="erased", version=2), made.user_told(fact.user_id),
            made.user_told(fact.user_id, type_="changed", version=9), made.order_told("confirmed", fact),
        )  # fmt: skip
        await send_all(post)
        assert not mails(mailbox)
        assert await database.fetchval("SELECT count(*) FROM contacts WHERE email IS NOT NULL") == 0


class TestTrouble:
    async def test_a_mail_server_that_is_away_loses_nothing(self, database: Database, mailbox: Mailbox, post: Post):
        facts = [made.order() for _ in range(12)]
        for fact in facts:
            await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        away = handing_in(database, NOBODY_LISTENS)
        for _ in range(3):
            await send_all(away)
            await make_due(database)
        assert await states(database) == {"waiting": 12}
        assert await database.fetchval("SELECT min(attempts) FROM mail_jobs") == 3
        await send_all(post)
        assert {mail["To"].addresses[0].addr_spec for mail in mails(mailbox)} == {
            f"{fact.user_id}@example.org" for fact in facts
        }
        assert len(mails(mailbox)) == 12

    async def test_a_mail_is_given_up_after_its_patience(self, database: Database, mailbox: Mailbox, post: Post):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await database.fetch("UPDATE mail_jobs SET give_up_at = clock_timestamp() - interval '1 s' RETURNING 1")
        await send_all(post)
        assert not mails(mailbox)
        assert await states(database) == {"undeliverable": 1}

    async def test_a_sender_that_died_before_sending_is_taken_over(
        self, database: Database, mailbox: Mailbox, post: Post
    ):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        async with database.transaction() as tx:
            assert len(await mail_jobs.take_due(tx, limit=8)) == 1  # and here it dies
        await send_all(post)
        assert not mails(mailbox), "the lease keeps others away"
        await make_due(database)  # the lease ends
        await send_all(post)
        assert len(mails(mailbox)) == 1

    async def test_a_death_between_250_and_commit_repeats_under_the_same_message_id(
        self, database: Database, mailbox: Mailbox, post: Post
    ):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await send_all(post)
        await database.fetch(
            "UPDATE mail_jobs SET state = 'waiting', sent_at = NULL, facts = $1, due_at = clock_timestamp() RETURNING 1",
            msgspec.to_builtins(fact),
        )
        await send_all(post)
        first, second = mails(mailbox)
        assert first["Message-ID"] == second["Message-ID"]

    async def test_two_senders_share_the_work(self, database: Database, mailbox: Mailbox, post: Post):
        for _ in range(30):
            fact = made.order(tickets=(made.ticket(1),))
            await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await asyncio.gather(*(send_all(post) for _ in range(3)))
        assert len(mails(mailbox)) == 30
        assert len({mail["Message-ID"] for mail in mails(mailbox)}) == 30

    async def test_a_contact_that_comes_while_a_mail_is_under_way_does_not_double_it(
        self, database: Database, mailbox: Mailbox, post: Post
    ):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        async with database.transaction() as tx:
            await mail_jobs.take_due(tx, limit=8)  # under way
        await take(database, made.user_told(fact.user_id, type_="changed", version=2))
        await send_all(post)
        assert not mails(mailbox)

    @pytest.mark.parametrize("address", ["nobody", "a@b@c", ""])
    async def test_an_address_that_is_none_stops_only_its_own_mail(
        self, database: Database, mailbox: Mailbox, post: Post, address: str
    ):
        bad, good = made.order(), made.order()
        told = msgspec.json.decode(made.user_told(bad.user_id).body)
        user = msgspec.structs.replace(
            made.user_told(bad.user_id), body=msgspec.Raw(msgspec.json.encode({**told, "email": address}))
        )
        await take(database, user, made.order_told("confirmed", bad))
        await take(database, made.user_told(good.user_id), made.order_told("confirmed", good))
        await send_all(post)
        assert await states(database) == {"undeliverable": 1, "sent": 1}
        assert len(mails(mailbox)) == 1


class FakeServer:
    """Speaks just enough SMTP to answer one step with a given reply."""

    def __init__(self, step: bytes, reply: bytes) -> None:
        self.step, self.reply = step, reply
        self.server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> int:
        bound = socket.create_server(("127.0.0.1", 0))
        self.server = await asyncio.start_server(self._serve, sock=bound)
        return int(bound.getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        in_body = False
        while line := await reader.readline():
            if in_body:
                if line != b".\r\n":
                    continue
                in_body = False
                writer.write(self.reply if self.step == b"." else b"250 ok\r\n")
            elif line.upper().startswith(self.step):
                writer.write(self.reply)
            elif line.upper().startswith(b"DATA"):
                in_body = True
                writer.write(b"354 go on\r\n")
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()
            if line.upper().startswith(b"QUIT"):
                break
        writer.close()


class TestRefusals:
    @pytest.mark.parametrize(
        ("step", "reply", "state"),
        [
            (b"RCPT", b"550 no such mailbox\r\n", "undeliverable"),
            (b"RCPT", b"450 busy, later\r\n", "waiting"),
            (b".", b"554 looks like spam\r\n", "undeliverable"),
            (b".", b"452 disk full\r\n", "waiting"),
            (b"MAIL", b"550 you may not\r\n", "waiting"),
            (b"MAIL", b"421 going down\r\n", "waiting"),
            (b"EHLO", b"500 what\r\n", "sent"),
        ],
    )
    async def test_for_good_and_for_now_are_told_apart(self, database: Database, step: bytes, reply: bytes, state: str):
        fact = made.order()
        await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        async with FakeServer(step, reply) as port:
            server = MailServer(host="127.0.0.1", port=port)
            await send_due_mails(handing_in(database, server))
        assert await states(database) == {state: 1}


class TestForgetOld:
    async def test_forgets_what_ended_long_ago_only(self, database: Database, post: Post):
        old, new = made.order(), made.order()
        for fact in (old, new):
            await take(database, made.user_told(fact.user_id), made.order_told("confirmed", fact))
        await send_all(post)
        waiting = made.order()
        await take(database, made.order_told("confirmed", waiting))
        await database.fetch(
            "UPDATE mail_jobs SET created_at = clock_timestamp() - interval '401 days' WHERE booking_id = ANY($1)"
            " RETURNING 1",
            [old.order_id, waiting.order_id],
        )
        await forget_old(database)
        left = {record["booking_id"] for record in await database.fetch("SELECT booking_id FROM mail_jobs")}
        assert left == {new.order_id, waiting.order_id}
