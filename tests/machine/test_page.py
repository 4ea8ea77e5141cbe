"""The page of the full machine says what its figures say, and what they lack."""

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from tests.evidence.__main__ import EVIDENCE
from tests.machine import __main__ as machine
from tests.machine.__main__ import page, put_together, run, unmeasured


def part(figures: Mapping[str, object] | Exception, *, keys: tuple[str, ...] = ("missing",)) -> Any:
    """A part that finds these figures, or ends with this error."""

    def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
        say(f"seed {seed}")
        if isinstance(figures, Exception):
            raise figures
        return {**figures}

    return SimpleNamespace(
        KEYS=keys, TITLE="A part", measure=measure, section=lambda found: f"{found['missing']} missing",
        wrong=lambda found: ["some are missing"] if found["missing"] else [],
    )  # fmt: skip


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    known: dict[str, Any] = {"first": part({"missing": 0, "kills": 3})}
    monkeypatch.setattr(machine, "PARTS", known)
    return known


def again(known: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return put_together(known, *run(names, seed=7))


class TestPage:
    def test_what_is_in_the_repository_says_what_its_figures_say(self):
        written = EVIDENCE / "machine.json"
        assert (EVIDENCE / "machine.md").read_text() == page(json.loads(written.read_text()))

    @pytest.mark.usefixtures("parts")
    def test_a_run_says_its_seed_and_its_commit(self):
        found = again({}, "first")
        assert "0 missing" in page(found)
        assert f"at commit `{found['parts']['first']['commit']}`" in page(found)
        assert "`python -m tests.machine --only first --seed 7`" in page(found)

    @pytest.mark.usefixtures("parts")
    def test_what_is_not_measured_is_named_at_the_top(self):
        text = page(again({}, "first"))
        assert "* `rpo_seconds` is not measured" in text
        assert "`missing` is not measured" not in text

    def test_what_is_wrong_is_named_at_the_top(self, parts: dict[str, Any]):
        parts["first"] = part({"missing": 2})
        assert "* first: some are missing" in page(again({}, "first"))

    def test_a_part_replaces_its_own_figures_and_leaves_the_others(self, parts: dict[str, Any]):
        parts["second"] = part({"rpo_seconds": 0, "missing": 0}, keys=("rpo_seconds",))
        found = again({}, "second")
        assert found["partial"] == ["first was not run"]
        parts["first"] = part({"missing": 1})
        found = again(found, "first")
        assert (found["rpo_seconds"], found["missing"]) == (0, 1)
        assert "kills" not in found

    def test_a_part_that_ends_with_an_error_has_no_figures_left(self, parts: dict[str, Any]):
        found = again({}, "first")
        parts["first"] = part(RuntimeError("the engine is gone"))
        found = again(found, "first")
        assert "missing" not in found
        assert found["partial"] == ["first ended with an error"]
        assert "`missing` is not measured" in unmeasured(found)

    def test_a_part_that_forgets_a_figure_is_a_defect(self, parts: dict[str, Any]):
        parts["first"] = part({"kills": 3})
        with pytest.raises(RuntimeError, match="first did not measure missing"):
            run(["first"], seed=7)
