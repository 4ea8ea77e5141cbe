"""Every decision says what enforces it, and every path that the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "decisions").glob("*.md"))
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
PATH = re.compile(r"`((?:src|tests|docs|migrations|deploy|bench|schemas|data|scripts)/[\w./-]+)`")
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


class TestDecisions:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_says_what_enforces_it(self, page: Path) -> None:
        text = page.read_text()
        assert re.search(r"^Enforced by", text, re.MULTILINE)
        assert text.startswith("# ")

    def test_there_are_some(self) -> None:
        assert PAGES


class TestDocuments:
    @pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
    def test_name_only_what_is_there(self, page: Path) -> None:
        text = page.read_text()
        links = {page.parent / target for target in LINK.findall(text)}
        paths = {ROOT / target for target in PATH.findall(text)}
        missing = [str(target) for target in links | paths if not target.exists() and "<" not in str(target)]
        assert not missing
