"""The evidence page says what its JSON file says, and says it when a run was less than a release's."""

import json
from pathlib import Path

import pytest
from tests.evidence.__main__ import PARTS, put_together
from tests.evidence.page import page
from tests.evidence.steps import Outcome, figures_of, json_of, proofs
from tests.evidence.timeline import timeline

EVIDENCE = Path(__file__).parents[3] / "docs" / "evidence"
ASKED = {
    "reserve_attempts", "violations", "mutants_caught", "mutants_total", "chaos_minutes", "transaction_pairs",
    "sometimes_missing", "seed",
}  # fmt: skip
FOUND = {
    "chaos": {
        "minutes": 10.0, "violations": [], "sometimes_missing": [], "sometimes": {"lock timeout": {"seen": 4, "least": 1}},
        "acts": {"FLUSHALL": 5}, "acts_that_failed": {}, "left_out": {}, "clock_skew_by": "libfaketime", "overtime_s": 0.2,
        "outcomes": {"reserve ok": 900}, "quiet_after_s": 3.0,
        "figures": {
            "operations": 9, "bookings": 8, "tickets": 7, "captures": 6, "refunds": 5, "snapshots": 4, "fence_looks": 3,
            "probe_transactions": 2,
        },
        "events": [["FLUSHALL", 3.0, 4.0]], "seconds": {"1": {"reserve ok": 3, "browse 5xx": 1}},
    },
    "hammer": {
        "attempts": 1_000_000, "violations": [], "clients": 200, "processes": 2, "seats": 50, "seconds": 400.0,
        "operations_checked": 80_000, "seat_changes": 90_000, "outcomes": {"reserve ok": 30_000},
    },
    "without-valkey": {"violations": [], "stopped": {"checkouts": 200, "with_tickets": 199}},
    "mutants": {"mutants_caught": 22, "mutants_total": 22, "list": [{"name": "no row count", "caught": True}]},
    "pairs": {"pairs": 64, "interleavings": 700, "violations": 0},
    "hoarding": {"tests": 9, "failed": 0, "seat-minutes of the budget": 480.0},
    "simulation": {"seeds": 20_000, "steps": 900_000, "violations": 0},
}  # fmt: skip


def outcomes(**changed: object) -> dict[str, Outcome]:
    found = {**FOUND, **changed}
    return {
        name: Outcome(command=f"python -m {name}", exit_code=0, seconds=60, found=found[name])  # type: ignore[arg-type]
        for name in PARTS
        if name in found
    }


class TestPage:
    def test_is_what_the_committed_figures_say(self) -> None:
        assert (EVIDENCE / "sale.md").read_text() == page(json.loads((EVIDENCE / "sale.json").read_text()))
        assert json.loads((EVIDENCE / "sale.json").read_text()).keys() >= ASKED

    def test_has_every_figure_of_a_whole_run(self) -> None:
        found = put_together(outcomes(), seed=7)
        assert {name: found[name] for name in ASKED} == {
            "reserve_attempts": 1_000_000, "violations": 0, "mutants_caught": 22, "mutants_total": 22,
            "chaos_minutes": 10.0, "transaction_pairs": 64, "sometimes_missing": 0, "seed": 7,
        }  # fmt: skip
        assert found["partial"] == []
        text = page(found)
        assert "partial" not in text
        for figure in ("1,000,000", "22 of 22", "99.5%", "20,000 seeded", "SEED=7"):
            assert figure in text

    @pytest.mark.parametrize("name", PARTS)
    def test_says_that_a_part_was_not_run_and_makes_nothing_up(self, name: str) -> None:
        ran = outcomes()
        del ran[name]
        found = put_together(ran, seed=7)
        assert found["partial"] == [f"{name} was not run"]
        assert "This run is partial" in page(found)

    def test_says_that_a_part_failed_or_was_short(self) -> None:
        ran = outcomes(hammer={**FOUND["hammer"], "attempts": 5_000})
        ran["pairs"] = Outcome(command="", exit_code=2, seconds=1, found=None)
        found = put_together(ran, seed=7)
        assert found["partial"] == ["pairs wrote no result (exit code 2)", "hammer: 5,000 attempts of 1,000,000"]
        assert found["transaction_pairs"] is None

    def test_counts_and_names_every_violation(self) -> None:
        ran = outcomes(
            hammer={**FOUND["hammer"], "violations": ["seat 3 had two owners"]},
            pairs={**FOUND["pairs"], "violations": 2},
        )
        found = put_together(ran, seed=7)
        assert found["violations"] == 3
        assert "hammer: seat 3 had two owners" in page(found)


class TestProofs:
    def test_are_commands_of_this_repository_with_a_result_of_their_own(self) -> None:
        every = proofs(minutes=10, attempts=1_000, seeds=10, seed=3)
        assert set(every) == set(PARTS)
        assert len({proof.result for proof in every.values()}) == len(PARTS)
        assert {proof.read for proof in every.values()} == {json_of, figures_of}

    def test_are_read_from_what_tests_recorded(self, tmp_path: Path) -> None:
        result = tmp_path / "tests.xml"
        result.write_text(
            '<testsuites><testsuite><testcase name="a"><properties><property name="kept" value="480"/></properties></testcase>'
            '<testcase name="b"><failure/></testcase></testsuite></testsuites>'
        )
        assert figures_of(result) == {"tests": 2, "failed": 1, "kept": 480.0}


class TestTimeline:
    def test_draws_answers_over_faults(self) -> None:
        drawn = timeline(
            {"seconds": {"0": {"reserve ok": 3}, "61": {"browse 5xx": 1}}, "events": [["a <b>", 3.0, 9.0]]}
        )
        assert drawn.startswith("<svg")
        assert "a &lt;b&gt;" in drawn
        assert "1 min" in drawn
