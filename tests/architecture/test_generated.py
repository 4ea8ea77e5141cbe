"""Generated pages tell the truth: what ``make docs`` would write is what is in the repository."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    written: dict[str, str] = generator().pages()
    return written


class TestGeneratedPages:
    def test_are_current(self, pages: dict[str, str]) -> None:
        stale = [
            name for name, text in pages.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text
        ]
        assert not stale, "run `make docs` and commit"

    def test_leave_nothing_behind(self, pages: dict[str, str]) -> None:
        there = {
            str(path.relative_to(ROOT))
            for folder in ("docs/state-machines", "schemas")
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and ROOT / "schemas" / "released" not in path.parents  # kept as they were
        }
        assert there <= set(pages)
