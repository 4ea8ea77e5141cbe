"""Size budgets: a module has at most 500 lines, a function at most 70. The exceptions carry a reason and only shrink."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src" / "boxoffice"
MODULE_LINES = 500
FUNCTION_LINES = 70

EXCEPTIONS: dict[str, str] = {}
"""``path`` or ``path:function`` -> why it may be longer."""


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield str(path.relative_to(SOURCES)), path.read_text()


def functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


class TestBudgets:
    def test_modules_fit(self) -> None:
        too_long = {
            name: lines
            for name, text in modules()
            if (lines := text.count("\n")) > MODULE_LINES and name not in EXCEPTIONS
        }
        assert not too_long

    def test_functions_fit(self) -> None:
        too_long = {
            f"{name}:{function}": lines
            for name, text in modules()
            for function, lines in functions(text)
            if lines > FUNCTION_LINES and f"{name}:{function}" not in EXCEPTIONS
        }
        assert not too_long

    def test_exceptions_are_still_needed(self) -> None:
        sizes = {name: text.count("\n") for name, text in modules()}
        longest = {f"{name}:{function}": lines for name, text in modules() for function, lines in functions(text)}
        unneeded = [
            name for name in EXCEPTIONS if sizes.get(name, 0) <= MODULE_LINES and longest.get(name, 0) <= FUNCTION_LINES
        ]
        assert not unneeded

    def test_measures_what_it_says(self) -> None:
        text = "async def long():\n" + "    pass\n" * FUNCTION_LINES
        assert dict(functions(text)) == {"long": FUNCTION_LINES + 1}
