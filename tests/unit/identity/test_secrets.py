"""Opaque tokens: what is stored opens nothing; the key file."""

from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag

from boxoffice.runtime.key_files import BadKeyFileError
from boxoffice.services.identity.providers import secrets
from boxoffice.services.identity.providers.signing import Issuing, SigningKeys


class TestSecrets:
    def test_have_256_bits(self) -> None:
        assert len({secrets.new_secret() for _ in range(100)}) == 100
        assert len(secrets.new_secret()) == 43

    def test_a_successor_opens_with_its_predecessor_only(self) -> None:
        old, new = secrets.new_secret(), secrets.new_secret()
        sealed = secrets.seal(new, under=old)
        assert secrets.unseal(sealed, under=old) == new
        with pytest.raises(InvalidTag):
            secrets.unseal(sealed, under=new)
        assert new.encode() not in sealed

    def test_a_successor_that_was_sealed_beforehand_is_opened(self) -> None:
        sealed = bytes.fromhex("f98469779af7a665d04845984563d704e65b0339b9ef5efcc4fb17045d67")
        assert secrets.unseal(sealed, under="the token before") == "the next token"


class TestSigningKeys:
    def load(self, file: Path | str) -> SigningKeys:
        return SigningKeys.load(str(file) if file else "", issuer="boxoffice", life_minutes=10)

    def test_are_made_once_for_the_owner_only(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens.pem"
        first = self.load(file).public()
        assert self.load(file).public() == first
        assert file.stat().st_mode & 0o777 == 0o600

    def test_two_may_live_and_the_first_signs(self, tmp_path: Path) -> None:
        old, new, both = tmp_path / "old.pem", tmp_path / "new.pem", tmp_path / "both.pem"
        old_kid = self.load(old).public()["keys"][0]["kid"]
        new_kid = self.load(new).public()["keys"][0]["kid"]
        both.touch(mode=0o600)
        both.write_text(new.read_text() + old.read_text())
        keys = self.load(both)
        assert [key["kid"] for key in keys.public()["keys"]] == [new_kid, old_kid]
        from joserfc.jws import extract_compact

        token = keys.access_token(Issuing(user_id=uuid4(), roles=["customer"], organisations=[]))
        assert extract_compact(token.encode()).headers() == {"alg": "EdDSA", "kid": new_kid, "typ": "at+jwt"}

    def test_refuse_a_file_that_others_may_read(self, tmp_path: Path) -> None:
        file = tmp_path / "tokens.pem"
        self.load(file)
        file.chmod(0o644)
        with pytest.raises(BadKeyFileError, match="chmod 600"):
            self.load(file)

    @pytest.mark.parametrize("text", ["nothing", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
    def test_refuse_a_file_without_a_key(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "tokens.pem"
        file.touch(mode=0o600)
        file.write_text(text)
        with pytest.raises(BadKeyFileError):
            self.load(file)

    def test_without_a_file_live_as_long_as_the_process(self) -> None:
        assert self.load("").public() != self.load("").public()
