"""The order in which requests that arrived together were decided: one in which the model says to each what it heard."""

from collections.abc import Sequence
from functools import partial

from tests.histories.model import Label, Request, Said, Sale


def in_some_order(
    sale: Sale, requests: Sequence[Request], heard: Sequence[Said], told: Sequence[Label]
) -> tuple[list[int], Sale] | None:
    """Find an order of the requests, and the sale after them; none when there is none.

    ``told`` are the orders that were made, as the outbox has them: that order is tried first.
    """
    rank = {label: number for number, label in enumerate(told)}
    hopeless: set[frozenset[int]] = set()

    def search(now: Sale, left: frozenset[int]) -> tuple[list[int], Sale] | None:
        done: list[int] = []
        made: list[tuple[int, int, Sale]] = []
        for number in sorted(left):
            answer, after = now.after(partial(Sale.hold, request=requests[number]))
            if answer != heard[number]:
                continue
            label = requests[number].label
            if label in after.orders and label not in now.orders:
                made.append((rank.get(label, len(rank)), number, after))
            else:  # a refusal, or a repeat: it changes nothing, so it may as well come now
                done.append(number)
        left = left.difference(done)
        if not left:
            return done, now
        if left in hopeless:
            return None
        for _, number, after in sorted(made, key=lambda one: one[:2]):
            if (rest := search(after, left - {number})) is not None:
                return [*done, number, *rest[0]], rest[1]
        hopeless.add(left)
        return None

    return search(sale, frozenset(range(len(requests))))
