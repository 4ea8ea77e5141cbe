"""Which Python the setup takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHOICE = ROOT / "scripts" / "quickest_python.py"
SETUP = ROOT / "scripts" / "setup.sh"


def chosen(path: str) -> Path:
    asked = [sys.executable, str(CHOICE)]
    done = subprocess.run(asked, env={"PATH": path}, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def build(folder: Path, line: str) -> Path:
    python = folder / "python3"
    python.write_text(f"#!/bin/sh\n{line}\n")
    python.chmod(0o755)
    return python


def test_it_stays_where_nothing_else_is(folder: Path) -> None:
    assert chosen(str(folder)) == Path(sys.executable)


def test_one_that_does_not_start_is_passed_over(folder: Path) -> None:
    build(folder, "exit 127")
    assert chosen(str(folder)) == Path(sys.executable)


def test_a_build_that_is_quicker_is_taken(folder: Path) -> None:
    quick = build(folder, 'case "$3" in *realpath*) echo /elsewhere/python3;; *) echo 0.0001;; esac')
    assert chosen(str(folder)) == quick


def test_a_build_that_cannot_do_the_work_is_not(folder: Path) -> None:
    build(folder, 'case "$3" in *realpath*) echo /elsewhere/python3;; *) exit 1;; esac')
    assert chosen(str(folder)) == Path(sys.executable)


def test_the_setup_says_what_it_needs_of_a_python_that_is_named() -> None:
    asked = [str(SETUP), "run"]
    done = subprocess.run(
        asked, env={**os.environ, "PYTHON": "/nowhere/python3"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Boxoffice needs Python 3.11 or newer; /nowhere/python3 is none." in done.stderr
