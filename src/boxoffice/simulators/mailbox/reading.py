"""Reading a mail's bytes (RFC 5322, MIME): what a reader sees of it. Nothing in a mail may make this fail."""

import email
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message

MAX_PARTS = 200
"""A mail with more parts is an attack; the rest is not shown."""
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the standard library raises on headers and charsets that no standard knows."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Decoded headers in their order."""

    pairs: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str:
        """Give the first header of a name, "" when there is none."""
        return next((value for key, value in self.pairs if key.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One leaf of a mail; ``number`` counts the leaves from 0."""

    number: int
    content_type: str
    filename: str
    content_id: str
    attached: bool
    content: bytes
    charset: str

    @property
    def text(self) -> str:
        """The content as text, with marks where it cannot be read."""
        try:
            return self.content.decode(self.charset or "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail taken apart."""

    headers: Headers
    parts: tuple[Part, ...]

    @property
    def html(self) -> Part | None:
        """The HTML body, if any."""
        return self._body("text/html")

    @property
    def text(self) -> Part | None:
        """The plain body, if any."""
        return self._body("text/plain")

    @property
    def attachments(self) -> tuple[Part, ...]:
        """What is offered for download: everything but the two bodies and the images within them."""
        return tuple(
            part for part in self.parts if part not in (self.html, self.text) and (part.attached or not part.content_id)
        )

    def _body(self, content_type: str) -> Part | None:
        return next((part for part in self.parts if part.content_type == content_type and not part.attached), None)


def read_headers(raw: bytes) -> Headers:
    """Read only the headers of a mail, or of its beginning."""
    return _headers(email.message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", policy=email.policy.compat32))


def read_mail(raw: bytes) -> Mail:
    """Take a mail apart."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    return Mail(headers=_headers(message), parts=tuple(_parts(message)))


def _headers(message: "Message[str, str]") -> Headers:
    return Headers(tuple((name, _decoded(str(value))) for name, value in message.items()))


def _decoded(value: str) -> str:
    """Decode RFC 2047 words, and put folded lines together."""
    try:
        pieces = decode_header(value)
        text = "".join(
            piece if isinstance(piece, str) else piece.decode(charset or "utf-8", "replace")
            for piece, charset in pieces
        )
    except UNREADABLE:
        text = value
    return " ".join(text.split())


def _parts(message: "Message[str, str]") -> Iterator[Part]:
    leaves = (part for part in message.walk() if not part.is_multipart())
    for number, part in enumerate(leaves):
        if number >= MAX_PARTS:
            return
        payload = part.get_payload(decode=True)
        yield Part(
            number=number,
            content_type=part.get_content_type(),
            filename=_decoded(_quietly(part.get_filename) or ""),
            content_id=str(part.get("Content-ID", "")).strip().strip("<>"),
            attached=_quietly(part.get_content_disposition) == "attachment",
            content=payload if isinstance(payload, bytes) else b"",
            charset=_quietly(part.get_content_charset) or "",
        )


def _quietly(read: Callable[[], object]) -> str | None:
    try:
        value = read()
    except UNREADABLE:
        return None
    return str(value) if value is not None else None
