"""Cycles: do the transactions of a probe have an order? The list-append check of Elle (Kingsbury, Alvaro 2020), small.

Each probe transaction locks a few keys, reads their lists and appends a number of its own to some, through the same
driver and pool as the sale. From what was read follows who came before whom; a circle means a wrong isolation level, a
read from a replica that was behind, or a lost write.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

TABLE = "CREATE TABLE IF NOT EXISTS append_log (seat bigint PRIMARY KEY, numbers bigint[] NOT NULL DEFAULT '{}')"
LOCKED = "SELECT seat, numbers FROM append_log WHERE seat = ANY ($1::bigint[]) ORDER BY seat FOR UPDATE"
UNLOCKED = "SELECT seat, numbers FROM append_log WHERE seat = ANY ($1::bigint[]) ORDER BY seat"
APPEND = "UPDATE append_log SET numbers = numbers || $2::bigint WHERE seat = $1"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one transaction read (key -> list, before its own appends) and appended (key -> number)."""

    name: int
    reads: dict[int, tuple[int, ...]]
    appends: dict[int, int]
    acknowledged: bool = True


def violations(transactions: Iterable[Transaction], final: dict[int, tuple[int, ...]]) -> list[str]:
    """Check lists against one another and the graph of who came before whom. ``final``: the lists at the end."""
    known = [t for t in transactions if t.acknowledged or any(n in final.get(k, ()) for k, n in t.appends.items())]
    found = _lists(known, final)
    edges = _edges(known, final)
    circle = _circle(edges)
    if circle:
        found.append("transactions go round in a circle: " + " → ".join(map(str, circle)))
    return found


def _lists(known: list[Transaction], final: dict[int, tuple[int, ...]]) -> list[str]:
    found = []
    for key, numbers in final.items():
        if len(set(numbers)) != len(numbers):
            found.append(f"key {key}: a number was appended twice: {numbers}")
    for transaction in known:
        for key, seen in transaction.reads.items():
            if final.get(key, ())[: len(seen)] != seen:
                found.append(
                    f"transaction {transaction.name} read {seen} of key {key}, which is no beginning of the end"
                )
        if transaction.acknowledged:
            found += [
                f"transaction {transaction.name} appended {number} to key {key}, and it is not there"
                for key, number in transaction.appends.items()
                if number not in final.get(key, ())
            ]
    return found


def _edges(known: list[Transaction], final: dict[int, tuple[int, ...]]) -> dict[int, set[int]]:
    writer = {(key, number): t.name for t in known for key, number in t.appends.items()}
    edges: dict[int, set[int]] = defaultdict(set)

    def before(first: int | None, second: int | None) -> None:
        if first is not None and second is not None and first != second:
            edges[first].add(second)

    for key, numbers in final.items():
        for earlier, later in pairwise(numbers):
            before(writer.get((key, earlier)), writer.get((key, later)))  # write before write
    for transaction in known:
        for key, seen in transaction.reads.items():
            if seen:
                before(writer.get((key, seen[-1])), transaction.name)  # write before read
            after = final.get(key, ())[len(seen) : len(seen) + 1]
            if after and after[0] != transaction.appends.get(key):
                before(transaction.name, writer.get((key, after[0])))  # read before the next write
    return edges


def _circle(edges: dict[int, set[int]]) -> list[int] | None:
    """Find one circle, depth first, without recursion."""
    white, path, on_path = set(edges), [], set()
    while white:
        stack = [(next(iter(white)), iter(()))]
        stack = [(stack[0][0], iter(edges[stack[0][0]]))]
        white.discard(stack[0][0])
        path, on_path = [stack[0][0]], {stack[0][0]}
        while stack:
            node, rest = stack[-1]
            for following in rest:
                if following in on_path:
                    return [*path[path.index(following) :], following]
                if following in white:
                    white.discard(following)
                    path.append(following)
                    on_path.add(following)
                    stack.append((following, iter(edges[following])))
                    break
            else:
                stack.pop()
                path.pop()
                on_path.discard(node)
    return None
