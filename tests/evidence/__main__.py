"""Run every proof of the sale and write docs/evidence: ``python -m tests.evidence --minutes 10 --attempts 1000000``.

Figures come from what the proofs of this run wrote, and from nowhere else. A run that was shorter than a release's, or in
which a part was left out or failed, says so at the top of its page.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.evidence.page import page
from tests.evidence.steps import ARTIFACTS, ROOT, Outcome, as_table, carry_out, proofs
from tests.evidence.timeline import timeline

EVIDENCE = ROOT / "docs" / "evidence"
BESIDE = ("hammer", "mutants", "pairs", "hoarding", "simulation", "without-valkey")
"""Run one after another while the chaos mostly waits: a busy machine makes it worse, which is what it is for."""
PARTS = ("chaos", *BESIDE)
RELEASE = {"minutes": 10.0, "attempts": 1_000_000, "seeds": 20_000}
"""What a release's evidence needs at least."""
MOST_VIOLATIONS = 50
"""That the page lists; all are counted."""
CHECKED = {"chaos": "violations", "hammer": "violations", "without-valkey": "violations", "pairs": "violations",
           "simulation": "violations", "hoarding": "failed"}  # fmt: skip


def machine() -> dict[str, Any]:
    """Say what it ran on; what earlier runs wrote is no change."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "cpu": cpus[0] if cpus else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory.split()[1]) / 2**20, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_since_commit": bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/evidence")
        ),
    }


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip


def put_together(outcomes: Mapping[str, Outcome], *, seed: int) -> dict[str, Any]:
    """Take the figures from what the proofs wrote; a part that wrote nothing has none."""
    found = {name: (outcomes[name].found if name in outcomes else None) for name in PARTS}
    chaos, hammer, mutants, pairs = (found[name] or {} for name in ("chaos", "hammer", "mutants", "pairs"))
    violations = [f"{name}: {text}" for name in PARTS for text in _violations(name, found[name])]
    return {
        "reserve_attempts": hammer.get("attempts"),
        "violations": len(violations),
        "mutants_caught": mutants.get("mutants_caught"),
        "mutants_total": mutants.get("mutants_total"),
        "chaos_minutes": chaos.get("minutes"),
        "transaction_pairs": pairs.get("pairs"),
        "sometimes_missing": len(chaos["sometimes_missing"]) if chaos else None,
        "seed": seed,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "partial": partial(found, outcomes),
        "machine": machine(),
        "violations_found": violations[:MOST_VIOLATIONS],
        "steps": as_table(outcomes),
        "hammer": _without(hammer, "violations"),
        "chaos": _without(chaos, "violations", "seconds", "events"),
        "without_valkey": found["without-valkey"],
        "pairs": _without(pairs, "list"),
        "mutants": [{name: one[name] for name in ("name", "caught")} for one in mutants.get("list", [])],
        "hoarding": found["hoarding"],
        "simulation": _without(found["simulation"] or {}, "failing"),
    }


def _violations(name: str, found: Mapping[str, Any] | None) -> list[str]:
    """List what a part found wrong; where it only counts, say how many."""
    wrong = (found or {}).get(CHECKED.get(name, ""), 0)
    return list(wrong) if isinstance(wrong, list) else [f"number {n + 1} of {wrong}" for n in range(int(wrong))]


def _without(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}


def partial(found: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> list[str]:
    """Say in what this run is less than a release's."""
    said = [f"{name} was not run" for name in PARTS if name not in outcomes]
    said += [f"{name} wrote no result (exit code {one.exit_code})" for name, one in outcomes.items() if not one.found]
    said += [
        f"{name} ended with exit code {one.exit_code}" for name, one in outcomes.items() if one.exit_code and one.found
    ]
    for part, figure, wanted in (
        ("chaos", "minutes", RELEASE["minutes"]),
        ("hammer", "attempts", RELEASE["attempts"]),
        ("simulation", "seeds", RELEASE["seeds"]),
    ):
        reached = (found[part] or {}).get(figure)
        if reached is not None and reached < wanted:
            said.append(f"{part}: {reached:,} {figure} of {wanted:,}")
    return said


def carry_out_all(wanted: set[str], *, minutes: float, attempts: int, seeds: int, seed: int) -> dict[str, Outcome]:
    """Run what is wanted: the chaos, and the others beside it."""
    every = proofs(minutes=minutes, attempts=attempts, seeds=seeds, seed=seed)
    with ThreadPoolExecutor(1) as beside:
        others = {name: beside.submit(carry_out, every[name]) for name in BESIDE if name in wanted}
        done = {"chaos": carry_out(every["chaos"])} if "chaos" in wanted else {}
        return done | {name: other.result() for name, other in others.items()}


def write(found: Mapping[str, Any], chaos: Mapping[str, Any] | None) -> None:
    """Write the page, its twin and its picture."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    (EVIDENCE / "sale.json").write_text(json.dumps(found, indent=1) + "\n")
    (EVIDENCE / "sale.md").write_text(page(found))
    if chaos is not None:
        (EVIDENCE / "sale.svg").write_text(timeline(chaos))


def main() -> int:
    """Read the command line, run everything, write; ends with 0 only for a whole run without a violation."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=RELEASE["minutes"], help="of chaos (60 for the long run)")
    parser.add_argument("--attempts", type=int, default=RELEASE["attempts"], help="of the hammer to reserve")
    parser.add_argument("--seeds", type=int, default=RELEASE["seeds"], help="of the simulation")
    parser.add_argument("--seed", type=int, default=None, help="of hammer and chaos, to run a run again; default: any")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, by comma; all: {','.join(PARTS)}")
    parser.add_argument("--page", action="store_true", help="only write the page again from sale.json; run nothing")
    given = parser.parse_args()
    if given.page:
        (EVIDENCE / "sale.md").write_text(page(json.loads((EVIDENCE / "sale.json").read_text())))
        return 0
    wanted = set(filter(None, given.only.split(",")))
    if unknown := wanted - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    ARTIFACTS.mkdir(exist_ok=True)
    print(f"Evidence: {', '.join(name for name in PARTS if name in wanted)}; seed {seed}", flush=True)
    outcomes = carry_out_all(wanted, minutes=given.minutes, attempts=given.attempts, seeds=given.seeds, seed=seed)
    found = put_together(outcomes, seed=seed)
    write(found, outcomes["chaos"].found if "chaos" in outcomes else None)
    print(json.dumps({name: found[name] for name in list(found)[:10]}, indent=1))
    for text in found["violations_found"]:
        print(f"VIOLATION {text}")
    print(f"Written: {EVIDENCE.relative_to(ROOT)}/sale.md, sale.json, sale.svg")
    whole = not found["partial"] and not found["violations"] and not found["sometimes_missing"]
    return 0 if whole and found["mutants_caught"] == found["mutants_total"] else 1


if __name__ == "__main__":
    sys.exit(main())
