"""Access codes: 80 random bits as people can read them aloud, and how they are kept (SHA-256, never the code itself).

Crockford's base 32 (https://www.crockford.com/base32.html) without its check symbol: no I, L, O or U; what is read as
one of the first three is understood. Codes are made by us and long, so that a plain hash of one cannot be turned back.
"""

import hashlib

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS = 80
LENGTH, GROUP = 16, 4
BITS_A_LETTER = 5
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
MAX_TYPED = 64
"""Characters of a code as it is typed, spaces and hyphens included."""


def spell(bits: int) -> str:
    """Write 80 bits as a code: four groups of four letters.

    :raises ValueError: when they are more, or negative.
    """
    if not 0 <= bits < 1 << BITS:
        raise ValueError(f"a code has {BITS} bits")
    letters = "".join(ALPHABET[bits >> BITS_A_LETTER * at & 31] for at in reversed(range(LENGTH)))
    return "-".join(letters[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def digest(typed: str) -> bytes:
    """Give the hash under which a code is kept, however it was typed: case, spaces and hyphens do not count."""
    return hashlib.sha256(typed[:MAX_TYPED].upper().translate(MISREAD).encode()).digest()
