"""An engine under a licence that we could not ship with is another program: never imported, never a dependency."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
APART = "secantus"
IMPORTED = re.compile(rf"^\s*(from|import) {APART}", re.MULTILINE)


class TestApart:
    def test_nothing_imports_it(self) -> None:
        sources = [path for folder in ("src", "tests", "bench", "scripts") for path in (ROOT / folder).rglob("*.py")]
        assert not [path for path in sources if IMPORTED.search(path.read_text())]

    def test_an_import_would_be_seen(self) -> None:
        assert IMPORTED.search(f"import os\nfrom {APART} import Server\n")

    def test_it_is_no_dependency(self) -> None:
        assert APART not in (ROOT / "uv.lock").read_text().lower()
        assert APART not in (ROOT / "pyproject.toml").read_text().lower()

    def test_it_is_locked_by_sums(self) -> None:
        locked = (ROOT / "deploy" / "engines" / "mongodb.requirements.txt").read_text()
        packages = re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE)
        assert any(name.startswith(APART) for name in packages)
        assert locked.count("--hash=sha256:") >= len(packages)
