"""Letters: an HTML and a plain part from templates, packed as MIME with images inside and files attached.

Values reach a template as text only: the HTML part escapes them, no template is ever made of them, and the ``email``
package refuses a header with a line break (the title and names are cleaned of those before).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file with the mail; one with a ``content_id`` is shown within the HTML part instead."""

    content: bytes
    mime_type: str
    filename: str
    content_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail before it is packed."""

    message_id: str
    written_at: datetime
    sender: str
    sender_name: str
    recipient: str
    recipient_name: str
    title: str
    text: str
    html: str
    attachments: Sequence[Attachment] = ()


class UnreachableAddressError(Exception):
    """An address that no mail can be written to."""


def render(template: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """Write a letter's plain and HTML parts."""
    return (
        _environment().get_template(f"{template}.txt.jinja").render(values).strip() + "\n",
        _environment().get_template(f"{template}.html.jinja").render(values),
    )


def pack(letter: Letter) -> bytes:
    """Write a letter as it travels.

    :raises UnreachableAddressError: when the recipient's address is no address.
    """
    message = EmailMessage(policy=SMTP)
    message["Message-ID"] = letter.message_id
    message["Date"] = format_datetime(letter.written_at)
    message["From"] = _address(letter.sender, letter.sender_name)
    message["To"] = _address(letter.recipient, letter.recipient_name)
    message["Subject"] = letter.title
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    *_, html = message.iter_parts()
    assert isinstance(html, EmailMessage)
    for file in letter.attachments:
        main, _, sub = file.mime_type.partition("/")
        if file.content_id:
            html.add_related(
                file.content, maintype=main, subtype=sub, cid=f"<{file.content_id}>", filename=file.filename,
                disposition="inline",
            )  # fmt: skip
        else:
            message.add_attachment(file.content, maintype=main, subtype=sub, filename=file.filename)
    return message.as_bytes()


def _address(address: str, name: str) -> Address:
    try:
        return Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError, HeaderParseError) as error:  # the parser's answers to what is no address
        raise UnreachableAddressError("no address that mail can be sent to") from error


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.jinja",), disabled_extensions=("txt.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
