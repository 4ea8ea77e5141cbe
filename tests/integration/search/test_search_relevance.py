"""Judged queries on the real concerts, on every kind of engine, with one threshold for all.

A query is judged by a rule over the published programme: which concerts are what the person meant. Of the first ten
hits at least ``NEEDED`` must be such; over all queries at least ``NEEDED_ON_AVERAGE``; and where the person named one
thing exactly, at least ``NEEDED_RECALL`` of such concerts must be found at all.
"""

from collections.abc import Callable

import pytest
from tests.support.concert_facts import concert_facts
from tests.support.judged import JUDGED, Judged, composer, precision, recall

from boxoffice.services.search.providers.engine import SearchEngine

NEEDED = 0.8
NEEDED_ON_AVERAGE = 0.97
NEEDED_RECALL = 0.95


class TestRelevance:
    def test_is_judged_by_enough_queries(self) -> None:
        assert len(concert_facts()) == 3_540
        assert len({judged.query for judged in JUDGED}) >= 60

    @pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: judged.query)
    def test_brings_what_was_meant_first(self, concerts: SearchEngine, judged: Judged) -> None:
        assert precision(concerts, judged) >= NEEDED

    def test_is_right_nearly_always(
        self, concerts: SearchEngine, record_property: Callable[[str, object], None]
    ) -> None:
        scores = [precision(concerts, judged) for judged in JUDGED]
        record_property("mean_precision", f"{sum(scores) / len(scores):.3f}")
        assert sum(scores) / len(scores) >= NEEDED_ON_AVERAGE

    @pytest.mark.parametrize("judged", [judged for judged in JUDGED if judged.recall], ids=lambda judged: judged.query)
    def test_finds_nearly_all_that_was_meant(self, concerts: SearchEngine, judged: Judged) -> None:
        assert recall(concerts, judged) >= NEEDED_RECALL

    def test_the_judge_would_notice(self, concerts: SearchEngine) -> None:
        nonsense = Judged("brahms", composer("Gubaidulina"))
        assert precision(concerts, nonsense) < NEEDED
