"""The barcode of a ticket: what the QR code says, signed with Ed25519 so that a scanner needs public keys only (I16).

``BX1:`` and the base32 (no padding, so that a QR code may use its dense alphanumeric mode) of: version (1 byte), key id
(4), ticket id (16), event id (8), seat id (8), not-before and expiry (4 each, unix seconds), class (1), and the
signature (64) over all bytes before it; integers are big-endian. No personal data (I24).
"""

import base64
import hashlib
import os
import re
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.kernel.ids import EventId, SeatId, TicketId
from boxoffice.runtime.base32 import Base32
from boxoffice.runtime.key_files import BadKeyFileError, refuse_when_others_may_read

PREFIX = "BX1:"
VERSION = 1
KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64
FIELDS = struct.Struct(">B4s16sQQIIB")
TOTAL_BYTES = FIELDS.size + SIGNATURE_BYTES
ENCODED_LENGTH = -(-TOTAL_BYTES * 8 // 5)
"""Characters after the prefix: 176 for 110 bytes, without a spare bit, so no two texts say the same bytes."""
BASE32 = Base32(TOTAL_BYTES)
ALPHABET = re.compile(f"[A-Z2-7]{{{ENCODED_LENGTH}}}")
LATEST_INSTANT = 2**32 - 1
"""7 February 2106; the format has 32 bits for an instant."""


class BarcodeClass(IntEnum):
    """How a ticket may be shown: ``PRINT`` on paper or a screen, admitted once."""

    PRINT = 1


class BadBarcodeError(DomainError):
    """What was scanned is no barcode of ours: foreign, cut, altered, or signed by a key that we do not know."""

    code: ClassVar[str] = "sales.barcode_refused"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "This is not one of our tickets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Barcode:
    """What a barcode says. It is valid from ``not_before_at`` until ``valid_until``, both whole seconds."""

    ticket_id: TicketId
    event_id: EventId
    seat_id: SeatId
    not_before_at: datetime
    valid_until: datetime
    kind: BarcodeClass = BarcodeClass.PRINT


class KeyRing:
    """One key that signs, and every public key that is still believed (older keys of tickets sold before)."""

    def __init__(self, signing: Ed25519PrivateKey, believed: Iterable[Ed25519PublicKey] = ()) -> None:
        self._signing = signing
        public = signing.public_key()
        self.signing_key_id = key_id(public)
        self._believed = {key_id(key): key for key in (*believed, public)}

    @classmethod
    def generate(cls) -> "KeyRing":
        """Make a ring with one fresh key, for tests and for a first start."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_file(cls, path: Path) -> "KeyRing":
        """Read the PEM private key, or make one (mode 0600) when there is no file.

        :raises BadKeyFileError: when the file is no Ed25519 key, cannot be read or made, or others may read it.
        """
        try:
            if not path.exists():
                _make_key_file(path)
            refuse_when_others_may_read(path)
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise BadKeyFileError(f"The ticket key file {path} cannot be used: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKeyFileError(f"The ticket key file {path} holds another kind of key; it must be Ed25519.")
        return cls(key)

    def public_keys(self) -> dict[bytes, bytes]:
        """List the believed keys, key id to 32 raw bytes; all that a scanner needs."""
        return {kid: key.public_bytes(Encoding.Raw, PublicFormat.Raw) for kid, key in self._believed.items()}

    def sign(self, barcode: Barcode) -> str:
        """Write and sign a barcode.

        :raises ValueError: when a field does not fit the format.
        """
        head = _pack(barcode, self.signing_key_id)
        return PREFIX + BASE32.encode(head + self._signing.sign(head))

    def verify(self, text: str) -> Barcode:
        """Read a barcode that one of our keys signed. Whether it is valid now is the caller's question.

        :raises BadBarcodeError: when its form, its length, its key or its signature is not ours.
        """
        if not text.startswith(PREFIX) or not ALPHABET.fullmatch(text, len(PREFIX)):
            raise BadBarcodeError("The code has not the form of our tickets.")
        raw = base64.b32decode(text[len(PREFIX) :])
        head, signature = raw[: FIELDS.size], raw[FIELDS.size :]
        key = self._believed.get(head[1 : 1 + KEY_ID_BYTES])
        if key is None:
            raise BadBarcodeError("The code was signed by a key that is not ours.")
        try:
            key.verify(signature, head)
        except InvalidSignature as error:
            raise BadBarcodeError("The code was altered or forged.") from error
        return _unpack(head)


def key_id(key: Ed25519PublicKey) -> bytes:
    """Name a public key: the first 4 bytes of the SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()[:KEY_ID_BYTES]


def _pack(barcode: Barcode, kid: bytes) -> bytes:
    not_before, expiry = _seconds(barcode.not_before_at), _seconds(barcode.valid_until)
    try:
        return FIELDS.pack(
            VERSION, kid, barcode.ticket_id.bytes, barcode.event_id, barcode.seat_id, not_before, expiry, barcode.kind
        )
    except struct.error as error:
        raise ValueError(f"a field does not fit the barcode: {error}") from error


def _unpack(head: bytes) -> Barcode:
    version, _, ticket, event, seat, not_before, expiry, kind = FIELDS.unpack(head)
    if version != VERSION or kind not in set(BarcodeClass):
        raise BadBarcodeError("The code is of a version or class that this program does not know.")
    return Barcode(
        ticket_id=TicketId(UUID(bytes=ticket)),
        event_id=EventId(event),
        seat_id=SeatId(seat),
        not_before_at=datetime.fromtimestamp(not_before, UTC),
        valid_until=datetime.fromtimestamp(expiry, UTC),
        kind=BarcodeClass(kind),
    )


def _seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("an instant needs a zone")
    seconds = int(moment.timestamp())
    if not 0 <= seconds <= LATEST_INSTANT:
        raise ValueError("an instant outside 1970..2106 does not fit the barcode")
    return seconds


def _make_key_file(path: Path) -> None:
    """Write a fresh key beside the path and link it in: of two processes that start at once, one key wins."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)  # tickets must not outlive the key that signed them
    finally:
        Path(fresh).unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
