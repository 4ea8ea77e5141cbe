"""Search on three engines: judged queries, how far the index lags behind the catalog, a rebuild while people search."""

import asyncio
import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.machine.following import EVENTS, READERS, follow
from tests.support.concert_facts import concert_facts
from tests.support.engines import running_engines
from tests.support.judged import JUDGED, precision
from tests.support.search_engines import Kind, SearchEngines

from boxoffice.runtime.engines import search_servers
from boxoffice.runtime.settings import Settings

KINDS: tuple[Kind, ...] = ("tantivy", "opensearch", "elasticsearch")
EACH = (
    "relevance", "relevance_least", "lag_p50_ms", "lag_p99_ms", "settled_ms", "search_changes", "search_wrong", "rebuild_s",
    "rebuild_answers", "rebuild_errors", "rebuild_short",
)  # fmt: skip
SOURCES = ("kept", "joined", "made")
KEYS: tuple[str, ...] = (
    *(f"{name}_{kind}" for name in EACH for kind in KINDS),
    "search_cache_hit_share",
    "judged_queries",
)
TITLE = "Search on three engines"
NEEDED_RELEVANCE = 0.97
MOST_LAG_MS = 5_000
SECTION = """\
All {concerts:,} real concerts, {judged_queries} judged queries: of the first ten hits, how many are what the rule of the query means. Then changes of
{events} events (made, renamed, deleted), each a transaction of its own with its message; outbox, relay and bus carry them, the search service takes them.
First one after another: how long from the commit until a search shows it. Then a burst at full speed: how long from its last commit until the index says
what is true of every event. Then the index is rebuilt from the catalog while {readers} readers ask without a pause and changes go on. Answers are kept in
Valkey all the while.

| what | tantivy | OpenSearch | Elasticsearch |
| --- | ---: | ---: | ---: |
{rows}

Answers given from those kept (or made for somebody else at that moment): {share:.0%} of {asked:,} questions, drawn from the judged ones (the n-th as often
as 1/n), while something changes each half second. Another crowd has another share.

Not shown: messages by Debezium (their delay is in its own section), several processes of search, an index larger than the real concerts.
"""
ROWS: Mapping[str, str] = {
    "relevance": "relevance, mean of all queries", "relevance_least": "relevance of the worst query",
    "lag_p50_ms": "from commit to found, p50, ms", "lag_p99_ms": "the same, p99, ms",
    "settled_ms": "after the burst until all is true, ms", "search_changes": "changes in all",
    "search_wrong": "events that the index is wrong about at the end", "rebuild_s": "seconds of the rebuild",
    "rebuild_answers": "answers meanwhile", "rebuild_errors": "errors among them",
    "rebuild_short": "answers that lacked concerts",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done on each engine."""

    concerts: int
    changes: int
    burst: int
    questions: int


FULL = Size(concerts=3_540, changes=300, burst=1_000, questions=3_000)


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Run it on all three; the servers are started here, one at a time."""
    found: dict[str, object] = {"judged_queries": len(JUDGED)}
    sources = dict.fromkeys(SOURCES, 0.0)
    with running_engines() as engines:
        for kind in KINDS:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boxoffice-machine-")))
                search = SearchEngines(folder)
                stack.callback(search.close)
                if kind != "tantivy":
                    search_servers.home(kind, say=say)
                url = stack.enter_context(engines.database("catalog"))
                figures = run(
                    kind, FULL, search=search, redis_url=engines.redis_url, database_url=url, folder=folder, seed=seed
                )
            say(f"{kind}: {figures}")
            for source in SOURCES:
                sources[source] += figures.pop(f"from_{source}")
            found |= {f"{name}_{kind}": value for name, value in figures.items()}
    found["cache_questions"] = round(sum(sources.values()))
    found["search_cache_hit_share"] = round(1 - sources["made"] / sum(sources.values()), 3)
    return found


def run(
    kind: Kind, size: Size, *, search: SearchEngines, redis_url: str, database_url: str, folder: Path, seed: int
) -> dict[str, float]:
    """Run it on one engine; gives ``EACH`` and where answers to a crowd came from."""
    scores = [precision(search.concerts(kind), judged) for judged in JUDGED]
    where = {"search_index_dir": str(folder / "index")}
    if kind != "tantivy":
        where = {"search_engine_url": f"{search.url(kind)}/machine-{uuid4().hex}"}
    settings = Settings(redis_url=redis_url, search_cache="on", **where)
    figures = asyncio.run(
        follow(
            settings, database_url, concerts=size.concerts, changes=size.changes, burst=size.burst,
            questions=size.questions, seed=seed,
        )
    )  # fmt: skip
    figures |= {f"search_{name}": figures.pop(name) for name in ("changes", "wrong")}
    return {"relevance": round(statistics.mean(scores), 3), "relevance_least": round(min(scores), 3), **figures}


def section(found: Mapping[str, object]) -> str:
    """Write what came of it."""
    rows = [
        f"| {text} | " + " | ".join(str(found[f"{name}_{kind}"]) for kind in KINDS) + " |"
        for name, text in ROWS.items()
    ]
    return SECTION.format(
        concerts=len(concert_facts()), judged_queries=found["judged_queries"], events=EVENTS, readers=READERS, rows="\n".join(rows),
        share=found["search_cache_hit_share"], asked=found["cache_questions"],
    )  # fmt: skip


def wrong(found: Mapping[str, object]) -> list[str]:
    """Say each figure that is not what it should be."""
    complaints = []
    for kind in KINDS:
        figures = {name: float(str(found[f"{name}_{kind}"])) for name in EACH}
        if figures["relevance"] < NEEDED_RELEVANCE:
            complaints.append(f"relevance of {kind} is {figures['relevance']}, less than {NEEDED_RELEVANCE}")
        if figures["lag_p99_ms"] > MOST_LAG_MS or figures["settled_ms"] > MOST_LAG_MS:
            complaints.append(f"{kind} lags more than {MOST_LAG_MS} ms")
        complaints += [
            f"{kind}: {ROWS[name]}: {figures[name]:.0f}"
            for name in ("search_wrong", "rebuild_errors", "rebuild_short")
            if figures[name]
        ]
    return complaints
