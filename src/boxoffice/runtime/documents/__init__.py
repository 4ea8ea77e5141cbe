"""Documents that people keep: the QR code of a ticket, and the ticket itself as a PDF page.

Text from people reaches a document as data only; nothing of it is ever read as markup.
"""

from boxoffice.runtime.documents.qr import qr_png, qr_svg
from boxoffice.runtime.documents.ticket import TicketDocument, render_tickets, ticket_pdf

__all__ = ["TicketDocument", "qr_png", "qr_svg", "render_tickets", "ticket_pdf"]
