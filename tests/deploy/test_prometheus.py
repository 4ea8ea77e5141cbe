"""deploy/prometheus as promtool sees it: configurations are right, each alert fires when it should and only then."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.deploy import DEPLOY

from boxoffice.apps import PROCESSES
from boxoffice.runtime.engines import prometheus

FOLDER = DEPLOY / "prometheus"
CASES = Path(__file__).with_name("prometheus") / "alerts.yaml"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("promtool is not installed: scripts/servers.sh")
    return found


def ran(promtool: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [promtool, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def alerts() -> set[str]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"]}


def played() -> list[dict[str, Any]]:
    tests = yaml.safe_load(CASES.read_text())["tests"]
    return [case for test in tests for case in test.get("alert_rule_test", [])]


class TestConfiguration:
    def test_of_the_deployment_is_right(self, promtool: str) -> None:
        checked = ran(promtool, "check", "config", FOLDER / "prometheus.yaml")
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_of_the_full_machine_is_right(self, promtool: str, tmp_path: Path) -> None:
        written = tmp_path / "prometheus.yaml"
        written.write_text(prometheus.configuration(dict.fromkeys(PROCESSES, "http://127.0.0.1:8000")))
        checked = ran(promtool, "check", "config", written)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert set(prometheus.RULES) == set(yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["rule_files"])


class TestAlerts:
    def test_fire_when_they_should_and_not_when_they_should_not(self, promtool: str) -> None:
        tested = ran(promtool, "test", "rules", CASES)
        assert tested.returncode == 0, tested.stdout + tested.stderr

    def test_a_wrong_rule_would_be_seen(self, promtool: str, tmp_path: Path) -> None:
        rules = (
            (FOLDER / "alerts.yaml").read_text().replace("boxoffice_events_halted) > 0", "boxoffice_events_halted) > 2")
        )
        (tmp_path / "alerts.yaml").write_text(rules)
        shutil.copy(FOLDER / "recording.yaml", tmp_path)
        (tmp_path / "cases.yaml").write_text(CASES.read_text().replace("../../../deploy/prometheus/", ""))
        tested = ran(promtool, "test", "rules", tmp_path / "cases.yaml")
        assert tested.returncode != 0
        assert "SaleHalted" in tested.stdout + tested.stderr

    @pytest.mark.parametrize("alert", sorted(alerts()))
    def test_each_is_seen_to_fire_and_to_rest(self, alert: str) -> None:
        cases = [case["exp_alerts"] for case in played() if case["alertname"] == alert]
        assert any(cases), f"{alert} never fires in {CASES.name}"
        assert not all(cases), f"{alert} never rests in {CASES.name}"
