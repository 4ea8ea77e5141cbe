"""The gathered way, the plain way and the model agree on every history."""

import asyncio

from hypothesis import HealthCheck, Phase, given, settings
from tests.histories.play import on_stage
from tests.histories.steps import History, Rules, everything, rules
from tests.support.engines import Engines

EXAMPLES = 100


class TestHistories:
    def test_agree(self, engines: Engines) -> None:
        with engines.database("sales") as one, engines.database("sales") as other, asyncio.Runner() as runner:
            stage_context = on_stage(one, other)
            stage = runner.run(stage_context.__aenter__())

            @settings(
                max_examples=EXAMPLES,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
                phases=[Phase.generate, Phase.shrink],
            )
            @given(everything, rules)
            def play(history: History, rules: Rules) -> None:
                runner.run(stage.play(history, rules))

            try:
                play()
            finally:
                print(stage.seen)
                runner.run(stage_context.__aexit__(None, None, None))
