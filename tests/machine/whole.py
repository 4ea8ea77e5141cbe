"""The whole machine at once: every engine and every process started by one command, and the journeys run over it."""

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.full import READY_S, RUNNING, FullShop

from boxoffice.apps import PROCESSES

KEYS: tuple[str, ...] = ("engines_started", "journeys_passed")
TITLE = "The whole machine"
ROOT = Path(__file__).parents[2]
JOURNEYS = (
    "tests/journeys/test_full_contract.py", "tests/journeys/test_full.py::TestFull", "tests/journeys/test_tracing.py",
    "tests/journeys/test_dashboards.py",
)  # fmt: skip
ENGINES = (
    "PostgreSQL", "Valkey", "Kafka", "Kafka Connect", "OpenSearch", "Documents (MongoDB's protocol)", "Zipkin", "Prometheus",
)  # fmt: skip
"""As the table of ``boxoffice full`` calls them."""
PYTEST_S = 900.0
SECTION = """\
`boxoffice full` starts {engines_started} engines ({whole_engines}), the stand-ins of PayPal and of a mail server, and {whole_processes} processes, each a process of
its own on loopback. Then the journeys are run over it: the public contract as it is run over the shop of one process, one purchase followed in Zipkin, and
every query of the dashboards asked of Prometheus.

| what | figure |
| --- | ---: |
| engines started | {engines_started} |
| until everything was up | {whole_started_s} s |
| memory of everything (shared parts counted once) | {whole_memory_mb:,} MB |
| journeys that passed | {journeys_passed} |
| journeys that failed | {whole_journeys_failed} |
| journeys left out | {whole_journeys_skipped} |

Not shown: MongoDB itself (a server that speaks its protocol stands in) and Keycloak are not part of this machine, and one machine on loopback says nothing of networks between machines.
"""


def measure(say: Callable[[str], None], *, seed: int, only: str = "") -> dict[str, object]:
    """Start everything, run the journeys over it, stop everything; ``only``: journeys whose names have this in them.

    :raises EngineError: when an engine cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="boxoffice-machine-") as folder:
        full = FullShop(folder=Path(folder) / "data", ready_s=READY_S)
        began = time.monotonic()
        try:
            full.start()
            whole_started_s = round(time.monotonic() - began, 1)
            said = full.said()
            engines = [name for name in ENGINES if _is_there(name, said)]
            say(f"up in {whole_started_s} s: {', '.join(engines)}")
            passed, failed, skipped = _journeys(full, Path(folder) / "journeys.xml", say, seed=seed, only=only)
            full.stop_whole()
        finally:
            if full.process is not None and full.process.poll() is None:
                full.kill()
    return {
        "engines_started": len(engines), "whole_engines": ", ".join(engines), "whole_processes": len(PROCESSES),
        "whole_started_s": whole_started_s, "whole_memory_mb": _memory_mb(said), "journeys_passed": passed, "whole_journeys_failed": failed,
        "whole_journeys_skipped": skipped,
    }  # fmt: skip


def section(found: Mapping[str, object]) -> str:
    """Write the section of the page."""
    return SECTION.format(**found)


def wrong(found: Mapping[str, object]) -> list[str]:
    """Say each figure that is not what it should be."""
    said = []
    if found["engines_started"] != len(ENGINES):
        said.append(f"{found['engines_started']} of {len(ENGINES)} engines were started")
    if found["whole_journeys_failed"]:
        said.append(f"{found['whole_journeys_failed']} journeys failed")
    if not found["journeys_passed"]:
        said.append("no journey passed")
    return said


def _is_there(engine: str, said: str) -> bool:
    rows = [line for line in said.splitlines() if re.match(rf"\W+{re.escape(engine)}\s+\W", line)]
    return bool(rows) and not any("absent" in row for row in rows)


def _memory_mb(said: str) -> int:
    match = re.search(r"Memory\s+\W\s+([\d,]+) MB", said)
    return int(match[1].replace(",", "")) if match else 0


def _journeys(
    full: FullShop, report: Path, say: Callable[[str], None], *, seed: int, only: str
) -> tuple[int, int, int]:
    """Run the journeys in a process of its own; returns how many passed, failed, were left out."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"--randomly-seed={seed}",
        f"--junitxml={report}", *(["-k", only] if only else []), *JOURNEYS,
    ]  # fmt: skip
    environment = {**os.environ, RUNNING: str(full.folder)}
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PYTEST_S, check=False
    )
    say(ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ran.stderr[-500:])
    [suite] = ET.parse(report).getroot().iter("testsuite")  # noqa: S314 - pytest wrote it a moment ago
    total, failed, skipped = (int(suite.attrib[name]) for name in ("tests", "failures", "skipped"))
    failed += int(suite.attrib["errors"])
    return total - failed - skipped, failed, skipped
