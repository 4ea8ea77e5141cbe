"""The Ed25519 keys that sign access tokens, from one PEM file: the first key signs, all of them are published.

Rotation is editing that file: append a key and restart (it is published), wait longer than :data:`PUBLISH_AHEAD_S`,
move it to the front (it signs), and a token's life later take the old one out. ``kid`` is the RFC 7638 thumbprint.
"""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import OKPKey

from boxoffice.contracts.tokens import ALGORITHM, AUDIENCE, KEYS_FRESH_S, TYPE
from boxoffice.runtime.key_files import BadKeyFileError, refuse_when_others_may_read

PUBLISH_AHEAD_S = int(KEYS_FRESH_S * 2)
"""Every service has read the keys again by then."""
PEM_BLOCK = re.compile(r"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuing:
    """What an access token says of a login: all of it public to its bearer."""

    user_id: UUID
    roles: list[str]
    organisations: list[dict[str, str]]


class SigningKeys:
    """Signs access tokens and publishes the public keys."""

    def __init__(self, keys: list[OKPKey], *, issuer: str, life_minutes: int) -> None:
        self._keys = keys
        self._issuer = issuer
        self.life_seconds = life_minutes * 60

    @classmethod
    def load(cls, file: str, *, issuer: str, life_minutes: int) -> "SigningKeys":
        """Read the key file, made when missing (mode 0600); "" is a key for this process only.

        :raises BadKeyFileError: when the file holds no Ed25519 key, or others than its owner may read it.
        """
        pem = _new_pem() if not file else _read(Path(file))
        blocks = PEM_BLOCK.findall(pem)
        if not blocks:
            raise BadKeyFileError(f"{file} holds no private key in PEM; delete it to have a new one made.")
        return cls([_key(block, file) for block in blocks], issuer=issuer, life_minutes=life_minutes)

    def access_token(self, issuing: Issuing) -> str:
        """Sign an access token (RFC 9068), good from now on for the life that the settings give."""
        now = int(time.time())
        key = self._keys[0]
        claims = {
            "iss": self._issuer, "aud": AUDIENCE, "sub": str(issuing.user_id), "iat": now, "nbf": now,
            "exp": now + self.life_seconds, "jti": str(uuid4()), "roles": issuing.roles, "orgs": issuing.organisations,
        }  # fmt: skip
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": TYPE}, claims, key, algorithms=[ALGORITHM])

    def public(self) -> dict[str, list[dict[str, str]]]:
        """Give the JWK set (RFC 7517) of every key that may have signed a token which still lives."""
        return {
            "keys": [
                {
                    **{name: str(value) for name, value in key.as_dict(private=False).items()},
                    "use": "sig",
                    "alg": ALGORITHM,
                }
                for key in self._keys
            ]
        }


def _read(path: Path) -> str:
    try:
        # Exclusive: of two processes that start at once one makes the key, the other reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_when_written(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(_new_pem())
        file.flush()
        os.fsync(file.fileno())
    return path.read_text()


def _read_when_written(path: Path) -> str:
    refuse_when_others_may_read(path)
    for _ in range(20):
        if text := path.read_text():
            return text
        time.sleep(0.05)  # at start only: the process that makes the file has not written it yet
    raise BadKeyFileError(f"{path} is empty; delete it to have a new one made.")


def _new_pem() -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _key(pem: str, file: str) -> OKPKey:
    try:
        key = OKPKey.import_key(pem)
    except ValueError as error:
        raise BadKeyFileError(f"{file} holds a key that cannot be read: {error}") from error
    if key.curve_name != "Ed25519":
        raise BadKeyFileError(f"{file} holds a {key.curve_name} key; access tokens are signed with Ed25519.")
    key.ensure_kid()
    return key
