"""/tickets/{id}/qr.png, /tickets/{id}.pdf, /bookings/{id}/tickets.pdf: what owners show at the door."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get

from boxoffice.kernel.ids import OrderId, TicketId
from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller
from boxoffice.runtime.documents import TicketDocument, qr_png, render_tickets
from boxoffice.runtime.documents.ticket import order_number
from boxoffice.services.sales.api.parts import Parts
from boxoffice.services.sales.domain.refusals import OrderNotFoundError, TicketNotFoundError
from boxoffice.services.sales.usecases.read_tickets import ShownTicket, show_ticket, show_tickets_of_order

PDF, PNG = "application/pdf", "image/png"
SUFFIX = ".pdf"


@get("/tickets/{ticket_id:uuid}/qr.png", media_type=PNG, opt=web.refuses(TicketNotFoundError))
async def ticket_qr(caller: Caller, parts: Parts, ticket_id: UUID) -> Response[bytes]:
    """Draw a ticket's QR code."""
    shown = await show_ticket(parts.database, TicketId(ticket_id), caller.user_id, parts.signer)
    return _document(qr_png(shown.barcode), PNG, f"{ticket_id}.png")


@get("/tickets/{document:str}", media_type=PDF, opt=web.refuses(TicketNotFoundError))
async def ticket_document(caller: Caller, parts: Parts, document: str) -> Response[bytes]:
    """Set one ticket as a PDF; ``document`` is the ticket's id and ``.pdf``."""
    ticket_id = _ticket_id(document)
    shown = await show_ticket(parts.database, ticket_id, caller.user_id, parts.signer)
    return _document(await render_tickets(_pages([shown])), PDF, f"{ticket_id}.pdf")


@get("/bookings/{booking_id:uuid}/tickets.pdf", media_type=PDF, opt=web.refuses(OrderNotFoundError))
async def booking_document(caller: Caller, parts: Parts, booking_id: UUID) -> Response[bytes]:
    """Set all live tickets of a booking as one PDF, a page each."""
    shown = await show_tickets_of_order(parts.database, OrderId(booking_id), caller.user_id, parts.signer)
    return _document(await render_tickets(_pages(shown)), PDF, f"tickets-{booking_id}.pdf")


def _ticket_id(document: str) -> TicketId:
    try:
        return TicketId(UUID(document.removesuffix(SUFFIX) if document.endswith(SUFFIX) else ""))
    except ValueError as error:
        raise TicketNotFoundError("There is no such ticket.") from error


def _pages(shown: Sequence[ShownTicket]) -> list[TicketDocument]:
    return [
        TicketDocument(
            order_number=order_number(one.ticket.order_id), event_name=one.event.name,
            starts_at=one.event.starts_at, time_zone=one.event.time_zone, venue_name=one.event.venue_name,
            venue_location=one.event.venue_location, section=one.ticket.section, row=one.ticket.row,
            seat=one.ticket.number, price=one.ticket.price.decimal(), currency=one.ticket.price.currency,
            barcode=one.barcode, price_level=one.ticket.price_level, attendee=one.attendee,
            notice=one.ticket.notice, ticket_type=one.ticket.ticket_type,
        )
        for one in shown
    ]  # fmt: skip


def _document(content: bytes, media_type: str, name: str) -> Response[bytes]:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{name}"'}
    return Response(content=content, media_type=media_type, headers=headers)


ROUTES: list[Any] = [ticket_qr, ticket_document, booking_document]
