"""The verifier that every service uses: which keys it goes by, and for how long."""

from typing import Any
from uuid import uuid4

import pytest
from tests.support.tokens import TokenFactory

from boxoffice.runtime import authn
from boxoffice.runtime.authn import TokenVerifier, UnauthenticatedError
from boxoffice.runtime.peers import PeerUnavailableError


class Keys:
    """Identity's keys: counted, and away when told so."""

    def __init__(self, tokens: TokenFactory) -> None:
        self.tokens, self.asked, self.away = tokens, 0, False

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise PeerUnavailableError("away on purpose")
        return await self.tokens.jwks()


@pytest.fixture
def keys(tokens: TokenFactory) -> Keys:
    return Keys(tokens)


@pytest.fixture
def verifier(keys: Keys) -> TokenVerifier:
    return TokenVerifier(keys, issuer=keys.tokens.issuer)


class TestKeys:
    async def test_are_read_once_for_many_tokens(self, keys: Keys, verifier: TokenVerifier) -> None:
        for _ in range(5):
            await verifier.caller(keys.tokens.token(uuid4()))
        assert keys.asked == 1

    async def test_that_are_known_stay_good_while_identity_is_away(self, keys: Keys, verifier: TokenVerifier) -> None:
        await verifier.caller(keys.tokens.token(uuid4()))
        keys.away = True
        verifier._keys_read_at -= authn.KEYS_FRESH_S + 1
        for _ in range(3):
            assert await verifier.caller(keys.tokens.token(uuid4()))
        assert keys.asked == 2, "every call asks a service that is away"

    async def test_that_are_unknown_are_not_trusted_while_identity_is_away(
        self, keys: Keys, verifier: TokenVerifier
    ) -> None:
        keys.away = True
        with pytest.raises(PeerUnavailableError):
            await verifier.caller(keys.tokens.token(uuid4()))

    async def test_made_up_names_do_not_ask_again_and_again(self, keys: Keys, verifier: TokenVerifier) -> None:
        await verifier.caller(keys.tokens.token(uuid4()))
        for _ in range(10):
            with pytest.raises(UnauthenticatedError):
                await verifier.caller(TokenFactory().token(uuid4()))
        assert keys.asked == 1

    async def test_a_token_is_forgotten_when_it_expires(self, keys: Keys, verifier: TokenVerifier) -> None:
        token = keys.tokens.token(uuid4())
        await verifier.caller(token)
        (digest,) = verifier._remembered
        expires, caller = verifier._remembered[digest]
        verifier._remembered[digest] = (expires - 10_000, caller)
        verifier._keys.clear()
        with pytest.raises(UnauthenticatedError):
            await verifier.caller(token)
