import base64
import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from boxoffice.kernel.ids import EventId, TicketId, seat_id
from boxoffice.runtime.barcodes import (
    PREFIX,
    TOTAL_BYTES,
    BadBarcodeError,
    Barcode,
    KeyRing,
    key_id,
)
from boxoffice.runtime.key_files import BadKeyFileError

BARCODE = Barcode(
    ticket_id=TicketId(UUID("0f5f1f6e-9a0b-4a52-8f2c-3f6f0a1b2c3d")),
    event_id=EventId(7),
    seat_id=seat_id(EventId(7), 1_970),
    not_before_at=datetime(2026, 11, 1, 18, 0, tzinfo=UTC),
    valid_until=datetime(2026, 11, 2, 2, 0, tzinfo=UTC),
)
RING = KeyRing.generate()


class TestSign:
    def test_reads_back_what_was_signed(self):
        assert RING.verify(RING.sign(BARCODE)) == BARCODE

    def test_is_the_same_text_every_time(self):
        assert RING.sign(BARCODE) == RING.sign(BARCODE)

    def test_needs_only_the_alphanumeric_mode_of_a_qr_code(self):
        assert set(RING.sign(BARCODE)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 $%*+-./:")

    def test_has_no_spare_bits(self):
        assert TOTAL_BYTES * 8 % 5 == 0

    @pytest.mark.parametrize(
        "change",
        [
            {"event_id": EventId(2**64)},
            {"event_id": EventId(-1)},
            {"valid_until": datetime(2200, 1, 1, tzinfo=UTC)},
            {"valid_until": datetime(2026, 1, 1)},  # noqa: DTZ001 - a naive time is the point
        ],
    )
    def test_refuses_what_does_not_fit(self, change: dict[str, object]):
        values = {name: getattr(BARCODE, name) for name in Barcode.__dataclass_fields__}
        with pytest.raises(ValueError, match=r"fit|zone"):
            RING.sign(Barcode(**{**values, **change}))


class TestVerify:
    def test_refuses_every_altered_byte(self):
        raw = bytearray(base64.b32decode(RING.sign(BARCODE)[len(PREFIX) :]))
        for position in range(len(raw)):
            for flip in (0x01, 0x80, 0xFF):
                raw[position] ^= flip
                with pytest.raises(BadBarcodeError):
                    RING.verify(PREFIX + base64.b32encode(raw).decode())
                raw[position] ^= flip

    def test_refuses_every_altered_character(self):
        text = RING.sign(BARCODE)
        for position in range(len(text)):
            with pytest.raises(BadBarcodeError):
                RING.verify(text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :])

    @pytest.mark.parametrize(
        "text",
        ["", "BX1:", "BX1:AAAA", "https://example.org", "bx1:" + "A" * 176, "BX1:" + "A" * 176, "BX1:" + "é" * 176],
    )
    def test_refuses_foreign_text(self, text: str):
        with pytest.raises(BadBarcodeError):
            RING.verify(text)

    @pytest.mark.parametrize(("keep", "add"), [(-1, ""), (None, "A"), (None, "\n"), (None, "=")])
    def test_refuses_another_length(self, keep: int | None, add: str):
        with pytest.raises(BadBarcodeError):
            RING.verify(RING.sign(BARCODE)[:keep] + add)

    def test_refuses_a_key_that_it_does_not_know(self):
        with pytest.raises(BadBarcodeError, match="key"):
            RING.verify(KeyRing.generate().sign(BARCODE))

    def test_believes_an_older_key_that_it_was_given(self):
        old = Ed25519PrivateKey.generate()
        ring = KeyRing(Ed25519PrivateKey.generate(), believed=[old.public_key()])
        assert ring.verify(KeyRing(old).sign(BARCODE)) == BARCODE
        assert set(ring.public_keys()) == {key_id(old.public_key()), ring.signing_key_id}


class TestKeyFile:
    def test_is_made_when_missing_and_kept(self, tmp_path: Path):
        path = tmp_path / "keys" / "ticket.pem"
        text = KeyRing.from_file(path).sign(BARCODE)
        assert KeyRing.from_file(path).verify(text) == BARCODE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [entry.name for entry in path.parent.iterdir()] == ["ticket.pem"]

    def test_is_refused_when_it_is_no_ed25519_key(self, tmp_path: Path):
        path = tmp_path / "ticket.pem"
        path.touch(mode=0o600)
        path.write_text("not a key")
        with pytest.raises(BadKeyFileError):
            KeyRing.from_file(path)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_is_refused_when_others_may_read_or_write_it(self, tmp_path: Path, mode: int):
        path = tmp_path / "ticket.pem"
        KeyRing.from_file(path)
        path.chmod(mode)
        with pytest.raises(BadKeyFileError, match="chmod 600"):
            KeyRing.from_file(path)
