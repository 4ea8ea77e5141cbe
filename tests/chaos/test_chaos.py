"""Ten minutes of chaos on the real processes, and the sale without Valkey. Long: `make test` runs it alone, after the others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = os.environ.get("CHAOS_MINUTES", "10")
CHECKOUTS = 0.99
ENOUGH_CHECKOUTS = 40
DISK = "disk full under postgres"


def run(module: str, *arguments: str, result: Path) -> tuple[dict[str, Any], str]:
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--json", str(result)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = ended.stdout[-8000:] + ended.stderr[-4000:]
    print(said)
    assert result.exists(), said
    found: dict[str, Any] = json.loads(result.read_text())
    return found, said


class TestChaos:
    @pytest.mark.xdist_group("chaos")
    @pytest.mark.timeout(2_400)
    def test_breaks_everything_and_finds_nothing_wrong(self, tmp_path: Path) -> None:
        found, said = run("tests.chaos", "--minutes", MINUTES, result=tmp_path / "chaos.json")
        assert found["violations"] == [], said
        assert found["sometimes_missing"] == [], said
        assert found["left_out"].keys() <= {DISK}, (
            "a disk of its own needs a mount namespace; nothing else may be left out"
        )

    @pytest.mark.xdist_group("chaos")
    @pytest.mark.timeout(900)
    def test_goes_on_selling_while_valkey_is_emptied_every_second_and_while_it_is_dead(self, tmp_path: Path) -> None:
        found, said = run("tests.chaos.without_valkey", result=tmp_path / "valkey.json")
        assert found["violations"] == [], said
        for name in ("flushed_every_second", "stopped"):
            phase = found[name]
            assert phase["checkouts"] >= ENOUGH_CHECKOUTS, said
            assert phase["with_tickets"] >= CHECKOUTS * phase["checkouts"], said
