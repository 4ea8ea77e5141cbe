"""What every way to deploy must keep: only settings that exist, every process, paths that are answered, no secret."""

import re
from importlib import import_module
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client import REGISTRY
from tests.support.deploy import DEPLOY, KUBERNETES, ROOT, compose, files, manifests, of_kind, required_variables

from boxoffice.apps import PROCESSES
from boxoffice.runtime import telemetry
from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import NOT_SETTINGS, PREFIX, Settings, env_name

NAMES = re.compile(rf"\b{PREFIX}[A-Z0-9_]+\b")
ADD_ON = re.compile(r'"as": "(BOXOFFICE_\w+)"')
HEALTH = re.compile(r"/health/\w+|/metrics\b")
METRIC = re.compile(r"\bboxoffice_[a-z_]+\b")
KNOWN = {env_name(name) for name in (*Settings.__dataclass_fields__, *NOT_SETTINGS)}
SECRET = re.compile(
    r"""BEGIN[A-Z ]*PRIVATE\ KEY
    | ://[^\s:/@]*:(?!\$)[^\s/@$]+@                                            # a password in a URL
    | (?i:password|passwd|secret|token|api_?key)\w*["']?\s*[:=]\s*["']?(?!\$)[A-Za-z0-9+/_-]{8,}["']?\s*$
    """,
    re.VERBOSE | re.MULTILINE,
)
ENDS = ("total", "bucket", "sum", "count")
NO_SECRETS = ("secretName: boxoffice-keys", "secretName: boxoffice-tls", "automountServiceAccountToken")
"""They look like secrets and are names."""


def literal_secrets(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not any(name in line for name in NO_SECRETS)]
    return [match[0].strip() for match in SECRET.finditer("\n".join(lines))]


def named(path: Path) -> set[str]:
    """Every setting that a file names; an add-on of app.json becomes a variable with ``_URL`` at its end."""
    text = path.read_text()
    add_ons = set(ADD_ON.findall(text))
    return {name for name in NAMES.findall(text) if name not in add_ons} | {f"{name}_URL" for name in add_ons}


def named_paths() -> set[str]:
    """Every path of a probe or scraper, in any file."""
    return {path for file in files() for path in HEALTH.findall(file.read_text())}


class TestSettings:
    @pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_named_are_only_those_that_exist(self, path: Path) -> None:
        assert named(path) <= KNOWN

    def test_some_are_named(self) -> None:
        assert {"BOXOFFICE_SALES_DATABASE_URL", "BOXOFFICE_REDIS_URL"} <= named(ROOT / "compose.yaml")


class TestProcesses:
    def test_all_are_services_of_compose(self) -> None:
        services = compose(dict.fromkeys(required_variables((ROOT / "compose.yaml").read_text()), "set"))["services"]
        commands = [service["command"] for service in services.values() if "command" in service]
        serving = [command[1] for command in commands if command[0] == "serve"]
        assert sorted(serving) == sorted(PROCESSES)

    def test_all_are_deployments_of_kubernetes(self) -> None:
        assert set(of_kind("Deployment")) == set(PROCESSES)

    def test_all_are_wanted_by_the_systemd_target(self) -> None:
        wanted = re.findall(r"boxoffice@(\w+)\.service", (DEPLOY / "systemd" / "boxoffice.target").read_text())
        assert sorted(wanted) == sorted(PROCESSES)

    def test_a_dyno_serves_all_of_them(self) -> None:
        assert re.search(r"^web: .*\bboxoffice serve all\b", (ROOT / "Procfile").read_text(), re.MULTILINE)

    def test_prometheus_asks_all_of_them(self) -> None:
        read = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
        [names] = [config["names"] for config in read["scrape_configs"][0]["dns_sd_configs"]]
        assert sorted(names) == sorted(PROCESSES)


class TestPaths:
    def test_the_usual_ones_are_named(self) -> None:
        assert {"/health/live", "/health/ready", "/metrics"} <= named_paths()

    @pytest.mark.parametrize("process", PROCESSES)
    async def test_are_answered(self, process: str, tmp_path: Path) -> None:
        app = import_module(f"boxoffice.apps.{process}").create(
            Settings(search_index_dir=str(tmp_path), session_secret="of-this-test-alone"), Peers({})
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://process") as client:
            statuses = {path: (await client.get(path)).status_code for path in named_paths()}
        assert set(statuses.values()) <= {200, 503}
        assert statuses["/health/live"] == 200
        assert statuses["/metrics"] == 200


class TestMetrics:
    def test_named_are_only_those_that_are_exported(self) -> None:
        assert telemetry.REQUESTS
        exported = {
            name for metric in REGISTRY.collect() for name in (metric.name, *(f"{metric.name}_{end}" for end in ENDS))
        }
        worked_out = set(re.findall(r"as: (\w+)", (DEPLOY / "prometheus" / "adapter.yaml").read_text()))
        wanted = {
            name
            for folder in ("prometheus", "grafana")
            for path in (DEPLOY / folder).rglob("*")
            if path.is_file()
            for name in METRIC.findall(path.read_text())
        }
        assert wanted - worked_out <= exported
        assert len(wanted) > 5

    def test_what_an_autoscaler_asks_for_is_worked_out(self) -> None:
        worked_out = set(re.findall(r"as: (\w+)", (DEPLOY / "prometheus" / "adapter.yaml").read_text()))
        asked = {
            metric["pods"]["metric"]["name"]
            for _, document in manifests(KUBERNETES)
            if document["kind"] == "HorizontalPodAutoscaler"
            for metric in document["spec"]["metrics"]
            if metric["type"] == "Pods"
        }
        assert asked == worked_out


class TestSecrets:
    @pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
    def test_none_is_written_down(self, path: Path) -> None:
        assert not literal_secrets(path.read_text())

    @pytest.mark.parametrize(
        "line",
        [
            "POSTGRES_PASSWORD: hunter2hunter2",
            "BOXOFFICE_SESSION_SECRET=abcdefghijklmnop",
            "url: postgresql://sales:hunter2@postgres/sales",
            "-----BEGIN PRIVATE KEY-----",
        ],
    )
    def test_one_would_be_seen(self, line: str) -> None:
        assert literal_secrets(f"first: line\n{line}\nlast: line")
