"""The state of a whole house in two bits a place, place 0 in the lowest bits of byte 0.

``00`` free, ``01`` held, ``10`` sold, ``11`` blocked or no event seat.
"""

from collections.abc import Sequence

FREE, HELD, SOLD, NONE = 0, 1, 2, 3
PLACES_PER_BYTE = 4
ASCII_TO_CODE = bytes.maketrans(b"0123", bytes((FREE, HELD, SOLD, NONE)))
LANES = tuple(bytes(byte >> (2 * lane) & NONE for byte in range(256)) for lane in range(PLACES_PER_BYTE))
"""For each of the four places of a byte: what it is in every byte that there can be."""


def pack(codes: bytes) -> bytes:
    """Pack one code a byte (each 0..3) into two bits a place; missing places of the last byte read 11.

    Four places are merged by adding big integers whose bytes never carry, which is quick in pure Python.
    """
    filled = codes + bytes((NONE,)) * (-len(codes) % PLACES_PER_BYTE)
    merged = 0
    for lane in range(PLACES_PER_BYTE):
        merged |= int.from_bytes(filled[lane::PLACES_PER_BYTE], "little") << (2 * lane)
    return merged.to_bytes(len(filled) // PLACES_PER_BYTE, "little")


def unpack(packed: bytes, places: int) -> bytes:
    """Spell a packed house out again, one code a byte; the inverse of :func:`pack`."""
    codes = bytearray(len(packed) * PLACES_PER_BYTE)
    for lane in range(PLACES_PER_BYTE):
        codes[lane::PLACES_PER_BYTE] = packed.translate(LANES[lane])
    return bytes(codes[:places])


def spread(codes: bytes, places: Sequence[int]) -> bytes:
    """Put the codes of event seats at their places; a place without an event seat reads 3.

    ``places`` grows; without gaps the codes are already the answer.
    """
    if not places or places[-1] == len(places) - 1:
        return codes
    spread_out = bytearray((NONE,)) * (places[-1] + 1)
    for place, code in zip(places, codes, strict=True):
        spread_out[place] = code
    return bytes(spread_out)
