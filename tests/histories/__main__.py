"""Play more histories than a test run does: ``python -m tests.histories [--histories N] [--seed N]``."""

import argparse
import sys
import time
from random import randrange

import structlog
from tests.histories import steps
from tests.histories.search import search, stage
from tests.support.engines import running_engines

KINDS = {"everything": steps.everything, "seats": steps.seats, "places": steps.places, "best": steps.best}


def main() -> int:
    """Do what was asked for; returns the exit code."""
    wanted = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    wanted.add_argument("--histories", type=int, default=5_000, help="how many to play")
    wanted.add_argument("--seed", type=int, default=randrange(1 << 32), help="of the histories; said when it is over")
    wanted.add_argument("--kind", choices=[*KINDS], default="everything", help="what is asked for in them")
    asked = wanted.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    again = f"python -m tests.histories --kind {asked.kind} --histories {asked.histories} --seed {asked.seed}"
    began = time.monotonic()
    with running_engines() as engines, stage(engines) as (runner, opened):
        try:
            seen = search(runner, opened, KINDS[asked.kind], most=asked.histories, of=asked.seed)
        except AssertionError as disagreement:
            print(disagreement, *getattr(disagreement, "__notes__", ()), sep="\n")
            print(f"\nonce more: {again}")
            return 1
    for what, times in seen.most_common():
        print(f"{times:8} {what}")
    print(f"no disagreement in {time.monotonic() - began:.0f} s; {again}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
