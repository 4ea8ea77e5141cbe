"""Run seeds, replay one, or hunt mutants: ``python -m tests.simulation [--seeds N] [--first N] [--replay N] [--mutants]``.

Writes ``artifacts/simulation.json``; a failing seed is printed with the command that replays it, and stays in the file.
"""

import argparse
import json
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.simulation.mutants import MOODS, MUTANTS, Caught, hunt
from tests.simulation.run import Result, run

OUT = Path(__file__).parents[2] / "artifacts" / "simulation.json"
CHUNK = 250
"""Seeds that a worker runs before it reports."""


def run_chunk(first: int, seeds: int) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    """Run some seeds; returns their steps, what was seen, and the seeds that failed with what they broke."""
    steps, seen, failed = 0, Counter[str](), []
    for seed in range(first, first + seeds):
        result = run(seed)
        steps += result.steps
        seen.update(result.seen)
        if result.violation:
            failed.append((seed, result.violation))
    return steps, seen, failed


def replay(seed: int, mutant: str = "", mood: str = "") -> Result:
    """Run one seed with its whole history."""
    return run(seed, frozenset(filter(None, mutant.split("+"))), traced=True, mood=MOODS.get(mood or mutant, {}))


def say(seed: int, violation: str, mood: str = "") -> str:
    """Tell of a failing seed, with the command that shows it again."""
    return f"seed {seed} breaks {violation}\n  make replay SEED={seed}{f' MOOD={mood}' if mood else ''}"


def main() -> int:
    """Do what was asked for; returns the exit code."""
    wanted = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    wanted.add_argument("--seeds", type=int, default=20_000, help="how many seeds to run")
    wanted.add_argument("--first", type=int, default=0, help="the first of them")
    wanted.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many at once")
    wanted.add_argument("--replay", type=int, help="show the history of this one seed")
    wanted.add_argument("--mutant", default="", help="with --replay: the guards left out, joined by +")
    wanted.add_argument("--mood", default="", choices=["", *MOODS], help="with --replay: what is made likely")
    wanted.add_argument("--mutants", action="store_true", help="hunt the mutants too")
    asked = wanted.parse_args()
    if asked.replay is not None:
        result = replay(asked.replay, asked.mutant, asked.mood)
        print("\n".join(result.trace))
        print(result.violation or f"nothing broke in {result.steps} steps")
        return int(result.violation is not None)
    began = time.monotonic()
    seen: Counter[str] = Counter()
    failed: list[tuple[int, str]] = []
    steps = 0
    caught: list[Caught] = []
    starts = range(asked.first, asked.first + asked.seeds, CHUNK)
    with ProcessPoolExecutor(asked.workers) as pool:
        sizes = [min(CHUNK, asked.first + asked.seeds - start) for start in starts]
        for more, what, wrong in pool.map(run_chunk, starts, sizes):
            steps, failed = steps + more, failed + wrong
            seen.update(what)
            for seed, violation in wrong:
                print(say(seed, violation), flush=True)
        if asked.mutants:
            caught = list(pool.map(hunt, MUTANTS))
    figures = {
        "seeds": asked.seeds, "first_seed": asked.first, "steps": steps, "violations": len(failed),
        "failing": [{"seed": seed, "breaks": violation} for seed, violation in failed],
        "mutants_caught": sum(one.seed is not None for one in caught), "mutants_total": len(caught),
        "sometimes": dict(seen.most_common()), "seconds": round(time.monotonic() - began, 1),
        "ran_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{asked.seeds} seeds, {steps} steps, {len(failed)} violations in {figures['seconds']} s; {OUT.name} written")
    for one in caught:
        print(f"  {one.mutant}: " + (f"seed {one.seed}: {one.violation[:90]}" if one.seed is not None else "LIVES"))
    return int(bool(failed) or any(one.seed is None for one in caught))


if __name__ == "__main__":
    raise SystemExit(main())
