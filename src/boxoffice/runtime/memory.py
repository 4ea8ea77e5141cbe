"""The collector of unreachable objects, kept out of the sale's way.

Python looks through every object that it has ever made when the old ones grew by a quarter: 50 to 100 ms in which a
process answers nobody, once a second under load. What a process has when it is up it keeps until it ends, so that
need not be looked through; and requests leave hardly any cycles behind.
"""

import gc

YOUNG, MIDDLE, OLD = 10_000, 20, 50
"""Objects more than before, and collections of the younger before one of the older; Python's own are 700, 10, 10."""


def settle() -> None:
    """Take what there is now for lasting, and look less often; called once, when a process is up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
