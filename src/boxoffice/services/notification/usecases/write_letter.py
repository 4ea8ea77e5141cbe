"""Write the letter of a mail job: what it says, to whom, with the tickets drawn and set.

It takes some milliseconds of a processor: run it in a thread.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never

import msgspec

from boxoffice.contracts.messages.identity import MailRequest
from boxoffice.contracts.messages.sales import OrderFact, OrderTicket
from boxoffice.runtime.documents import (
    TicketDocument,
    calendar_entry,
    local_time,
    order_number,
    qr_png,
    ticket_pdf,
)
from boxoffice.services.notification.domain.letter import Template, one_line
from boxoffice.services.notification.domain.mail_job import DueMail
from boxoffice.services.notification.providers.letters import Attachment, Letter, pack, render

SENDER_NAME = "Boxoffice"
QR_SCALE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who writes: the address that mails come from, and the address of the shop that links point to."""

    address: str
    public_url: str

    @property
    def domain(self) -> str:
        """The right half of every Message-ID."""
        return self.address.rpartition("@")[2] or "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenMail:
    """A mail ready to travel."""

    recipient: str
    content: bytes


def write_letter(mail: DueMail, sender: Sender) -> WrittenMail:
    """Write a mail; the same job gives the same Message-ID, so that a reader's program can tell a duplicate.

    :raises UnreachableAddressError: when the recipient's address is no address.
    """
    recipient, name, values, attachments = _content(mail, sender)
    text, html = render(mail.template.value, {**values, "name": name, "shop": sender.public_url, "title": mail.title})
    letter = Letter(
        message_id=f"<{mail.job_id}@{sender.domain}>", written_at=mail.created_at, sender=sender.address,
        sender_name=SENDER_NAME, recipient=recipient, recipient_name=name, title=mail.title, text=text, html=html,
        attachments=attachments,
    )  # fmt: skip
    return WrittenMail(recipient=recipient, content=pack(letter))


def _content(mail: DueMail, sender: Sender) -> tuple[str, str, dict[str, Any], list[Attachment]]:
    """Give the recipient's address and name, the template's values and the attachments."""
    match mail.template:
        case Template.VERIFY_EMAIL | Template.RESET_PASSWORD:
            request = msgspec.convert(mail.facts, MailRequest)
            values = {"link": request.link, "minutes": request.expires_in_minutes}
            return request.email, one_line(request.name), values, []
        case Template.NEWS:
            return *_reader(mail), {"paragraphs": mail.facts["message"]}, []
        case Template.TICKETS | Template.EXCHANGED:
            order = msgspec.convert(mail.facts, OrderFact)
            return *_reader(mail), _order_values(order, sender), _ticket_files(order, sender, mail)
        case Template.ORDER_CANCELLED | Template.REFUNDED | Template.PAYMENT_FAILED:
            return *_reader(mail), _order_values(msgspec.convert(mail.facts, OrderFact), sender), []
        case _:
            assert_never(mail.template)


def _reader(mail: DueMail) -> tuple[str, str]:
    assert mail.contact is not None, "a mail is written once its reader is known"
    return mail.contact.email, one_line(mail.contact.name)


def _order_values(order: OrderFact, sender: Sender) -> dict[str, Any]:
    date, time = local_time(order.event.starts_at, order.event.time_zone)
    return {
        "order": order,
        "number": order_number(order.order_id),
        "date": date,
        "time": time,
        "link": f"{sender.public_url}/bookings/{order.order_id}",
        "policy": _policy(order),
        "free": Decimal(order.total) == 0,
        "refund": order.refund if order.refund and Decimal(order.refund) > 0 else "",
    }


def _policy(order: OrderFact) -> str:
    terms = order.refund_terms
    if terms is None:
        return ""
    if terms.refund_percent == 0:
        return "No refund when you cancel."
    date, time = local_time(terms.cancel_until, order.event.time_zone)
    return f"Cancel before {date}, {time}, and {terms.refund_percent} % of the price is refunded."


def _ticket_files(order: OrderFact, sender: Sender, mail: DueMail) -> list[Attachment]:
    codes = [
        Attachment(
            content=qr_png(ticket.barcode, QR_SCALE), mime_type="image/png", filename=f"ticket-{index}.png",
            content_id=f"ticket-{index}",
        )
        for index, ticket in enumerate(order.tickets, 1)
        if ticket.barcode
    ]  # fmt: skip
    documents = [_document(order, ticket, mail) for ticket in order.tickets if ticket.barcode]
    number = order_number(order.order_id)
    files = [
        Attachment(content=_entry(order, sender, mail.created_at), mime_type="text/calendar", filename="event.ics")
    ]
    if documents:
        files.insert(
            0,
            Attachment(content=ticket_pdf(documents), mime_type="application/pdf", filename=f"tickets-{number}.pdf"),
        )
    return [*codes, *files]


def _document(order: OrderFact, ticket: OrderTicket, mail: DueMail) -> TicketDocument:
    assert ticket.barcode is not None
    return TicketDocument(
        order_number=order_number(order.order_id), event_name=order.event.name, starts_at=order.event.starts_at,
        time_zone=order.event.time_zone, venue_name=order.event.venue_name, venue_location=order.event.venue_location,
        section=ticket.section, row=ticket.row, seat=ticket.number, price=ticket.price, currency=order.currency,
        barcode=ticket.barcode, price_level=ticket.price_level, notice=ticket.notice,
        ticket_type=ticket.ticket_type,
        holder=mail.contact.name if mail.contact else None, refund_policy=_policy(order) or None,
    )  # fmt: skip


def _entry(order: OrderFact, sender: Sender, made_at: datetime) -> bytes:
    return calendar_entry(
        uid=f"{order.order_id}@{sender.domain}", made_at=made_at, starts_at=order.event.starts_at,
        ends_at=order.event.ends_at, summary=one_line(order.event.name),
        location=one_line(f"{order.event.venue_name}, {order.event.venue_location}"),
        url=f"{sender.public_url}/bookings/{order.order_id}",
    )  # fmt: skip
