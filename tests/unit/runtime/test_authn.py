"""Access tokens: only ours, only for us, only now, and also while identity is away."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from tests.support.tokens import TokenFactory

from boxoffice.runtime import authn
from boxoffice.runtime.authn import TokenVerifier, UnauthenticatedError
from boxoffice.runtime.peers import PeerUnavailableError

USER = uuid4()
ORGANISATION = uuid4()


class TestCaller:
    async def test_tells_who_and_with_which_roles(self, tokens: TokenFactory) -> None:
        caller = await tokens.verifier().caller(tokens.token(USER, ("customer", "organiser"), {ORGANISATION: "owner"}))
        assert caller.user_id == USER
        assert caller.roles == {"customer", "organiser"}
        assert caller.organisations == {ORGANISATION: "owner"}

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1_000_000_000},
            {"exp": None},
            {"nbf": 99_999_999_999},
            {"iss": "somebody-else"},
            {"iss": None},
            {"aud": "another-shop"},
            {"aud": None},
            {"sub": None},
            {"sub": "not-a-uuid"},
            {"sub": 7},
            {"orgs": [{"id": "not-a-uuid", "role": "owner"}]},
            {"orgs": [{"role": "owner"}]},
            {"roles": 7},
            {"exp": "soon"},
        ],
        ids=str,
    )
    async def test_refuses_claims_that_are_not_for_us_or_not_now(
        self, tokens: TokenFactory, claims: dict[str, Any]
    ) -> None:
        good = {"iss": tokens.issuer, "aud": "boxoffice", "sub": str(USER), "exp": int(time.time()) + 60}
        assert (await tokens.verifier().caller(tokens.signed(good))).user_id == USER
        with pytest.raises(UnauthenticatedError):
            await tokens.verifier().caller(tokens.signed({**good, **claims}))

    @pytest.mark.parametrize(
        "token", ["", "a", "a.b", "a.b.c", "....", "eyJhbGciOiJub25lIn0.e30.", "x" * 5_000, "é.é.é"]
    )
    async def test_refuses_what_is_no_token(self, tokens: TokenFactory, token: str) -> None:
        with pytest.raises(UnauthenticatedError):
            await tokens.verifier().caller(token)

    async def test_refuses_another_key_of_the_same_name(self, tokens: TokenFactory) -> None:
        forger = TokenFactory()
        forger.key = type(forger.key).generate_key("Ed25519", parameters={"kid": tokens.key.kid})
        with pytest.raises(UnauthenticatedError):
            await tokens.verifier().caller(forger.token(USER))

    async def test_refuses_a_signature_by_the_public_key_as_a_secret(self, tokens: TokenFactory) -> None:
        public = json.dumps(tokens.key.as_dict(private=False)).encode()
        header = {"alg": "HS256", "kid": tokens.key.kid, "typ": "at+jwt"}
        body = {"iss": tokens.issuer, "aud": "boxoffice", "sub": str(USER), "exp": int(time.time()) + 60}
        with pytest.raises(UnauthenticatedError):
            await tokens.verifier().caller(jwt.encode(header, body, OctKey.import_key(public)))

    async def test_refuses_an_id_token(self, tokens: TokenFactory) -> None:
        header = {"alg": "EdDSA", "kid": tokens.key.kid, "typ": "JWT"}
        body = {"iss": tokens.issuer, "aud": "boxoffice", "sub": str(USER), "exp": int(time.time()) + 60}
        with pytest.raises(UnauthenticatedError):
            await tokens.verifier().caller(jwt.encode(header, body, tokens.key, algorithms=["EdDSA"]))

    async def test_refuses_every_changed_byte_of_the_signature(self, tokens: TokenFactory) -> None:
        head, body, signature = tokens.token(USER).split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        verifier = tokens.verifier()
        for position in range(len(raw)):
            changed = bytearray(raw)
            changed[position] ^= 1
            forged = base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode()
            with pytest.raises(UnauthenticatedError):
                await verifier.caller(f"{head}.{body}.{forged}")


class TestKeys:
    async def test_are_read_once_for_many_tokens(self, tokens: TokenFactory) -> None:
        identity = Identity(tokens)
        verifier = TokenVerifier(identity.keys, issuer=tokens.issuer)
        for _ in range(5):
            await verifier.caller(tokens.token(uuid4()))
        assert identity.asked == 1

    async def test_stay_good_while_identity_is_away(
        self, tokens: TokenFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        identity = Identity(tokens)
        verifier = TokenVerifier(identity.keys, issuer=tokens.issuer)
        await verifier.caller(tokens.token(USER))
        identity.away = True
        monkeypatch.setattr(authn, "KEYS_FRESH_S", -1.0)
        assert (await verifier.caller(tokens.token(uuid4()))).roles == {"customer"}

    async def test_that_were_never_read_are_a_503_while_identity_is_away(self, tokens: TokenFactory) -> None:
        identity = Identity(tokens)
        identity.away = True
        with pytest.raises(PeerUnavailableError):
            await TokenVerifier(identity.keys, issuer=tokens.issuer).caller(tokens.token(USER))

    async def test_unknown_ones_do_not_make_us_ask_again_and_again(self, tokens: TokenFactory) -> None:
        identity = Identity(tokens)
        verifier = TokenVerifier(identity.keys, issuer=tokens.issuer)
        for _ in range(5):
            with pytest.raises(UnauthenticatedError):
                await verifier.caller(TokenFactory().token(USER))
        assert identity.asked == 1


class Identity:
    def __init__(self, tokens: TokenFactory) -> None:
        self.tokens = tokens
        self.asked = 0
        self.away = False

    async def keys(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise PeerUnavailableError("away")
        return await self.tokens.jwks()
