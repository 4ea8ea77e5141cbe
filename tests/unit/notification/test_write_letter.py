import io
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import zxingcpp
from PIL import Image
from pypdf import PdfReader
from tests.support import notification as made

from boxoffice.contracts.messages.sales import OrderFact
from boxoffice.kernel.ids import UserId
from boxoffice.services.notification.domain.letter import Template, title
from boxoffice.services.notification.domain.mail_job import Contact, DueMail
from boxoffice.services.notification.providers.letters import UnreachableAddressError
from boxoffice.services.notification.usecases.write_letter import Sender, write_letter

SENDER = Sender(address="tickets@shop.example", public_url="https://shop.example")
ORDER_LETTERS = (
    Template.TICKETS,
    Template.ORDER_CANCELLED,
    Template.REFUNDED,
    Template.PAYMENT_FAILED,
    Template.EXCHANGED,
)
HOSTILE = [
    "{{7*7}}", "{{ config }}", "{% for x in range(9) %}x{% endfor %}", "{# gone #}", "{x.__class__}", "${7*7}", "#{7*7}",
    "<%= 7*7 %>", "<b>bold</b>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="alert(1)',
    "'><svg/onload=alert(1)>", "<!-- gone -->", "</body></html>", "&lt;b&gt;", "&#60;b&#62;", "javascript:alert(1)",
    "]]>", "<style>*{display:none}</style>", "{{''.__class__.__mro__[1].__subclasses__()}}", "{{ self }}", "{{ cycler }}",
    "#panic()", "\\u003cb\\u003e", "%s %d %(name)s", "{0} {name}", "\\n\\r", "=?utf-8?q?=3Cb=3E?=", "$(touch /tmp/x)",
    "`id`", "a\tb", "cid:ticket-1", "香港{{7*7}}", "<a href=//evil.example>x</a>", "@import url(//evil.example)",
]  # fmt: skip
BREAKING = ["a\r\nBcc: x@evil.example", "a\nBcc: x@evil.example", "a\r\n\r\n<html>", "a%0aBcc: x@evil.example"]


def due(template: Template, facts: dict[str, Any], *, about: str = "", name: str = "Zoë", email: str = "") -> DueMail:
    return DueMail(
        job_id=uuid4(), user_id=UserId(uuid4()), template=template, title=title(template, about), facts=facts,
        attempts=1, too_late=False, created_at=datetime(2026, 10, 1, tzinfo=UTC),
        contact=Contact(name=name, email=email or "buyer@example.org", erased=False),
    )  # fmt: skip


def due_order(template: Template, fact: OrderFact, **changes: Any) -> DueMail:
    return due(template, msgspec.to_builtins(fact), about=fact.event.name, **changes)


def named(text: str) -> OrderFact:
    """An order in which everything that people typed is ``text``."""
    event = msgspec.structs.replace(made.EVENT, name=text, venue_name=text, venue_location=text, time_zone=text)
    tickets = tuple(
        msgspec.structs.replace(made.ticket(5), section=text, row=text, number=text, price_level=text) for _ in range(1)
    )
    return made.order(event=event, tickets=tickets, refund="10.00")


