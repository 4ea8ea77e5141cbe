"""What the live house says over its WebSocket, and what a client may say to it. One JSON text a message.

A client keeps ``version`` and the states. A snapshot replaces them. A delta is for the version in its ``from`` only: a
client at another version has lost something, and says ``{"resume": its version, "hash": its hash}``. After a delta the
CRC-32 of the packed states must be ``hash``; if it is not, the client says so in the same way.
"""

import msgspec


class Counts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many places are in which state, those of general admission among them."""

    free: int
    held: int
    sold: int
    blocked: int


class LiveArea(Counts, frozen=True, kw_only=True):
    """General admission: how many of an area's places are in which state; they are not told apart."""

    name: str
    capacity: int


class LiveSnapshot(Counts, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """The whole house: ``states`` is base64 of two bits a place, place 0 in the lowest bits of byte 0.

    ``00`` free, ``01`` held, ``10`` sold, ``11`` blocked or no event seat. ``hash``: CRC-32 of those bytes, in
    8 hex digits.
    """

    event_id: int
    version: int
    as_of: int
    places: int
    states: str
    hash: str
    areas: tuple[LiveArea, ...] = ()


class LiveDelta(Counts, frozen=True, kw_only=True, tag_field="type", tag="delta"):
    """What changed between two versions: places and their new states (0 to 3), and all areas if any of them changed."""

    since: int = msgspec.field(name="from")
    version: int
    changes: tuple[tuple[int, int], ...]
    hash: str
    areas: tuple[LiveArea, ...] | None = None


class LiveCurrent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag="current"):
    """The answer to a client that missed nothing."""

    version: int
    hash: str


LiveMessage = LiveSnapshot | LiveDelta | LiveCurrent


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may say: the version that it has, and the hash of its states."""

    resume: int
    hash: str | None = None
