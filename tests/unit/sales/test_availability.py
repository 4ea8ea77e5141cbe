"""Two bits a place: packed, spread over gaps, and read back."""

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.services.sales.domain.availability import NONE, pack, spread, unpack

CODES = st.lists(st.integers(0, 3), max_size=300).map(bytes)


class TestPack:
    @given(CODES)
    def test_reads_back_as_it_was(self, codes: bytes) -> None:
        assert unpack(pack(codes), len(codes)) == codes

    @given(CODES)
    def test_takes_a_quarter_of_a_byte_a_place(self, codes: bytes) -> None:
        assert len(pack(codes)) == -(-len(codes) // 4)

    def test_place_0_is_in_the_lowest_bits_and_the_rest_reads_none(self) -> None:
        assert pack(bytes([1, 2, 0, 3, 2])) == bytes([0b11_00_10_01, 0b11_11_11_10])


class TestSpread:
    def test_without_gaps_nothing_changes(self) -> None:
        assert spread(b"\x00\x01\x02", [0, 1, 2]) == b"\x00\x01\x02"

    def test_a_place_without_an_event_seat_reads_none(self) -> None:
        assert spread(b"\x00\x01", [1, 3]) == bytes([NONE, 0, NONE, 1])

    def test_an_event_without_seats(self) -> None:
        assert spread(b"", []) == b""
