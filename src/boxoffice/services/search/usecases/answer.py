"""Answer a question: from what is kept, together with whoever is asking the same right now, or by the engine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from boxoffice.runtime.tasks import end
from boxoffice.runtime.telemetry import SEARCH_ANSWERS
from boxoffice.services.search.providers.kept_answers import LIFE_MS, KeptAnswers
from boxoffice.services.search.providers.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An answer as it is sent, and the instant at which it changes without any message (a sale begins); none: never.

    One that was made without the index (``may_keep`` is false) is for whoever asked, and is not kept.
    """

    body: bytes
    until: datetime | None = None
    may_keep: bool = True


Make = Callable[[], Awaitable[Made]]


class Answers:
    """Gives answers of one process. Without ``kept`` each is made by the engine."""

    def __init__(self, shelf: Shelf, kept: KeptAnswers | None = None) -> None:
        self._shelf = shelf
        self.kept = kept
        self._being_made: dict[tuple[bytes, bytes], asyncio.Task[bytes]] = {}

    async def give(self, question: bytes | None, make: Make) -> bytes:
        """Answer a question; one without a name (none) is made by the engine and never kept.

        :raises DomainError: as ``make`` does.
        """
        # a reader of a folder follows its writer a moment later: an answer of its own would be of no certain epoch
        if question is None or self.kept is None or self._shelf.incomplete or not self._shelf.prompt:
            return await self._alone(make)
        look = await self.kept.look(question)
        if look.body is not None:
            SEARCH_ANSWERS.labels("kept").inc()
            return look.body
        if look.epoch is None:
            return await self._alone(make)
        key = (look.epoch, question)
        task = self._being_made.get(key)
        if task is None:
            task = self._being_made[key] = asyncio.create_task(self._make(self.kept, question, look.epoch, make))
            task.add_done_callback(lambda ended: self._forget(key, ended))
            SEARCH_ANSWERS.labels("made").inc()
        else:
            SEARCH_ANSWERS.labels("joined").inc()
        return await asyncio.shield(task)  # who goes away does not take it from the others

    async def drop(self) -> None:
        """Drop every kept answer: the index has changed."""
        if self.kept is not None:
            await self.kept.drop()

    async def close(self) -> None:
        """End what is being made."""
        await end(list(self._being_made.values()))

    def _forget(self, key: tuple[bytes, bytes], ended: "asyncio.Task[bytes]") -> None:
        del self._being_made[key]
        if not ended.cancelled():
            ended.exception()  # seen, also where everybody who asked has gone

    async def _alone(self, make: Make) -> bytes:
        SEARCH_ANSWERS.labels("made").inc()
        return (await make()).body

    async def _make(self, kept: KeptAnswers, question: bytes, epoch: bytes, make: Make) -> bytes:
        made = await make()
        if made.may_keep and not self._shelf.incomplete:
            await kept.keep(question, made.body, epoch=epoch, life_ms=_life_ms(made.until))
        return made.body


def _life_ms(until: datetime | None) -> int:
    return LIFE_MS if until is None else int((until - datetime.now(UTC)).total_seconds() * 1_000)
