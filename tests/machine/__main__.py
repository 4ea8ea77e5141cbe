"""Prove the full machine and write docs/evidence/machine.{json,md}: ``python -m tests.machine [--only carrying]``.

A part that is run alone replaces its own figures on the page; each section says when and at which commit it was run.
What has not been run yet, ended with an error or found less than it should is named at the top.
"""

import argparse
import json
import random
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.evidence.__main__ import EVIDENCE, ROOT, machine
from tests.machine import caching, carrying, degrading, restoring, rolling, searching, whole

from boxoffice.runtime.telemetry import configure_logging


class Part(Protocol):
    """A module that measures some of the figures."""

    KEYS: tuple[str, ...]
    TITLE: str

    def measure(self, say: Callable[[str], None], *, seed: int) -> dict[str, object]:
        """Run it all, engines included; gives flat figures, all ``KEYS`` among them."""

    def section(self, found: Mapping[str, object]) -> str:
        """Write what was done and what came of it."""

    def wrong(self, found: Mapping[str, object]) -> list[str]:
        """Say each figure that is not what it should be."""


PARTS: Mapping[str, Part] = {
    "whole": whole, "carrying": carrying, "searching": searching, "degrading": degrading, "rolling": rolling,
    "restoring": restoring, "caching": caching,
}  # fmt: skip
PLAN = (
    "engines_started", "journeys_passed", "outbox_records", "missing", "effects_twice", "inversions", "relevance_tantivy",
    "relevance_opensearch", "relevance_elasticsearch", "cache_hit_share", "restore_points", "rpo_seconds", "rto_seconds",
    "degradations_held",
)  # fmt: skip
"""What the page is to have."""
HEAD = """\
# The full machine: what was tried, and what came of it

Written by `make machine`; nobody edits it. All figures are in [machine.json](machine.json).
"""
RUN = "Run on {made_at} at commit `{commit}`{changed}: {cpu}, {cores} cores, {memory_gb} GB, {system}, Python {python}."


def page(found: Mapping[str, Any]) -> str:
    """Write the page from the figures."""
    parts = [HEAD]
    if lacks := [*unmeasured(found), *found["partial"]]:
        parts.append("**Not whole.**\n\n" + "\n".join(f"* {one}" for one in lacks) + "\n")
    for name, part in PARTS.items():
        if name in found["parts"]:
            parts.append(f"## {part.TITLE}\n\n{part.section(found).strip()}\n\n{_run(name, found['parts'][name])}\n")
    return "\n".join(parts)


def _run(name: str, ran: Mapping[str, Any]) -> str:
    changed = " with changes on top" if ran["changed_since_commit"] else ""
    return f"{RUN.format(**ran, changed=changed)} Again: `python -m tests.machine --only {name} --seed {ran['seed']}`."


def unmeasured(found: Mapping[str, Any]) -> list[str]:
    """Name what the page is to have and no part has measured."""
    return [f"`{key}` is not measured" for key in PLAN if key not in found]


def put_together(
    known: Mapping[str, Any], ran: Mapping[str, Mapping[str, Any]], failed: Iterable[str]
) -> dict[str, Any]:
    """Put new figures in the place of a part's old ones; a part that ended with an error has none."""
    found = {key: value for key, value in known.items() if key not in {"partial", "parts"}}
    parts = dict(known.get("parts", {}))
    for name in (*ran, *failed):
        for key in parts.pop(name, {}).get("figures", ()):
            found.pop(key, None)
    for name, figures in ran.items():
        parts[name] = figures["ran"] | {"figures": [key for key in figures if key != "ran"]}
        found |= {key: value for key, value in figures.items() if key != "ran"}
    partial = [f"{name}: {text}" for name in parts for text in PARTS[name].wrong(found)]
    partial += [f"{name} ended with an error" for name in failed]
    partial += [f"{name} was not run" for name in PARTS if name not in parts and name not in failed]
    return {**{key: found[key] for key in PLAN if key in found}, **found, "partial": partial, "parts": parts}


def run(names: Iterable[str], *, seed: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Run parts one after another: their figures by part, and the names of those that ended with an error."""
    ran: dict[str, dict[str, Any]] = {}
    failed = []
    for name in names:
        print(f"== {PARTS[name].TITLE}", flush=True)
        begun = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "seed": seed, **machine()}
        try:
            figures = PARTS[name].measure(lambda text: print(f"   {text}", flush=True), seed=seed)
        except Exception:  # noqa: BLE001 - said here and on the page; the other parts go on
            traceback.print_exc()
            failed.append(name)
            continue
        if missing := set(PARTS[name].KEYS) - set(figures):
            raise RuntimeError(f"{name} did not measure {', '.join(sorted(missing))}")
        ran[name] = {**figures, "ran": begun}
    return ran, failed


def write(found: Mapping[str, Any]) -> None:
    """Write the page and its twin."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    (EVIDENCE / "machine.json").write_text(json.dumps(found, indent=1) + "\n")
    (EVIDENCE / "machine.md").write_text(page(found))


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, run, write; ends with 0 only when every part was run and found nothing wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.machine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, by comma; all: {','.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--page", action="store_true", help="only write the page again from machine.json; run nothing")
    asked = parser.parse_args(arguments)
    known = json.loads((EVIDENCE / "machine.json").read_text()) if (EVIDENCE / "machine.json").exists() else {}
    if asked.page:
        write(known)
        return 0
    wanted = [name for name in asked.only.split(",") if name]
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    configure_logging(service="machine", level="critical", human=True)
    found = put_together(known, *run(wanted, seed=asked.seed))
    write(found)
    print(json.dumps({key: value for key, value in found.items() if key != "parts"}, indent=1))
    print(f"Written: {EVIDENCE.relative_to(ROOT)}/machine.md, machine.json")
    return int(bool(found["partial"] or unmeasured(found)))


if __name__ == "__main__":
    sys.exit(main())
