"""Forged access tokens: every kind is a 401 with a problem, none is a 500. Some are signed with identity's own key."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from tests.support.identity import Identity


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forge:
    """Identity's real key, its key id, and a real token to begin with."""

    def __init__(self, pem: bytes, kid: str, token: str) -> None:
        key = load_pem_private_key(pem, None)
        assert isinstance(key, Ed25519PrivateKey)
        self.key, self.kid, self.token = key, kid, token
        self.header, self.payload, self.signature = token.split(".")
        self.claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(self.payload + "=="))

    def signed(self, *, header: Any = None, raw: str | None = None, key: Any = None, **claims: Any) -> str:
        """A token signed correctly; ``claims`` replace the real ones, None takes one out, ``raw`` replaces them all."""
        body = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        head = {"alg": "EdDSA", "kid": self.kid, "typ": "at+jwt", **(header or {})}
        first = b64(json.dumps({name: value for name, value in head.items() if value is not None}).encode())
        text = f"{first}.{b64((raw or json.dumps(body)).encode())}"
        return f"{text}.{b64((key or self.key).sign(text.encode()))}"

    def with_header(self, header: Any, signature: str | None = None) -> str:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        return f"{b64(raw)}.{self.payload}.{self.signature if signature is None else signature}"

    def hs256(self) -> str:
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        text = f"{b64(json.dumps({'alg': 'HS256', 'kid': self.kid, 'typ': 'at+jwt'}).encode())}.{self.payload}"
        return f"{text}.{b64(hmac.new(public, text.encode(), hashlib.sha256).digest())}"

    def head(self, **changed: Any) -> dict[str, Any]:
        return {"alg": "EdDSA", "kid": self.kid, "typ": "at+jwt", **changed}


STRANGER = Ed25519PrivateKey.generate()
STRANGER_X = b64(STRANGER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
JWK = {"kty": "OKP", "crv": "Ed25519", "x": STRANGER_X}

FORGERIES: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda f: f.with_header(f.head(alg="none"), ""),
    "alg None": lambda f: f.with_header(f.head(alg="None"), ""),
    "alg nOnE": lambda f: f.with_header(f.head(alg="nOnE"), ""),
    "alg none, signature kept": lambda f: f.with_header(f.head(alg="none")),
    "HS256 with the public key": lambda f: f.hs256(),
    "RS256 named": lambda f: f.with_header(f.head(alg="RS256")),
    "ES256 named": lambda f: f.with_header(f.head(alg="ES256")),
    "no alg": lambda f: f.with_header({"kid": f.kid, "typ": "at+jwt"}),
    "alg a number": lambda f: f.with_header(f.head(alg=7)),
    "empty signature": lambda f: f"{f.header}.{f.payload}.",
    "no signature part": lambda f: f"{f.header}.{f.payload}",
    "four parts": lambda f: f"{f.token}.x",
    "five parts": lambda f: f"{f.token}.x.y",
    "only dots": lambda _: "..",
    "signature of another token": lambda f: f"{f.header}.{f.payload}.{f.signed(jti='x').split('.')[2]}",
    "last bit flipped": lambda f: f"{f.header}.{f.payload}.{'A' if f.signature[0] != 'A' else 'B'}{f.signature[1:]}",
    "claims changed": lambda f: (
        f"{f.header}.{b64(json.dumps({**f.claims, 'roles': ['administrator']}).encode())}.{f.signature}"
    ),
    "a stranger's key under our kid": lambda f: f.signed(key=STRANGER),
    "a stranger's key under its own kid": lambda f: f.signed(header={"kid": "stranger"}, key=STRANGER),
    "embedded jwk": lambda f: f.signed(header={"jwk": JWK}, key=STRANGER),
    "embedded jwk, no kid": lambda f: f.signed(header={"jwk": JWK, "kid": None}, key=STRANGER),
    "jku": lambda f: f.signed(header={"jku": "https://evil.example/jwks.json", "kid": "evil"}, key=STRANGER),
    "x5u": lambda f: f.signed(header={"x5u": "https://evil.example/cert.pem"}, key=STRANGER),
    "x5c": lambda f: f.signed(header={"x5c": ["AAAA"]}, key=STRANGER),
    "kid a path": lambda f: f.signed(header={"kid": "../../../../dev/null"}),
    "kid SQL": lambda f: f.signed(header={"kid": "' OR '1'='1"}),
    "kid empty": lambda f: f.signed(header={"kid": ""}),
    "kid a list": lambda f: f.signed(header={"kid": [f.kid]}),
    "kid missing": lambda f: f.signed(header={"kid": None}),
    "typ of an id token": lambda f: f.signed(header={"typ": "JWT"}),
    "typ missing": lambda f: f.signed(header={"typ": None}),
    "crit unknown": lambda f: f.signed(header={"crit": ["exp2"], "exp2": 1}),
    "crit b64": lambda f: f.signed(header={"crit": ["b64"], "b64": False}),
    "issuer partial": lambda f: f.signed(iss="box"),
    "issuer longer": lambda f: f.signed(iss="boxoffice.evil.example"),
    "issuer a list": lambda f: f.signed(iss=["boxoffice"]),
    "issuer missing": lambda f: f.signed(iss=None),
    "audience another": lambda f: f.signed(aud="somebody-else"),
    "audience a list": lambda f: f.signed(aud=["boxoffice", "somebody-else"]),
    "audience missing": lambda f: f.signed(aud=None),
    "expired": lambda f: f.signed(exp=int(time.time()) - 60),
    "expiry negative": lambda f: f.signed(exp=-1),
    "expiry a string": lambda f: f.signed(exp="tomorrow"),
    "expiry true": lambda f: f.signed(exp=True),
    "expiry missing": lambda f: f.signed(exp=None),
    "expiry infinite": lambda f: f.signed(raw=json.dumps(f.claims).replace(str(f.claims["exp"]), "1e999")),
    "expiry huge": lambda f: f.signed(raw=json.dumps(f.claims).replace(str(f.claims["exp"]), "9" * 400)),
    "not yet valid": lambda f: f.signed(nbf=int(time.time()) + 3600),
    "subject no UUID": lambda f: f.signed(sub="administrator"),
    "subject a number": lambda f: f.signed(sub=7),
    "subject missing": lambda f: f.signed(sub=None),
    "orgs no list": lambda f: f.signed(orgs="all"),
    "orgs without ids": lambda f: f.signed(orgs=[{"role": "owner"}]),
    "claims a list": lambda f: f.signed(raw="[]"),
    "claims no JSON": lambda f: f.signed(raw="hello"),
    "claims nested deeply": lambda f: f.signed(raw="[" * 2000 + "]" * 2000),
    "header nested deeply": lambda f: f.with_header(b"[" * 2500),
    "header no object": lambda f: f.with_header([1, 2]),
    "header no JSON": lambda f: f.with_header(b"\xff\xfe"),
    "a token within a token": lambda f: f.signed(header={"cty": "JWT"}, raw=f.token),
    "64 KB": lambda f: f.signed(padding="x" * 49_000),
    "not base64": lambda f: f"{f.header}.%%%%.{f.signature}",
    "unicode": lambda f: f"{f.header}.{f.payload}.{f.signature}é",
    "a refresh token": lambda _: "F0vkX7KXzkTYYVpqDcb4gNCp0WwMlsgUjFrorVyU6bI",
}


