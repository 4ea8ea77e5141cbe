"""Look for a history on which the three disagree; Hypothesis makes the shortest one of it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from tests.histories.play import DisagreementError, Stage, on_stage
from tests.histories.steps import History, Rules, rules
from tests.support.engines import Engines

SEED = 4711
"""Of the histories that every test run plays."""


@contextmanager
def stage(engines: Engines) -> Iterator[tuple[asyncio.Runner, Stage]]:
    """Lend two fresh databases with everything on sale, and the loop that they are used in."""
    with (
        engines.database("sales") as gathered,
        engines.database("sales") as plain,
        asyncio.Runner() as runner,
    ):
        context = on_stage(gathered, plain)
        opened = runner.run(context.__aenter__())
        try:
            yield runner, opened
        finally:
            runner.run(context.__aexit__(None, None, None))


def search(
    runner: asyncio.Runner, opened: Stage, histories: st.SearchStrategy[History], *, most: int, of: int = SEED,
    shorten: bool = True,
) -> Counter[str]:  # fmt: skip
    """Play so many histories; returns what was seen in them.

    :raises DisagreementError: with the shortest history (``shorten``; else the first) on which there is one.
    """

    @settings(
        max_examples=most, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if shorten else [Phase.generate],
    )  # fmt: skip
    @seed(of)
    @given(histories, rules)
    def play(history: History, rules: Rules) -> None:
        runner.run(opened.play(history, rules))

    try:
        play()
    except FlakyFailure as once:  # what depends on who came first may agree when it is played again
        for one in once.exceptions:
            if isinstance(one, DisagreementError):
                raise one from once
        raise
    return opened.seen
