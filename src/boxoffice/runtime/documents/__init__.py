"""Documents that people keep: the QR code of a ticket, the ticket itself as a PDF page, a calendar entry.

Text from people reaches a document as data only; nothing of it is ever read as markup.
"""

from boxoffice.runtime.documents.calendar import calendar_entry
from boxoffice.runtime.documents.qr import qr_png, qr_svg
from boxoffice.runtime.documents.ticket import TicketDocument, local_time, order_number, render_tickets, ticket_pdf

__all__ = [
    "TicketDocument",
    "calendar_entry",
    "local_time",
    "order_number",
    "qr_png",
    "qr_svg",
    "render_tickets",
    "ticket_pdf",
]
