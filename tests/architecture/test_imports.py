"""The import contracts hold, and each of them is shown to catch a deliberate violation."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VIOLATIONS = {
    "a service imports another service": (
        "services/search/usecases/peek.py",
        "from boxoffice.services.catalog import store\n",
        "services-apart",
    ),
    "runtime imports a service": (
        "runtime/peek.py",
        "from boxoffice.services import sales\n",
        "rings",
    ),
    "the kernel imports runtime": (
        "kernel/peek.py",
        "from boxoffice.runtime import database\n",
        "rings",
    ),
    "contracts import runtime": (
        "contracts/peek.py",
        "from boxoffice.runtime import bus\n",
        "rings",
    ),
    "a domain imports a driver": (
        "services/sales/domain/peek.py",
        "import asyncpg\n",
        "pure",
    ),
    "a domain imports asyncio": (
        "services/catalog/domain/peek.py",
        "import asyncio\n",
        "pure",
    ),
    "a domain imports its store": (
        "services/sales/domain/peek.py",
        "from boxoffice.services.sales import store\n",
        "anatomy",
    ),
    "a store imports a use case": (
        "services/sales/store/peek.py",
        "from boxoffice.services.sales import usecases\n",
        "anatomy",
    ),
    "a use case knows the web": (
        "services/sales/usecases/peek.py",
        "import litestar\n",
        "usecases-no-web",
    ),
    "a drawer for everything appears in a service": (
        "services/sales/utils.py",
        "",
        "anatomy",
    ),
    "a drawer for everything appears at the top": (
        "helpers.py",
        "",
        "rings",
    ),
    "two siblings import one another": (
        "kernel/money.py",
        "from boxoffice.kernel import peek\n",
        "acyclic",
    ),
}


def contract_name(key: str) -> str:
    """The name under which the linter reports a contract."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    return " ".join(contracts[f"importlinter:contract:{key}"]["name"].split())


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a tree that has ``src`` and ``.importlinter``."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


class TestImportContracts:
    def test_hold_for_the_tree_as_it_is(self) -> None:
        result = lint(ROOT)
        assert result.returncode == 0, result.stdout
        assert "0 broken" in result.stdout

    @pytest.mark.parametrize("name", VIOLATIONS)
    def test_catch_when(self, name: str, copy: Path) -> None:
        path, text, contract = VIOLATIONS[name]
        target = copy / "src" / "boxoffice" / path
        if contract == "acyclic":
            (target.parent / "peek.py").write_text("from boxoffice.kernel import money\n")
            text = target.read_text() + text
        target.write_text(text)
        result = lint(copy)
        assert result.returncode != 0
        said = " ".join(result.stdout.split())
        not_listed = path.count("/") in {0, 2} and ("missing" in said.lower() or "not listed" in said.lower())
        assert f"{contract_name(contract)} BROKEN" in said or not_listed, result.stdout
