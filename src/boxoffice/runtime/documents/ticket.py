r"""The ticket as a PDF: one A5 page a ticket, set by typst from ``ticket.typ``.

Every text goes in as JSON and comes out as literal text: ``#``, ``\`` and ``$`` in an event's name are inert.
"""

import asyncio
import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import typst

from boxoffice.runtime.documents.qr import qr_svg

TEMPLATE = Path(__file__).with_name("ticket.typ")
MAX_PAGES = 200
"""More tickets than any order or group has; a document beyond it is a mistake."""
MAX_TEXT = 300
"""A name longer than this would not fit its page; it is cut with an ellipsis."""

LONG_WORD = 20
"""A longer word may be broken anywhere, else it would run off the page."""
ZERO_WIDTH_SPACE = "\u200b"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketDocument:
    """What one ticket's page says. ``price`` is a decimal string in ``currency``; row and seat may be empty (GA).

    ``notice`` is what the buyer was told of the place before paying, such as a limited view.
    """

    order_number: str
    event_name: str
    starts_at: datetime
    time_zone: str
    venue_name: str
    venue_location: str
    section: str
    row: str
    seat: str
    price: str
    currency: str
    barcode: str
    price_level: str | None = None
    holder: str | None = None
    attendee: str | None = None
    notice: str | None = None
    ticket_type: str | None = None
    refund_policy: str | None = None


def ticket_pdf(tickets: Sequence[TicketDocument]) -> bytes:
    """Set the tickets of one order, a page each, in the order given. Takes some ms a page: call it off the event loop.

    :raises ValueError: when there is no ticket, or more than 200.
    """
    if not 1 <= len(tickets) <= MAX_PAGES:
        raise ValueError(f"a document has 1 to {MAX_PAGES} tickets")
    pages = [page(ticket, index + 1, len(tickets)) for index, ticket in enumerate(tickets)]
    pdf = typeset(msgspec.json.encode(pages).decode(), "pdf")
    assert isinstance(pdf, bytes)
    return pdf


async def render_tickets(tickets: Sequence[TicketDocument]) -> bytes:
    """Set tickets in a thread, so that the event loop goes on; see :func:`ticket_pdf`."""
    return await asyncio.to_thread(ticket_pdf, tickets)


def local_time(moment: datetime, zone: str) -> tuple[str, str]:
    """Write an instant as people at the venue say it: ("Friday, 27 November 2026", "19:30 EST")."""
    try:
        local = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name too long for a file, a folder
        local = moment.astimezone(UTC)
    return f"{local:%A}, {local.day} {local:%B %Y}", f"{local:%H:%M %Z}"


def order_number(order_id: UUID) -> str:
    """Write an order's number as people read it out on the phone: the first 8 digits of its id ("8C1F42D0")."""
    return order_id.hex[:8].upper()


_one_at_a_time = threading.Lock()
"""A typst compiler is one world with one set of inputs; a page takes so little that a line is fine."""


def typeset(pages: str, as_format: Literal["pdf", "png"]) -> bytes | list[bytes] | None:
    """Set pages (JSON); ``png`` gives an image a page, for looking at it."""
    with _one_at_a_time:
        # A fixed timestamp: the same tickets give the same bytes.
        return _compiler().compile(format=as_format, sys_inputs={"tickets": pages}, timestamp=0)


@functools.cache
def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(include_system_fonts=True)  # ours are embedded; the machine's serve scripts that those lack
    return typst.Compiler(TEMPLATE, font_paths=fonts)


def page(ticket: TicketDocument, number: int, total: int) -> dict[str, str]:
    """Say what stands on page ``number`` of ``total``."""
    date, time = local_time(ticket.starts_at, ticket.time_zone)
    texts = {
        "event": ticket.event_name,
        "date": date,
        "time": time,
        "zone": ticket.time_zone,
        "venue": ticket.venue_name,
        "address": ticket.venue_location,
        "section": ticket.section,
        "row": ticket.row,
        "seat": ticket.seat,
        "level": " · ".join(filter(None, (ticket.price_level, ticket.ticket_type))),
        "price": f"{ticket.price} {ticket.currency}",
        "order": ticket.order_number,
        "holder": ticket.holder or "",
        "attendee": ticket.attendee or "",
        "notice": ticket.notice or "",
        "policy": ticket.refund_policy or "",
        "count": f"{number} of {total}",
    }
    return {**{name: _cut(text) for name, text in texts.items()}, "qr": qr_svg(ticket.barcode)}


def _cut(text: str) -> str:
    words = " ".join(text.split())
    plain = words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 1] + "…"
    return " ".join(word if len(word) <= LONG_WORD else ZERO_WIDTH_SPACE.join(word) for word in plain.split(" "))
