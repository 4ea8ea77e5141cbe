"""Run every mutant and write what was caught: ``python -m tests.mutants --json artifacts/mutants.json``.

Ends with 0 only when the intact product survives every scenario and every mutant is caught.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

WORKERS = 2
SAID = 300
"""Characters of what an oracle said that are kept."""


@dataclass
class Recorder:
    """Listens to the reports of all workers."""

    passed: dict[tuple[str, str], bool] = field(default_factory=dict)
    saw: dict[tuple[str, str], str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: Any) -> None:
        test, _, rest = report.nodeid.rpartition("::")[2].partition("[")
        key = (test, rest.removesuffix("]"))
        self.passed[key] = self.passed.get(key, True) and not report.failed
        if report.when == "call":
            self.saw[key] = str(dict(report.user_properties).get("saw", ""))[:SAID]

    def case(self, name: str, case: Any) -> dict[str, Any]:
        survives, caught = ("test_the_intact_product_survives", name), ("test_the_mutant_is_caught", name)
        return {
            "name": case.name,
            "seen_by": case.seen_by,
            "survived": self.passed.get(survives, False),
            "met": self.saw.get(survives, ""),
            "caught": self.passed.get(caught, False),
            "saw": self.saw.get(caught, ""),
        }

    def result(self, seconds: float) -> dict[str, Any]:
        from tests.mutants.registry import CASES, MUTANTS  # pytest has to see these modules first

        listed = []
        for mutant in MUTANTS:
            cases = [self.case(name, case) for name, (one, case) in CASES.items() if one is mutant]
            listed.append(
                {
                    "number": mutant.number, "name": mutant.name, "breaks": mutant.breaks, "oracle": mutant.oracle,
                    "caught": all(case["survived"] and case["caught"] for case in cases), "cases": cases,
                }
            )  # fmt: skip
        return {
            "mutants_total": len(listed),
            "mutants_caught": sum(entry["caught"] for entry in listed),
            "names": [mutant.name for mutant in MUTANTS],
            "cases": len(CASES),
            "seconds": round(seconds, 1),
            "list": listed,
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("artifacts/mutants.json"), help="where the result goes")
    parser.add_argument("--workers", type=int, default=WORKERS)
    chosen = parser.parse_args()
    recorder, began = Recorder(), time.monotonic()
    code = pytest.main([str(Path(__file__).parent), "-q", "-n", str(chosen.workers)], plugins=[recorder])
    result = recorder.result(time.monotonic() - began)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"{result['mutants_caught']} of {result['mutants_total']} mutants caught -> {chosen.json}")
    return int(code) or int(result["mutants_caught"] != result["mutants_total"])


if __name__ == "__main__":
    sys.exit(main())