class TestTicketsLetter:
    def test_says_what_was_bought_in_both_parts(self):
        fact = made.order()
        mail = made.read(write_letter(due_order(Template.TICKETS, fact), SENDER).content)
        for kind in ("plain", "html"):
            text = made.body(mail, kind)
            for part in (
                "Zoë", "Dvořák: From the New World", "Friday, 27 November 2026", "19:30 EST", "David Geffen Hall",
                "Orchestra", "299.00 USD", f"https://shop.example/bookings/{fact.order_id}",
                "Cancel before Thursday, 26 November 2026, 19:30 EST, and 100 % of the price is refunded.",
            ):  # fmt: skip
                assert part in text, (kind, part)
        assert "Orchestra, row C, seat 11, 149.50 USD" in made.body(mail, "plain")

    def test_addresses_the_reader_and_names_the_shop(self):
        job = due_order(Template.TICKETS, made.order())
        mail = made.read(write_letter(job, SENDER).content)
        assert mail["From"] == "Boxoffice <tickets@shop.example>"
        assert mail["To"] == "Zoë <buyer@example.org>"
        assert mail["Subject"] == "Your tickets: Dvořák: From the New World"
        assert mail["Message-ID"] == f"<{job.job_id}@shop.example>"
        assert mail["Auto-Submitted"] == "auto-generated"

    def test_shows_a_code_per_ticket_that_verifies(self):
        fact = made.order()
        mail = made.read(write_letter(due_order(Template.TICKETS, fact), SENDER).content)
        codes = []
        for png in made.attached(mail, "image/png"):
            codes += [found.text for found in zxingcpp.read_barcodes(Image.open(io.BytesIO(png)).convert("L"))]
        assert codes == [ticket.barcode for ticket in fact.tickets]
        assert [made.RING.verify(code).ticket_id for code in codes] == [ticket.ticket_id for ticket in fact.tickets]
        for index in (1, 2):
            assert f'src="cid:ticket-{index}"' in made.body(mail, "html")
            assert any(part["Content-ID"] == f"<ticket-{index}>" for part in mail.walk())

    def test_attaches_a_page_a_ticket(self):
        mail = made.read(write_letter(due_order(Template.TICKETS, made.order()), SENDER).content)
        (pdf,) = made.attached(mail, "application/pdf")
        pages = PdfReader(io.BytesIO(pdf)).pages
        assert len(pages) == 2
        assert "From the New World" in " ".join(pages[1].extract_text().split())

    def test_attaches_a_calendar_entry(self):
        mail = made.read(write_letter(due_order(Template.TICKETS, made.order()), SENDER).content)
        (entry,) = made.attached(mail, "text/calendar")
        assert b"DTSTART:20261128T003000Z" in entry

    def test_carries_no_personal_fact_in_the_code(self):
        fact = made.order()
        assert all("Zo" not in (ticket.barcode or "") for ticket in fact.tickets)

    @pytest.mark.parametrize(("total", "said"), [("299.00", True), ("0.00", False)])
    def test_speaks_of_money_only_where_there_was_some(self, total: str, said: bool):  # noqa: FBT001
        mail = made.read(write_letter(due_order(Template.TICKETS, made.order(total=total)), SENDER).content)
        for kind in ("plain", "html"):
            assert ("Total paid" in made.body(mail, kind)) is said
            assert ("is paid and confirmed" in made.body(mail, kind)) is said

    def test_can_be_written_without_barcodes(self):
        tickets = tuple(msgspec.structs.replace(ticket, barcode=None) for ticket in made.order().tickets)
        mail = made.read(write_letter(due_order(Template.TICKETS, made.order(tickets=tickets)), SENDER).content)
        assert not made.attached(mail, "application/pdf")

    def test_has_only_short_lines_of_ascii_on_the_wire(self):
        content = write_letter(due_order(Template.TICKETS, named("香港" * 140)), SENDER).content
        assert all(len(line) <= 998 for line in content.split(b"\r\n"))
        assert content.isascii()


