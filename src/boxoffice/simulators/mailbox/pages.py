"""The mailbox in a browser and for tests: list, read, download, delete, all under ``/mailbox``.

A mail is somebody else's HTML: it is shown in a sandboxed frame under its own policy, without scripts.
"""

import functools
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import jinja2
from litestar import Litestar, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime import web
from boxoffice.simulators.mailbox.folder import MailFolder, Summary
from boxoffice.simulators.mailbox.reading import Mail, Part, read_mail

PREFIX = "/mailbox"
PAGE_MAILS = 200
"""Mails on the page; the API gives as many at most."""
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
MAIL_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
SHOWN_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Types that a browser may show in place; everything else is a download."""
CID = re.compile(r"""(["'(])cid:([^"')\s]+)""", re.IGNORECASE)
HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
LINKS_OPEN_ASIDE = '<base target="_blank">'
"""A link in a mail opens beside the mailbox, not within its frame."""


class MailNotFoundError(DomainError):
    """No such mail, or no such part of it."""

    code: ClassVar[str] = "simulator.mail_not_found"
    category: ClassVar[Category] = Category.NOT_FOUND
    title: ClassVar[str] = "There is no such mail"


class CrossSiteError(DomainError):
    """Another site's page tried to delete the mails."""

    code: ClassVar[str] = "simulator.cross_site"
    category: ClassVar[Category] = Category.FORBIDDEN
    title: ClassVar[str] = "Only the mailbox's own page may do this"


class SummaryView(web.View, frozen=True, kw_only=True):
    """A mail in the list."""

    mail_id: str
    received_at: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    message_id: str


class PartView(web.View, frozen=True, kw_only=True):
    """One leaf of a mail, with the address of its bytes."""

    number: int
    content_type: str
    filename: str
    content_id: str
    attached: bool
    size_bytes: int
    url: str


class MailView(web.View, frozen=True, kw_only=True):
    """A mail read."""

    mail: SummaryView
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    parts: tuple[PartView, ...]


class ListView(web.View, frozen=True, kw_only=True):
    """The newest mails; ``total`` counts all that match."""

    mails: list[SummaryView]
    total: int


def make_pages(folder: MailFolder) -> Litestar:
    """Build the application over one folder of mails."""
    routes = [
        list_page, mail_page, mail_html, mail_part, mail_raw, stylesheet, delete_form,
        list_mails, read_one, delete_all,
    ]  # fmt: skip
    return web.make_app("mailbox", routes=routes, verifier=None, prefix=PREFIX, state={"mail_folder": folder})


Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAILS)]


@get("/api/messages")
async def list_mails(request: Request[Any, Any, Any], to: FromQuery[str | None] = None, limit: Limit = 50) -> ListView:
    """List mails, newest first; ``to`` keeps those sent to one address."""
    found = list(_folder(request).newest(to=to))
    return ListView(mails=[_summary_view(summary) for summary in found[:limit]], total=len(found))


@get("/api/messages/{mail_id:str}")
async def read_one(request: Request[Any, Any, Any], mail_id: FromPath[str]) -> MailView:
    """Read a mail."""
    summary, mail, _ = _find(request, mail_id)
    return MailView(
        mail=_summary_view(summary),
        headers=mail.headers.pairs,
        text=mail.text.text if mail.text else None,
        html=mail.html.text if mail.html else None,
        parts=tuple(_part_view(mail_id, part) for part in mail.parts),
    )


@delete("/api/messages")
async def delete_all(request: Request[Any, Any, Any]) -> None:
    """Delete every mail."""
    _folder(request).clear()


@get("/", include_in_schema=False)
async def list_page(request: Request[Any, Any, Any], to: FromQuery[str | None] = None) -> Response[str]:
    """Show the list."""
    found = list(_folder(request).newest(to=to or None))
    return _page("list.html", mails=[_summary_view(entry) for entry in found[:PAGE_MAILS]], total=len(found), to=to)


@get("/messages/{mail_id:str}", include_in_schema=False)
async def mail_page(request: Request[Any, Any, Any], mail_id: FromPath[str]) -> Response[str]:
    """Show a mail."""
    summary, mail, raw = _find(request, mail_id)
    return _page(
        "mail.html",
        mail=_summary_view(summary),
        date=mail.headers.first("Date"),
        has_html=mail.html is not None,
        text=mail.text.text if mail.text else "",
        attachments=[_part_view(mail_id, part) for part in mail.attachments],
        bytes=len(raw),
    )


