"""Heroku and systemd: commands that exist, settings as the product takes them, units that are locked down."""

import json
import re
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.commands import BOXOFFICE
from tests.support.deploy import DEPLOY, ROOT
from tests.support.engines import Engines
from tests.support.shop import free_port

from boxoffice.apps.starting import check_needs
from boxoffice.cli.serving import GRACE_S
from boxoffice.runtime.settings import load

SCRIPT = DEPLOY / "heroku" / "with-settings.sh"
SYSTEMD = DEPLOY / "systemd"
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
APP = json.loads((ROOT / "app.json").read_text())
KEYS = {"TOKEN_KEY_PEM": "of tokens", "TICKET_KEY_PEM": "of tickets"}
REDIS = {"REDIS_URL": "rediss://:pass@redis.example.org:6380"}
USUAL_PATH = "/usr/bin:/bin"
READY_S = 90
STOP_S = 40


def given_to_a_command(folder: Path, **environment: str) -> dict[str, str]:
    """The environment that the script gives to the command it runs."""
    done = subprocess.run(
        [SCRIPT, "env", "-0"], env={"PATH": USUAL_PATH, "TMPDIR": str(folder), **environment}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def unit(name: str) -> dict[str, list[str]]:
    """The entries of a unit, each with all its values."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (SYSTEMD / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


@pytest.fixture
def dyno(
    tmp_path: Path, engines: Engines, identity_url: str, catalog_url: str, sales_url: str, notification_url: str
) -> dict[str, str]:
    """The environment of a dyno: what app.json sets, what the add-ons and the router give, and what people choose."""
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    databases = {"IDENTITY": identity_url, "CATALOG": catalog_url, "SALES": sales_url, "NOTIFICATION": notification_url}
    return {
        "PATH": f"{Path(BOXOFFICE).parent}:{USUAL_PATH}",
        "TMPDIR": str(tmp_path),
        "PORT": str(free_port()),
        "REDIS_URL": engines.redis_url,
        **dict.fromkeys(KEYS, key),
        **{name: entry["value"] for name, entry in APP["env"].items() if "value" in entry},
        **{f"BOXOFFICE_{service}_DATABASE_URL": url for service, url in databases.items()},
        "BOXOFFICE_PUBLIC_URL": "https://tickets.example.org",
        "BOXOFFICE_SESSION_SECRET": "0123456789abcdef",
        "BOXOFFICE_SMTP_HOST": "127.0.0.1",
        "BOXOFFICE_MAIL_FROM": "tickets@example.org",
    }


def wait_ready(url: str) -> bool:
    """Whether all the services behind an address become ready, and its first page is shown."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/ready", trust_env=False, timeout=5).is_success:
                return httpx.get(url, trust_env=False, timeout=10).is_success
        time.sleep(0.2)
    return False


class TestHeroku:
    def test_migrates_in_the_release_phase_and_serves_on_the_routers_port(self) -> None:
        assert PROCFILE == {
            "release": "deploy/heroku/with-settings.sh boxoffice migrate",
            "web": 'deploy/heroku/with-settings.sh boxoffice serve all --host 0.0.0.0 --port "$PORT"',
        }

    @pytest.mark.parametrize("arguments", [("migrate",), ("serve", "all", "--host", "0.0.0.0", "--port", "1")])  # noqa: S104 - not bound
    def test_commands_are_the_products(self, arguments: tuple[str, ...]) -> None:
        done = subprocess.run([BOXOFFICE, *arguments, "--help"], capture_output=True, check=False)
        assert done.returncode == 0

    def test_gives_settings_with_which_everything_in_one_process_starts(self, tmp_path: Path) -> None:
        add_ons = {
            f"{add_on['as']}_URL": "postgres://u:p@h:5432/d" for add_on in APP["addons"] if add_on["as"] != "REDIS"
        }
        values = {name: entry.get("value") for name, entry in APP["env"].items()}
        chosen = {
            **{name: value or "" for name, value in values.items() if name.startswith("BOXOFFICE_")},
            "BOXOFFICE_PUBLIC_URL": "https://tickets.example.org",
            "BOXOFFICE_SESSION_SECRET": "0123456789abcdef",
        }
        settings = load(given_to_a_command(tmp_path, **KEYS, **REDIS, **add_ons, **chosen))
        check_needs("all", settings)
        assert settings.redis_url == f"{REDIS['REDIS_URL']}?ssl_cert_reqs=none"

    def test_both_lines_of_the_procfile_run(self, tmp_path: Path, dyno: dict[str, str]) -> None:
        released = subprocess.run(
            ["bash", "-c", PROCFILE["release"]], cwd=ROOT, env=dyno, capture_output=True, text=True, check=False
        )
        assert released.returncode == 0, released.stderr
        with (tmp_path / "log").open("wb") as log:
            web = subprocess.Popen(["bash", "-c", PROCFILE["web"]], cwd=ROOT, env=dyno, stdout=log, stderr=log)
            try:
                assert wait_ready(f"http://127.0.0.1:{dyno['PORT']}"), (tmp_path / "log").read_text()[-3000:]
                assert web.poll() is None
            finally:
                web.terminate()
            assert web.wait(STOP_S) == 0

    def test_writes_keys_that_nobody_else_reads(self, tmp_path: Path) -> None:
        given = given_to_a_command(tmp_path, **KEYS, **REDIS)
        for setting, text in (("BOXOFFICE_SIGNING_KEY_FILE", "of tokens"), ("BOXOFFICE_TICKET_KEY_FILE", "of tickets")):
            path = Path(given[setting])
            assert path.read_text() == f"{text}\n"
            assert path.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("missing", [*KEYS, *REDIS])
    def test_says_what_is_missing(self, missing: str, tmp_path: Path) -> None:
        environment = {name: value for name, value in {**KEYS, **REDIS}.items() if name != missing}
        done = subprocess.run(
            [SCRIPT, "true"], env={"PATH": USUAL_PATH, "TMPDIR": str(tmp_path), **environment}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert missing in done.stderr

    def test_values_that_must_be_chosen_are_not_chosen_here(self) -> None:
        chosen = {name for name, entry in APP["env"].items() if "value" in entry}
        assert not [name for name in chosen if re.search("SECRET|PASSWORD|KEY", name)]


class TestSystemd:
    def test_a_unit_serves_the_process_of_its_name(self) -> None:
        read = unit("boxoffice@.service")
        assert read["ExecStart"] == ["/opt/boxoffice/bin/boxoffice serve %i"]
        assert "boxoffice-migrate.service" in read["Requires"]
        assert "boxoffice-migrate.service" in read["After"][0].split()

    def test_a_stop_leaves_time_to_finish(self) -> None:
        [seconds] = unit("boxoffice@.service")["TimeoutStopSec"]
        assert int(seconds.removesuffix("s")) > GRACE_S

    @pytest.mark.parametrize("name", ["boxoffice@.service", "boxoffice-migrate.service"])
    def test_runs_with_as_little_as_can_be(self, name: str) -> None:
        read = unit(name)
        assert read["User"] == ["boxoffice"]
        assert read["CapabilityBoundingSet"] == [""]
        for switch in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictSUIDSGID"):
            assert read[switch] == ["yes"], switch
        assert read["ProtectSystem"] == ["strict"]

    def test_migrates_once_before(self) -> None:
        read = unit("boxoffice-migrate.service")
        assert read["Type"] == ["oneshot"]
        assert read["ExecStart"] == ["/opt/boxoffice/bin/boxoffice migrate"]