class TestOtherLetters:
    def test_a_cancellation_says_the_refund(self):
        fact = made.order(state="cancelled", refund="299.00")
        mail = made.read(write_letter(due_order(Template.ORDER_CANCELLED, fact), SENDER).content)
        for kind in ("plain", "html"):
            assert "299.00 USD" in made.body(mail, kind)
            assert "void" in made.body(mail, kind)
        assert mail["Subject"] == "Cancelled: Dvořák: From the New World"

    @pytest.mark.parametrize("refund", [None, "0.00"])
    def test_a_partial_cancellation_says_so(self, refund: str | None):
        mail = made.read(write_letter(due_order(Template.ORDER_CANCELLED, made.order(refund=refund)), SENDER).content)
        assert "Part of your booking" in made.body(mail, "plain")
        assert "no refund" in made.body(mail, "plain")

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("by_organiser", "is cancelled by the organiser"),
            ("event_cancelled", "the event is cancelled"),
            ("by_customer", "is cancelled"),
        ],
    )
    def test_a_cancellation_says_whose_doing_it_was(self, reason: str, words: str):
        fact = made.order(state="cancelled", refund="299.00", reason=reason)
        mail = made.read(write_letter(due_order(Template.ORDER_CANCELLED, fact), SENDER).content)
        for kind in ("plain", "html"):
            assert words in made.body(mail, kind).replace("</strong>", "")
            assert ("organiser" in made.body(mail, kind)) is (reason == "by_organiser")

    @pytest.mark.parametrize("refund", ["20.00", None])
    def test_an_exchange_brings_the_new_tickets_and_names_the_void_ones(self, refund: str | None):
        void = msgspec.structs.replace(made.ticket(3), barcode=None)
        fact = made.order(given=(void,), refund=refund)
        mail = made.read(write_letter(due_order(Template.EXCHANGED, fact), SENDER).content)
        assert mail["Subject"] == "Your new tickets: Dvořák: From the New World"
        for kind in ("plain", "html"):
            text = " ".join(made.body(mail, kind).split())
            assert "Orchestra, row C, seat 3" in text
            assert ("20.00 USD" in text) is bool(refund)
            assert "Total paid" not in text
        assert len(made.attached(mail, "image/png")) == len(fact.tickets)
        assert len(PdfReader(io.BytesIO(made.attached(mail, "application/pdf")[0])).pages) == len(fact.tickets)

    def test_a_refund_says_the_sum(self):
        mail = made.read(write_letter(due_order(Template.REFUNDED, made.order(refund="149.50")), SENDER).content)
        assert "149.50 USD" in made.body(mail, "plain")

    @pytest.mark.parametrize(("reason", "words"), [("payment_declined", "declined"), ("payment_expired", "ran out")])
    def test_a_failed_payment_says_why_and_where_to_try_again(self, reason: str, words: str):
        fact = made.order(state="released", reason=reason)
        mail = made.read(write_letter(due_order(Template.PAYMENT_FAILED, fact), SENDER).content)
        for kind in ("plain", "html"):
            assert words in made.body(mail, kind)
            assert "Nothing was charged" in made.body(mail, kind)
            assert "https://shop.example/events/7" in made.body(mail, kind)

    @pytest.mark.parametrize("template", [Template.VERIFY_EMAIL, Template.RESET_PASSWORD])
    def test_a_link_goes_to_the_address_that_asked(self, template: Template):
        user_id = uuid4()
        facts = msgspec.json.decode(made.link_told("verify_email", user_id).body)
        written = write_letter(due(template, facts), SENDER)
        assert written.recipient == f"{user_id}@example.org"
        mail = made.read(written.content)
        assert "https://shop.example/reset?token=abc&x=1" in made.body(mail, "plain")
        assert "https://shop.example/reset?token=abc&amp;x=1" in made.body(mail, "html")
        assert "60 minutes" in made.body(mail, "plain")

    def test_news_keeps_its_paragraphs(self):
        mail = made.read(write_letter(due(Template.NEWS, {"message": ["One.", "Two."]}, about="Doors"), SENDER).content)
        assert mail["Subject"] == "Doors"
        assert "One.</p><p" in made.body(mail, "html")


class TestInjection:
    @pytest.mark.parametrize("text", HOSTILE)
    @pytest.mark.parametrize("template", ORDER_LETTERS)
    def test_what_people_typed_stays_text(self, text: str, template: Template):
        fact = named(text)
        mail = made.read(write_letter(due_order(template, fact, name=text), SENDER).content)
        plain, page = made.body(mail, "plain"), made.body(mail, "html")
        assert text in plain
        assert text in unescape(page)
        if set(text) & set("<>\"'&"):
            assert text not in page

    @pytest.mark.parametrize("text", BREAKING)
    def test_no_header_can_be_added(self, text: str):
        mail = made.read(write_letter(due_order(Template.TICKETS, named(text), name=text), SENDER).content)
        assert mail["Bcc"] is None
        assert len(mail.get_all("To")) == 1
        assert set(mail.keys()) == {
            "Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "nobody",
            "a@b@c",
            "a@example.org\r\nBcc: x@evil.example",
            "a@example.org, b@example.org",
            "<a@example.org>",
        ],
    )
    def test_an_address_that_is_none_is_refused(self, address: str):
        mail = due_order(Template.TICKETS, made.order())
        bad = replace(mail, contact=Contact(name="x", email=address, erased=False))
        with pytest.raises(UnreachableAddressError):
            write_letter(bad, SENDER)
