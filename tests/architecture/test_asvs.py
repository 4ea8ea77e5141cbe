"""Every requirement of ASVS levels 1 and 2 has an answer, and every test that is named as one exists."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ANSWERS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "security" / "asvs.yaml").read_text())
LEVELS_1_AND_2 = 253
CHAPTERS = 17
LEVEL_3 = {
    "3.4.7", "3.4.8", "4.1.4", "4.1.5", "6.3.8", "8.3.2", "8.3.3", "11.2.4", "13.1.2", "13.1.3", "13.2.6", "15.4.1",
    "15.4.2", "15.4.3", "15.4.4", "16.5.4",
}  # fmt: skip
"""Those of the third level that we answer too."""
OPEN = 93
"""How many are open: this number only goes down."""
KINDS = ("test", "not_applicable", "open")


@cache
def names_in(path: str) -> frozenset[str]:
    """Name the tests of a file as pytest does, without parameters."""

    def named(body: list[ast.stmt], before: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from named(node.body, f"{before}{node.name}::")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield before + node.name

    return frozenset(named(ast.parse((ROOT / path).read_text()).body, ""))


def test_every_requirement_is_answered_in_order() -> None:
    numbers = [tuple(map(int, number.split("."))) for number in ANSWERS]
    assert numbers == sorted(set(numbers))
    assert {chapter for chapter, _, _ in numbers} == set(range(1, CHAPTERS + 1))
    levels = {level: {number for number, one in ANSWERS.items() if one["level"] == level} for level in (1, 2, 3)}
    assert len(levels[1] | levels[2]) == LEVELS_1_AND_2
    assert levels[3] == LEVEL_3


@pytest.mark.parametrize("number", ANSWERS)
def test_an_answer_is_one_thing_in_words_and_its_tests_exist(number: str) -> None:
    answer = ANSWERS[number]
    assert set(answer) <= {"level", "asks", "by", *KINDS}
    assert len([kind for kind in KINDS if answer.get(kind)]) == 1
    assert all(len(answer[kind].split()) > 1 for kind in ("asks", "not_applicable", "open") if kind in answer)
    for test in answer.get("test", []):
        path, _, name = test.partition("::")
        assert name in names_in(path), test


def test_what_is_open_does_not_grow_in_number() -> None:
    still = [number for number, answer in ANSWERS.items() if "open" in answer]
    assert len(still) == OPEN, "write the smaller number here" if len(still) < OPEN else f"{len(still)} are open"
