"""The bank: at every moment captured money is the price of what it bought, and at rest both books agree to the cent.

A snapshot is one look at the database (REPEATABLE READ): captured = kept for live tickets + refunded + what the policy
keeps of tickets given back. At rest every booking is held against the provider's own ledger, which is a program of its
own (I2, I3, I4).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sums of one look, in minor units. ``kept``: of void tickets, what was not refunded and bought no other."""

    at: float
    captured: int
    refunded: int
    live: int
    kept: int


@dataclass(frozen=True, slots=True)
class Book:
    """What one booking's money did: captures (each), refunds (each)."""

    captures: tuple[int, ...] = ()
    refunds: tuple[int, ...] = ()


@dataclass
class _Open:
    captures: list[int] = field(default_factory=list)
    refunds: list[int] = field(default_factory=list)


SNAPSHOT = """
SELECT (SELECT coalesce(sum(captured_minor), 0) FROM payments)::bigint AS captured,
       (SELECT coalesce(sum(refunded_minor), 0) FROM payments)::bigint AS refunded,
       (SELECT coalesce(sum(price_minor), 0) FROM tickets WHERE state <> 'void')::bigint AS live,
       (SELECT coalesce(sum(k.price_minor - coalesce(r.refund_minor, 0)) FILTER (WHERE k.state = 'void'), 0)
             - coalesce(sum(k.price_minor) FILTER (WHERE k.taken_in IS NOT NULL), 0)
          FROM tickets k LEFT JOIN refunds r USING (ticket_id))::bigint AS kept
"""
BOOKS = """
SELECT p.order_id::text AS booking, p.captured_minor AS captured,
       coalesce(array_agg(r.refund_minor) FILTER (WHERE r.state = 'done'), '{}') AS refunds
FROM payments p LEFT JOIN refunds r USING (payment_id) WHERE p.captured_minor > 0
GROUP BY p.payment_id
"""


def unbalanced(snapshots: Iterable[Snapshot]) -> list[str]:
    """Find looks in which money and tickets did not agree."""
    return [
        f"at {look.at:.1f} s: captured {look.captured} is not live {look.live} + refunded {look.refunded}"
        f" + kept {look.kept}"
        for look in snapshots
        if look.captured != look.live + look.refunded + look.kept
    ]


def disagreements(ours: Mapping[str, Book], theirs: Mapping[str, Book]) -> list[str]:
    """Compare both books booking by booking, at rest. Two captures of a booking are wrong in whichever book."""
    found = []
    for booking in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(booking, Book()), theirs.get(booking, Book())
        if len(other.captures) > 1 or len(mine.captures) > 1:
            found.append(f"booking {booking} was charged more than once: {other.captures}, noted {mine.captures}")
        if sum(other.refunds) > sum(other.captures):
            found.append(f"booking {booking} got back more than it paid: {other.refunds} of {other.captures}")
        if mine.captures != other.captures or sorted(mine.refunds) != sorted(other.refunds):
            found.append(f"booking {booking}: our books say {mine}, the provider's {other}")
    return found


def provider_books(books: Mapping[str, Any]) -> dict[str, Book]:
    """Read the simulator's ``/simulator/books``; late money that went back whole is left out, and counted elsewhere."""
    opened: dict[str, _Open] = defaultdict(_Open)
    for capture in books["captures"]:
        if capture["status"] not in {"DECLINED", "PENDING"}:
            opened[capture["custom_id"]].captures.append(capture["total_minor"])
    for refund in books["refunds"]:
        opened[refund["capture_custom_id"]].refunds.append(refund["total_minor"])
    return {booking: Book(tuple(found.captures), tuple(found.refunds)) for booking, found in opened.items()}


def our_books(records: Iterable[Mapping[str, Any]]) -> dict[str, Book]:
    """Read the records of :data:`BOOKS`."""
    opened: dict[str, _Open] = defaultdict(_Open)
    for record in records:
        opened[record["booking"]].captures.append(record["captured"])
        opened[record["booking"]].refunds.extend(record["refunds"])
    return {booking: Book(tuple(found.captures), tuple(found.refunds)) for booking, found in opened.items()}
