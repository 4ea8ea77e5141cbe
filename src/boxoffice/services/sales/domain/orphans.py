"""The no-orphan rule: a request must not leave a single open seat behind where it could have been avoided.

An island is a maximal run of open seats side by side in one block. A request that takes some seats of an island may
leave one of its seats alone only when no choice of as many seats in that island could avoid it, which is when exactly
one seat of the island remains. Said for one run of taken seats with ``left`` and ``right`` open seats beside it: it
is refused if and only if ``left == 1 and right != 0`` or ``right == 1 and left != 0``. Both are the same rule
(``tests/unit/sales/test_orphans.py`` compares them with every choice there is); the database keeps the second one in
the hold's own statement. Seats that were alone before are nobody's fault. Places for wheelchairs and their companions
are neither orphans nor neighbours.

Open seats are the bits of one integer, in the order of the slots of a ``domain/seating.py`` Seating: what
stands side by side is side by side, everything else has a 0 between it.
"""

APART = frozenset({"wheelchair", "companion"})
"""Marks of places that stand by themselves: no neighbours, never orphans, never offered unless asked for."""


def runs(bits: int, length: int) -> int:
    """Mark where ``length`` bits in a row begin (their lowest bit)."""
    have = 1
    while have < length:
        step = min(have, length - have)
        bits &= bits >> step
        have += step
    return bits


def leaves_nothing_alone(open_seats: int, starts: int, length: int) -> int:
    """Keep of ``starts`` those from which ``length`` seats leave no single seat on either side."""
    left_one, right_one, _, _ = _gaps(open_seats, length)
    return starts & ~left_one & ~right_one


def permitted(open_seats: int, starts: int, length: int) -> int:
    """Keep of ``starts`` those from which ``length`` seats may be taken by the rule, its exception included."""
    left_one, right_one, left_any, right_any = _gaps(open_seats, length)
    return starts & ~(left_one & right_any) & ~(right_one & left_any)


def stranded(open_seats: int, taken: int) -> int:
    """Mark the seats that taking ``taken`` (open seats) would leave alone against the rule; 0: it is allowed."""
    remaining = open_seats & ~taken
    alone = remaining & ~(remaining << 1) & ~(remaining >> 1)
    alone &= taken << 1 | taken >> 1
    against_the_rule, rest = 0, alone
    while rest:
        seat = rest & -rest
        rest ^= seat
        if (remaining & _island(open_seats, seat)).bit_count() > 1:
            against_the_rule |= seat
    return against_the_rule


def _gaps(open_seats: int, length: int) -> tuple[int, int, int, int]:
    """Mark where a run that begins there has one open seat to its left, one right, any left, any right."""
    left_any, right_any = open_seats << 1, open_seats >> length
    return left_any & ~(open_seats << 2), right_any & ~(open_seats >> (length + 1)), left_any, right_any


def _island(open_seats: int, seat: int) -> int:
    """Mark the open seats side by side around one of them."""
    island = seat
    while (grown := (island | island << 1 | island >> 1) & open_seats) != island:
        island = grown
    return island
