"""Opaque secrets of 256 bits: refresh tokens and one-time links. Only their hashes are stored.

A token that was rotated keeps its successor sealed under the token itself, so that a client whose answer was lost can
be given the same answer again, and nobody who only reads the table can.
"""

import hashlib
import secrets
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES: Final = 32
ONLY_ONCE: Final = bytes(12)
"""The nonce may be constant: each token is a key that seals exactly one message."""


def new_secret() -> str:
    """Make a secret of 256 random bits, safe in URLs."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Give what is stored of a secret. A plain hash is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()


def seal(successor: str, *, under: str) -> bytes:
    """Seal a token under its predecessor."""
    return AESGCM(_sealing_key(under)).encrypt(ONLY_ONCE, successor.encode(), None)


def unseal(sealed: bytes, *, under: str) -> str:
    """Open what :func:`seal` sealed.

    :raises cryptography.exceptions.InvalidTag: when it was sealed under another token.
    """
    return AESGCM(_sealing_key(under)).decrypt(ONLY_ONCE, sealed, None).decode()


def fingerprint(*parts: str | None) -> bytes:
    """Give a fingerprint of a request's parts for its idempotency record; never hand it a password."""
    return hashlib.sha256("\x00".join(part or "" for part in parts).encode()).digest()


def _sealing_key(token: str) -> bytes:
    return hashlib.blake2b(token.encode(), digest_size=32, person=b"successor").digest()
