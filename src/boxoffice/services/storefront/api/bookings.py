"""One's own bookings: the list, one booking with its tickets, cancelling, the documents."""

from typing import Any
from uuid import UUID, uuid5

from litestar import Request, Response, get, post

from boxoffice.kernel.money import Money
from boxoffice.services.storefront.api.buy import KEYS
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.rendering import PERSONAL
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.providers.answers import Booking, BookingTicket
from boxoffice.services.storefront.usecases.log_in import new_mark

PAGE = 10
WHOLE = 100


@get("/bookings", include_in_schema=False)
async def bookings(request: Request[Any, Any, Any], front: Front, visit: Visit) -> Response[bytes]:
    """List one's bookings, newest first."""
    visit.known()
    text = request.query_params.get("pageNo", "0")
    page_no = int(text) if text.isdecimal() and len(text) < 6 else 0  # noqa: PLR2004 - nobody books more
    found = await visit.shop.bookings({"pageNo": page_no, "pageSize": PAGE})
    return front.pages.personal(visit, "bookings.html", found=found, page_no=page_no)


@get("/bookings/{booking_id:uuid}", include_in_schema=False)
async def booking(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Show one booking: the clock and the way to pay while it is held, the tickets once it is paid."""
    visit.known()
    found = await visit.shop.booking(booking_id)
    return front.pages.personal(
        visit, "booking.html", booking=found, csrf=visit.form_token(), key=new_mark(), live=live_tickets(found),
        just_paid="paid" in request.query_params, unpaid="unpaid" in request.query_params,
        repriced="total" in request.query_params,
    )  # fmt: skip


@get("/bookings/{booking_id:uuid}/cancel", include_in_schema=False)
async def ask_to_cancel(front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Show what cancelling means: the policy, and the sum that comes back."""
    visit.known()
    found = await visit.shop.booking(booking_id)
    lines = [(ticket, refund_of(ticket, found.refund_policy.refund_percent)) for ticket in live_tickets(found)]
    total = Money(sum(refund.minor for _, refund in lines), found.currency)
    return front.pages.personal(
        visit, "cancel.html", booking=found, lines=lines, total=total, csrf=visit.form_token(), key=new_mark()
    )  # fmt: skip


@post("/bookings/{booking_id:uuid}/cancel", include_in_schema=False)
async def cancel(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Cancel the tickets that the form names."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    named = [int(str(text)) for text in form.getall("ticket", []) if str(text).isdecimal() and len(str(text)) < 20]  # noqa: PLR2004 - 64 bits
    if not named:
        return front.pages.go(visit, f"/bookings/{booking_id}/cancel")
    key = str(uuid5(KEYS, f"cancel:{booking_id}:{sorted(named)}:{form.get('key', '')}"))
    await visit.shop.cancel(booking_id, named, key=key)
    return front.pages.go(visit, f"/bookings/{booking_id}")


@post("/bookings/{booking_id:uuid}/attendees", include_in_schema=False)
async def attendees(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Say who comes with which ticket, as the form has it; an empty field takes the name back."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    found = await visit.shop.booking(booking_id)
    named = [
        {"ticketId": ticket.ticket_id, "name": name or None, "email": ticket.attendee_email if name else None}
        for ticket in live_tickets(found)
        if (name := str(form.get(f"name-{ticket.ticket_id}", "")).strip()) != (ticket.attendee_name or "")
    ]
    if named:
        await visit.shop.name_attendees(booking_id, named)
    return front.pages.go(visit, f"/bookings/{booking_id}")


@get("/tickets/{ticket_id:uuid}/qr.png", include_in_schema=False)
async def ticket_qr(visit: Visit, ticket_id: UUID) -> Response[bytes]:
    """Give a ticket's QR code."""
    return await _document(visit, f"/tickets/{ticket_id}/qr.png", name=f"ticket-{str(ticket_id)[:8]}.png", shown=True)


@get("/tickets/{ticket_id:uuid}/ticket.pdf", include_in_schema=False)
async def ticket_pdf(visit: Visit, ticket_id: UUID) -> Response[bytes]:
    """Give one ticket as a PDF."""
    return await _document(visit, f"/tickets/{ticket_id}.pdf", name=f"ticket-{str(ticket_id)[:8]}.pdf")


@get("/bookings/{booking_id:uuid}/tickets.pdf", include_in_schema=False)
async def booking_pdf(visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Give all tickets of a booking as one PDF."""
    return await _document(visit, f"/bookings/{booking_id}/tickets.pdf", name=f"tickets-{str(booking_id)[:8]}.pdf")


def live_tickets(booking: Booking) -> list[BookingTicket]:
    """List the tickets of a booking that let somebody in."""
    return [ticket for ticket in booking.tickets if ticket.ticket_status == "VALID"]


def refund_of(ticket: BookingTicket, percent: int) -> Money:
    """Say what comes back for one ticket, as the refund policy rounds: down to the minor unit."""
    price = Money.parse(ticket.price, ticket.currency)
    return Money(price.minor * percent // WHOLE, price.currency)


async def _document(visit: Visit, path: str, *, name: str, shown: bool = False) -> Response[bytes]:
    """Give a document under a name of ours: shown in its page, or saved."""
    visit.known()
    content, media_type = await visit.shop.document(path)
    way = "inline" if shown else "attachment"
    headers = {"Cache-Control": PERSONAL, "Content-Disposition": f'{way}; filename="{name}"'}
    return Response(content=content, media_type=media_type, headers=headers)


ROUTES: list[Any] = [bookings, booking, ask_to_cancel, cancel, attendees, ticket_qr, ticket_pdf, booking_pdf]
