"""The proofs, each a process of its own: what it is called, its command, where it writes, and how long it may take.

What a proof wrote is its result, and nothing else is; one that wrote nothing was not run, and the page says so.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
LIMIT_S = 9_000.0
"""An hour of chaos with its overtime, start and quiet, twice over."""
SAY_EVERY_S = 30.0
TAIL_BYTES = 600
Found = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One command and the file that it leaves; ``read`` makes the result of the file."""

    name: str
    command: tuple[str, ...]
    result: Path
    read: Callable[[Path], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one: ``found`` is none when it wrote nothing."""

    command: str
    exit_code: int
    seconds: int
    found: Found | None


def json_of(path: Path) -> Found:
    """Read a result that is JSON."""
    found: Found = json.loads(path.read_text())
    return found


def figures_of(path: Path) -> Found:
    """Read what tests recorded as properties in pytest's XML, and how many there were and failed."""
    cases = list(ET.parse(path).getroot().iter("testcase"))  # noqa: S314 - pytest of this run wrote it
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    told = {one.get("name", ""): float(one.get("value", "nan")) for case in cases for one in case.iter("property")}
    return {"tests": len(cases), "failed": bad, **told}


def proofs(*, minutes: float, attempts: int, seeds: int, seed: int) -> dict[str, Proof]:
    """Everything that the page tells of."""
    made = (
        _module("chaos", "tests.chaos", "--minutes", f"{minutes:g}", "--seed", str(seed)),
        _module("hammer", "tests.hammer", "--attempts", str(attempts), "--seed", str(seed), "--seconds", "3600"),
        _module("without-valkey", "tests.chaos.without_valkey"),
        _module("mutants", "tests.mutants"),
        Proof(
            name="pairs", command=_pytest("tests/races/test_pairs.py", "-n", "1"),
            result=ARTIFACTS / "pairs.json", read=json_of,
        ),
        Proof(
            name="hoarding",
            command=_pytest("tests/races/test_hoarding.py", "-n", "0", "--junitxml", "artifacts/hoarding.xml"),
            result=ARTIFACTS / "hoarding.xml", read=figures_of,
        ),
        Proof(
            name="simulation",
            command=(sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--workers", "1"),
            result=ARTIFACTS / "simulation.json", read=json_of,
        ),
    )  # fmt: skip
    return {proof.name: proof for proof in made}


def _module(name: str, module: str, *arguments: str) -> Proof:
    result = ARTIFACTS / f"{name}.json"
    return Proof(
        name=name, command=(sys.executable, "-m", module, *arguments, "--json", f"artifacts/{result.name}"),
        result=result, read=json_of,
    )  # fmt: skip


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *arguments)


def carry_out(proof: Proof) -> Outcome:
    """Run one proof to its end, telling now and then how far it is."""
    proof.result.unlink(missing_ok=True)
    log = ARTIFACTS / f"evidence-{proof.name}.log"
    told = " ".join(["python", *proof.command[1:]])
    began = time.monotonic()
    say(proof.name, f"begins: {told}")
    with log.open("wb") as out:
        process = subprocess.Popen(proof.command, cwd=ROOT, stdout=out, stderr=out)
        while process.poll() is None:
            if time.monotonic() - began > LIMIT_S:
                process.terminate()  # its engines end with it
            try:
                process.wait(SAY_EVERY_S)
            except subprocess.TimeoutExpired:
                say(proof.name, f"{time.monotonic() - began:5.0f} s  {last_line(log)}")
    took = round(time.monotonic() - began)
    say(proof.name, f"ended with exit code {process.returncode} after {took} s")
    found = proof.read(proof.result) if proof.result.exists() else None
    return Outcome(command=told, exit_code=process.returncode, seconds=took, found=found)


def say(name: str, text: str) -> None:
    """Print at once."""
    print(f"{name:>15}: {text}", flush=True)


def last_line(log: Path) -> str:
    """Take the end of a log, for whoever waits."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:150] if lines else ""


def as_table(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, Any]]:
    """Tell how each was run."""
    return {
        name: {"command": one.command, "exit_code": one.exit_code, "seconds": one.seconds}
        for name, one in outcomes.items()
    }