@pytest.fixture
async def forge(identity: Identity) -> Forge:
    tokens = await identity.entered(f"{uuid4().hex}@example.org")
    kid = (await identity.peers.jwks())["keys"][0]["kid"]
    return Forge(identity.key_file.read_bytes(), kid, tokens["accessToken"])


class TestForgedTokens:
    async def test_the_forge_itself_works(self, identity: Identity, forge: Forge) -> None:
        answer = await identity.client.get(
            "/api/v1/users/me", headers={"Authorization": f"Bearer {forge.signed(jti='x')}"}
        )
        assert answer.status_code == 200, "the forge signs nothing that is taken, so the refusals would prove nothing"

    async def test_are_refused_whatever_their_kind(self, identity: Identity, forge: Forge) -> None:
        assert len(FORGERIES) >= 24
        wrong = {}
        for kind, make in FORGERIES.items():
            value = f"Bearer {make(forge)}".encode()
            answer = await identity.client.get("/api/v1/users/me", headers={b"Authorization": value})
            if answer.status_code != 401 or answer.headers["content-type"] != "application/problem+json":
                wrong[kind] = (answer.status_code, answer.text[:200])
        assert not wrong

    async def test_the_last_of_two_claims_of_one_name_is_what_was_signed(
        self, identity: Identity, forge: Forge
    ) -> None:
        twice = json.dumps(forge.claims)[:-1] + ', "exp": 1}'
        answer = await identity.client.get(
            "/api/v1/users/me", headers={"Authorization": f"Bearer {forge.signed(raw=twice)}"}
        )
        assert answer.status_code == 401


class TestKeys:
    async def test_are_published_without_their_private_part(self, identity: Identity) -> None:
        answer = await identity.client.get("/.well-known/jwks.json")
        (key,) = answer.json()["keys"]
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
        thumbprint = hashlib.sha256(
            json.dumps({"crv": key["crv"], "kty": key["kty"], "x": key["x"]}, separators=(",", ":")).encode()
        ).digest()
        assert key["kid"] == b64(thumbprint)
        assert "max-age" in answer.headers["cache-control"]

    async def test_lie_in_a_file_that_only_the_owner_reads(self, identity: Identity) -> None:
        assert identity.key_file.stat().st_mode & 0o777 == 0o600

    async def test_are_described_where_clients_look(self, identity: Identity) -> None:
        found = (await identity.client.get("/.well-known/openid-configuration")).json()
        assert found["jwks_uri"] == "https://tickets.example.org/.well-known/jwks.json"
        assert found["issuer"] == "boxoffice"

    async def test_the_description_offers_no_program_a_grant(self, identity: Identity) -> None:
        found = (await identity.client.get("/.well-known/openid-configuration")).json()
        for kind in ("grant_types_supported", "response_types_supported", "response_modes_supported"):
            assert found[kind] == [], "left out, it would mean the usual ones"
        assert not [name for name in found if name.endswith("_endpoint")]
        assert found["id_token_signing_alg_values_supported"] == ["EdDSA"]
