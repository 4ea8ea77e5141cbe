"""The section says what the figures say, and the figures are read from what the machine wrote on the screen."""

from tests.machine.whole import ENGINES, KEYS, _is_there, _memory_mb, section, wrong

SAID = """\
│ Kafka                 │ kafka://127.0.0.1:40161                                   │
│ Kafka Connect         │ http://127.0.0.1:42073/connectors                         │
│ Documents (MongoDB's protocol) │ mongodb://127.0.0.1:38417/boxoffice              │
│ Zipkin                │ http://127.0.0.1:38111/zipkin/                            │
│ Prometheus            │ absent: No program named prometheus on the PATH.          │
│ Memory                │ 2,718 MB                                                  │
"""


class TestWhole:
    def test_counts_what_is_there_and_not_what_is_absent(self) -> None:
        there = ["Kafka", "Kafka Connect", "Documents (MongoDB's protocol)", "Zipkin"]
        assert [name for name in ENGINES if _is_there(name, SAID)] == there
        assert _memory_mb(SAID) == 2718

    def test_the_section_has_every_figure(self) -> None:
        found = {
            "engines_started": 8, "whole_engines": "PostgreSQL", "whole_processes": 9, "whole_started_s": 61.5,
            "whole_memory_mb": 2718, "journeys_passed": 61, "whole_journeys_failed": 0, "whole_journeys_skipped": 2,
        }  # fmt: skip
        text = section(found)
        assert set(KEYS) <= set(found)
        for figure in ("| engines started | 8 |", "| journeys that passed | 61 |", "2,718 MB", "61.5 s"):
            assert figure in text
        assert not wrong(found)
        assert wrong({**found, "engines_started": 7, "whole_journeys_failed": 1}) == [
            "7 of 8 engines were started", "1 journeys failed",
        ]  # fmt: skip
