"""A short run on each engine in every run of the tests; ``make machine`` does the long one on all three."""

from pathlib import Path

import pytest
from tests.machine.following import LATE_S
from tests.machine.searching import EACH, KEYS, KINDS, ROWS, SOURCES, Size, run, section, wrong
from tests.support.search_engines import KINDS as KINDS_IN_GROUPS
from tests.support.search_engines import Kind, SearchEngines

SHORT = Size(concerts=150, changes=25, burst=100, questions=200)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS_IN_GROUPS)
def test_search_follows_the_catalog_and_a_rebuild_serves_no_error(
    kind: Kind, search_engines: SearchEngines, redis_url: str, catalog_url: str, tmp_path: Path
) -> None:
    found = run(
        kind, SHORT, search=search_engines, redis_url=redis_url, database_url=catalog_url, folder=tmp_path, seed=11
    )
    assert set(found) == {*EACH, *(f"from_{source}" for source in SOURCES)}
    assert found["search_changes"] >= SHORT.changes + SHORT.burst
    assert found["search_wrong"] == 0
    assert found["rebuild_answers"] > 20
    assert (found["rebuild_errors"], found["rebuild_short"]) == (0, 0)
    assert found["from_kept"] > 0
    assert found["lag_p99_ms"] < 1e3 * LATE_S  # everything was found


def test_the_section_says_what_is_wrong() -> None:
    found: dict[str, object] = (
        dict.fromkeys(KEYS, 0) | {f"relevance_{kind}": 1.0 for kind in KINDS} | {"cache_questions": 0}
    )
    assert wrong(found) == []
    assert all(text in section(found) for text in ROWS.values())
    spoiled = found | {"relevance_opensearch": 0.9, "lag_p99_ms_tantivy": 6_000, "rebuild_errors_elasticsearch": 1}
    assert len(wrong(spoiled)) == 3
