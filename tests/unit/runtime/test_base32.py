"""Base32 is the standard library's, letter for letter."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxoffice.runtime.barcodes import BASE32, TOTAL_BYTES
from boxoffice.runtime.base32 import Base32


class TestBase32:
    @given(st.binary(min_size=TOTAL_BYTES, max_size=TOTAL_BYTES))
    @example(bytes(TOTAL_BYTES))
    @example(b"\xff" * TOTAL_BYTES)
    def test_writes_a_barcode_as_the_standard_library_does(self, raw: bytes) -> None:
        assert BASE32.encode(raw) == base64.b32encode(raw).decode()

    @given(st.integers(1, 60).flatmap(lambda groups: st.binary(min_size=5 * groups, max_size=5 * groups)))
    def test_writes_any_length_that_needs_no_padding(self, raw: bytes) -> None:
        assert Base32(len(raw)).encode(raw) == base64.b32encode(raw).decode()

    @pytest.mark.parametrize("byte_count", [0, TOTAL_BYTES - 1, TOTAL_BYTES + 1])
    def test_refuses_another_number_of_bytes(self, byte_count: int) -> None:
        with pytest.raises(ValueError, match="instead of 110"):
            BASE32.encode(bytes(byte_count))

    def test_refuses_what_would_need_padding(self) -> None:
        with pytest.raises(ValueError, match="padding"):
            Base32(12)
