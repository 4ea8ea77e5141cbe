"""Habits that no linter knows: words, broad excepts, SQL built from strings, statuses below the web, traces of one machine."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "boxoffice"

FORBIDDEN_FILE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\b(FROM|VALUES|SET|WHERE)\b", re.DOTALL)
MAY_DRAW_BY_CHANCE = {
    "runtime/instances.py": "which of several processes is asked",
    "services/gateway/providers/instances.py": "which of several processes is asked",
    "services/gateway/providers/network.py": "how long a repeat waits",
    "services/notification/usecases/send_due_mails.py": "how long a repeat waits",
    "services/sales/usecases/place_hold.py": "how long a repeat waits",
    "services/storefront/api/problems.py": "how long a page waits before it is loaded again",
    "simulators/paypal/webhooks.py": "when a stand-in tells of a payment",
}.keys()
"""Modules that use ``random``, and for what; whatever must not be guessed comes from ``secrets`` or ``os.urandom``."""
MACHINE = re.compile(r"/(work|root|farm)/|/home/\w+/")


def trees(under: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(under.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def broad_excepts(tree: ast.Module) -> list[int]:
    """Lines of ``except Exception`` and the bare kind."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]


def built_sql(tree: ast.Module) -> list[int]:
    """Lines where an f-string with a hole in it reads like SQL."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if SQL.search(text):
                found.append(node.lineno)
    return found


def draws_by_chance(tree: ast.Module) -> bool:
    """Tell whether a module imports a generator whose next number can be told from those before."""
    names = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    return any("random" in name.split(".") for name in names)


class TestHabits:
    def test_no_file_is_a_drawer_for_everything(self) -> None:
        found = [path for path in SOURCES.rglob("*.py") if path.stem in FORBIDDEN_FILE_NAMES]
        assert not found

    def test_every_module_says_what_it_is(self) -> None:
        silent = [str(path) for path, tree in trees(SOURCES) if not ast.get_docstring(tree)]
        assert not silent

    def test_only_runtime_catches_everything(self) -> None:
        places = [
            f"{path}:{line}"
            for path, tree in trees(SOURCES)
            if "runtime" not in path.parts
            for line in broad_excepts(tree)
        ]
        assert not places

    def test_a_broad_except_would_be_seen(self) -> None:
        assert broad_excepts(ast.parse("try:\n    pass\nexcept Exception:\n    pass\n")) == [3]

    def test_sql_is_never_built_from_strings(self) -> None:
        places = [f"{path}:{line}" for path, tree in trees(SOURCES) for line in built_sql(tree)]
        assert not places

    def test_built_sql_would_be_seen(self) -> None:
        assert built_sql(ast.parse('f"SELECT a FROM b WHERE c = {d}"')) == [1]

    def test_secrets_are_drawn_from_the_systems_randomness_only(self) -> None:
        drawing = {str(path.relative_to("src/boxoffice")) for path, tree in trees(SOURCES) if draws_by_chance(tree)}
        assert drawing == MAY_DRAW_BY_CHANCE

    def test_a_guessable_secret_would_be_seen(self) -> None:
        for text in (
            "import random",
            "from random import choice",
            "import numpy.random",
            "def f():\n    import random",
        ):
            assert draws_by_chance(ast.parse(text)), text
        assert not draws_by_chance(ast.parse("import secrets"))

    def test_no_trace_of_one_machine(self) -> None:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        this = Path(__file__).relative_to(ROOT)
        found = []
        for name in filter(None, listed.split("\0")):
            path = ROOT / name
            if path.suffix in {".gz", ".png", ".ico", ".woff2", ".pdf"} or Path(name) == this or not path.is_file():
                continue
            found += [f"{name}: {match[0]}" for match in MACHINE.finditer(path.read_text(errors="replace"))]
        assert not found
