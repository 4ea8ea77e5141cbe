"""A migration leaves in place what the version before asks for: processes of both run while a new one is rolled out (I21).

What takes something away is a migration of its own, a release later, and says why: ``CONTRACT = "nobody asks for it since …"``.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "migrations"
MIGRATIONS = sorted(ROOT.glob("*/versions/*.py"))
BEFORE_THE_RULE = frozenset({"sales/0003_gathered_holds", "sales/0011_gathered_payments"})
"""Written when there was no version before to run beside; they are never edited."""
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
BODY = re.compile(r"(\$\w*\$).*?\1", re.DOTALL)
BREAKS = {
    "takes something away": re.compile(
        r"\bDROP\s+(TABLE|COLUMN|FUNCTION|PROCEDURE|VIEW|MATERIALIZED|TYPE|DOMAIN|SCHEMA|SEQUENCE|DEFAULT)\b",
        re.IGNORECASE,
    ),
    "gives something another name": re.compile(r"\bRENAME\s+(TO|COLUMN|CONSTRAINT|ATTRIBUTE)\b", re.IGNORECASE),
    "changes a type": re.compile(r"\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b", re.IGNORECASE),
    "asks for a value that older code does not give": re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE),
}
ADDED = re.compile(r"\bADD\s+COLUMN\b(?P<rest>[^;]*?)(?=\bADD\s+(COLUMN|CONSTRAINT)\b|;|$)", re.IGNORECASE | re.DOTALL)
NEEDED = re.compile(r"\bNOT\s+NULL\b", re.IGNORECASE)
GIVEN = re.compile(r"\bDEFAULT\b|\bGENERATED\b", re.IGNORECASE)


def text_of(migration: Path) -> str:
    """A migration's statements: those in its Python file, and the files beside it that it names."""
    python = migration.read_text()
    named = [
        migration.with_suffix(".sql"),
        *(migration.parent / name for name in re.findall(r'"([\w]+\.sql)"', python)),
    ]
    strings = [
        node.value
        for node in ast.walk(ast.parse(python))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join([*strings, *(file.read_text() for file in sorted(set(named)) if file.exists())])


def broken_by(text: str) -> list[str]:
    """Say what of these statements an older process would stumble over; bodies of functions are its own affair."""
    plain = BODY.sub("", COMMENT.sub("", text))
    found = [what for what, pattern in BREAKS.items() if pattern.search(plain)]
    added = [match["rest"] for match in ADDED.finditer(plain)]
    if any(NEEDED.search(rest) and not GIVEN.search(rest) for rest in added):
        found.append("adds a column that must have a value and has no default")
    return found


def contract(migration: Path) -> str | None:
    """Why a migration may take something away, as it says itself."""
    for node in ast.parse(migration.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "CONTRACT" for t in node.targets):
            return str(ast.literal_eval(node.value))
    return None


class TestMigrations:
    def test_there_are_some(self) -> None:
        assert len(MIGRATIONS) > 10

    @pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
    def test_expands_or_says_why_it_contracts(self, migration: Path) -> None:
        if f"{migration.parts[-3]}/{migration.stem}" in BEFORE_THE_RULE:
            return
        found = broken_by(text_of(migration))
        if contract(migration) is None:
            assert not found, (
                f"{found}: older processes still run. Expand now, contract a release later (docs/decisions/0030)."
            )
        else:
            assert found, "nothing is taken away: CONTRACT is not needed"

    def test_the_list_only_shrinks(self) -> None:
        breaking = {
            f"{path.parts[-3]}/{path.stem}"
            for path in MIGRATIONS
            if broken_by(text_of(path)) and contract(path) is None
        }
        assert breaking == BEFORE_THE_RULE

    @pytest.mark.parametrize(
        "text",
        [
            "ALTER TABLE orders DROP COLUMN version",
            "DROP FUNCTION place_hold(uuid);",
            "alter table orders rename column version to generation",
            "ALTER TABLE orders ALTER COLUMN n_seats TYPE bigint",
            "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
            "ALTER TABLE orders ADD COLUMN note text NOT NULL",
            "ALTER TABLE orders ADD COLUMN a int NOT NULL DEFAULT 0, ADD COLUMN b int NOT NULL",
        ],
    )
    def test_what_breaks_would_be_seen(self, text: str) -> None:
        assert broken_by(text)

    @pytest.mark.parametrize(
        "text",
        [
            "ALTER TABLE orders ADD COLUMN note text",
            "ALTER TABLE orders ADD COLUMN a int NOT NULL DEFAULT 0, ADD COLUMN b int",
            "CREATE FUNCTION f() RETURNS void AS $$ BEGIN DROP TABLE scratch; END $$",
            "-- DROP TABLE orders\nCREATE INDEX x ON orders (version); DROP INDEX y;",
        ],
    )
    def test_what_expands_is_let_through(self, text: str) -> None:
        assert broken_by(text) == []
