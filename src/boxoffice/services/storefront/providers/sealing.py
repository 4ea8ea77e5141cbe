"""Seal a session into a cookie and open it again: AES-256-GCM, so that nobody reads, changes or makes one.

The key comes from the session secret by HKDF (RFC 5869); another secret ends every login.
"""

import base64
import binascii
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from boxoffice.services.storefront.domain.session import Session

NONCE_BYTES = 12
KEY_BYTES = 32
PURPOSE = b"boxoffice storefront session, version 1"
MAX_COOKIE = 3_800
"""Browsers keep 4,096 bytes of a cookie, name and attributes included."""


class Sealer:
    """Seals and opens sessions with one key."""

    def __init__(self, secret: str) -> None:
        key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE).derive(secret.encode())
        self._cipher = AESGCM(key)

    def seal(self, session: Session) -> str:
        """Write a session as a cookie's value.

        :raises ValueError: when it would not fit into a cookie.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(session), PURPOSE)
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        if len(text) > MAX_COOKIE:
            raise ValueError("the session does not fit into a cookie")
        return text

    def open(self, text: str) -> Session | None:
        """Read a cookie's value; none when it was not sealed by this key or was changed."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], PURPOSE)
            return msgspec.msgpack.decode(opened, type=Session)
        except (InvalidTag, ValueError, binascii.Error, msgspec.DecodeError):
            return None
