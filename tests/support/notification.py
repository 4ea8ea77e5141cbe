"""Messages as sales and identity tell them, and mails as readers get them."""

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import msgspec

from boxoffice.contracts.envelope import Envelope
from boxoffice.contracts.messages.identity import MAIL_TOPIC, TOPIC, MailRequest, UserFact
from boxoffice.contracts.messages.sales import ORDER_TOPIC, EventSummary, OrderFact, OrderTicket, RefundTerms
from boxoffice.kernel.ids import EventId, TicketId, seat_id
from boxoffice.runtime.barcodes import Barcode, KeyRing

STARTS = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
EVENT = EventSummary(
    event_id=7,
    name="Dvořák: From the New World",
    starts_at=STARTS,
    ends_at=STARTS + timedelta(hours=2),
    time_zone="America/New_York",
    venue_name="David Geffen Hall",
    venue_location="10 Lincoln Center Plaza, New York",
)
RING = KeyRing.generate()
WISH = {"receiveEmail": True, "receiveSms": False, "receivePushNotifications": False, "preferredLanguage": "en"}
"""The preferences of somebody who never chose, as the API tells them."""


def ticket(place: int, *, ring: KeyRing = RING) -> OrderTicket:
    """An issued ticket: row C, seat = place."""
    ticket_id = TicketId(uuid4())
    barcode = Barcode(
        ticket_id=ticket_id, event_id=EventId(7), seat_id=seat_id(EventId(7), place),
        not_before_at=STARTS - timedelta(days=30), valid_until=STARTS + timedelta(days=1),
    )  # fmt: skip
    return OrderTicket(
        seat_id=seat_id(EventId(7), place), section="Orchestra", row="C", number=str(place), price="149.50",
        price_level="Premium", ticket_id=ticket_id, barcode=ring.sign(barcode),
    )  # fmt: skip


def order(**changes: Any) -> OrderFact:
    """A confirmed order of two tickets."""
    fields: dict[str, Any] = {
        "order_id": uuid4(),
        "user_id": uuid4(),
        "state": "confirmed",
        "event": EVENT,
        "tickets": (ticket(11), ticket(12)),
        "total": "299.00",
        "currency": "USD",
        "refund_terms": RefundTerms(cancel_until=STARTS - timedelta(hours=24), refund_percent=100),
    }
    return OrderFact(**{**fields, **changes})


def envelope(topic: str, key: UUID, type_: str, version: int, body: msgspec.Struct) -> Envelope:
    return Envelope(
        message_id=uuid4(), topic=topic, key=str(key), type_=type_, version=version, occurred_at=datetime.now(UTC),
        body=msgspec.Raw(msgspec.json.encode(body)),
    )  # fmt: skip


def order_told(type_: str, fact: OrderFact, *, version: int = 1) -> Envelope:
    return envelope(ORDER_TOPIC, fact.order_id, f"sales.order.{type_}", version, fact)


def user_told(
    user_id: UUID, *, type_: str = "registered", version: int = 1, email: str | None = None, **fields: Any
) -> Envelope:
    fact = (
        UserFact(user_id=user_id)
        if type_ == "erased"
        else UserFact(user_id=user_id, name="Zoë Łukasiewicz", email=email or f"{user_id}@example.org")
    )
    return envelope(TOPIC, user_id, f"identity.user.{type_}", version, msgspec.structs.replace(fact, **fields))


def link_told(type_: str, user_id: UUID, *, expires_in_minutes: int = 60, **fields: Any) -> Envelope:
    request = MailRequest(
        user_id=user_id, email=f"{user_id}@example.org", name="Zoë", link="https://shop.example/reset?token=abc&x=1",
        expires_in_minutes=expires_in_minutes,
    )  # fmt: skip
    return envelope(MAIL_TOPIC, user_id, f"identity.mail.{type_}", 1, msgspec.structs.replace(request, **fields))


def read(content: bytes) -> EmailMessage:
    """Take a mail apart as a mail program does."""
    return email.message_from_bytes(content, policy=email.policy.default)


def body(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def attached(mail: EmailMessage, content_type: str) -> list[bytes]:
    return [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == content_type]  # type: ignore[misc]