@get("/messages/{mail_id:str}/html", include_in_schema=False)
async def mail_html(request: Request[Any, Any, Any], mail_id: FromPath[str]) -> Response[str]:
    """Give the HTML part for the frame, with the images inside the mail pointing to their own addresses."""
    _, mail, _ = _find(request, mail_id)
    if mail.html is None:
        raise MailNotFoundError("This mail has no HTML part.")
    urls = {part.content_id: _url(mail_id, part) for part in mail.parts if part.content_id}
    shown = CID.sub(lambda match: match[1] + urls.get(match[2], "about:blank"), mail.html.text)
    shown, in_head = HEAD.subn(lambda match: match[0] + LINKS_OPEN_ASIDE, shown, count=1)
    headers = {"Content-Security-Policy": MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN", "Cache-Control": "no-store"}
    return Response(shown if in_head else LINKS_OPEN_ASIDE + shown, media_type="text/html", headers=headers)


@get("/messages/{mail_id:str}/parts/{number:int}", include_in_schema=False)
async def mail_part(request: Request[Any, Any, Any], mail_id: FromPath[str], number: FromPath[int]) -> Response[bytes]:
    """Give the bytes of one part."""
    _, mail, _ = _find(request, mail_id)
    if not 0 <= number < len(mail.parts):
        raise MailNotFoundError("This mail has no such part.")
    part = mail.parts[number]
    if part.content_type in SHOWN_IMAGES and not part.attached:
        return Response(part.content, media_type=part.content_type, headers={"Cache-Control": "no-store"})
    return _download(part.content, part.filename or f"part-{number}")


@get("/messages/{mail_id:str}/raw", include_in_schema=False)
async def mail_raw(request: Request[Any, Any, Any], mail_id: FromPath[str]) -> Response[bytes]:
    """Give the mail as it is kept."""
    return _download(_find(request, mail_id)[2], f"{mail_id}.eml")


@get("/mailbox.css", include_in_schema=False)
async def stylesheet() -> Response[str]:
    """Give the pages' style."""
    text = (TEMPLATES / "mailbox.css").read_text()
    return Response(text, media_type="text/css", headers={"Cache-Control": "max-age=60"})


@post("/delete", include_in_schema=False)
async def delete_form(request: Request[Any, Any, Any]) -> Redirect:
    """Delete every mail, from the page's button."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise CrossSiteError("Open the mailbox and press the button there.")
    _folder(request).clear()
    return Redirect(PREFIX, status_code=303)


def _folder(request: Request[Any, Any, Any]) -> MailFolder:
    folder: MailFolder = request.app.state.mail_folder
    return folder


def _find(request: Request[Any, Any, Any], mail_id: str) -> tuple[Summary, Mail, bytes]:
    found = _folder(request).find(mail_id)
    if found is None:
        raise MailNotFoundError("It may have been deleted, or was never here.")
    return found[0], read_mail(found[1]), found[1]


def _summary_view(summary: Summary) -> SummaryView:
    return SummaryView(
        mail_id=summary.mail_id,
        received_at=summary.received_at,
        sender=summary.headers.first("From"),
        to=summary.recipients,
        subject=summary.headers.first("Subject"),
        message_id=summary.headers.first("Message-ID"),
    )


def _part_view(mail_id: str, part: Part) -> PartView:
    return PartView(
        number=part.number, content_type=part.content_type, filename=part.filename, content_id=part.content_id,
        attached=part.attached, size_bytes=len(part.content), url=_url(mail_id, part),
    )  # fmt: skip


def _url(mail_id: str, part: Part) -> str:
    return f"{PREFIX}/messages/{mail_id}/parts/{part.number}"


def _download(content: bytes, filename: str) -> Response[bytes]:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


TEMPLATES = Path(__file__).with_name("templates")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["size"] = _size
    environment.globals["prefix"] = PREFIX
    return environment


def _page(template: str, **values: object) -> Response[str]:
    headers: Mapping[str, str] = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    text = _environment().get_template(template).render(values)
    return Response(text, media_type="text/html", headers=dict(headers))


def _size(count: int) -> str:
    kilo = 1024
    return (
        f"{count} B" if count < kilo else f"{count / kilo:.0f} kB" if count < kilo**2 else f"{count / kilo**2:.1f} MB"
    )
