"""Where the index is kept: which generation is in use, which one is being built, and who looks after it.

A rebuild fills the next generation while the current one goes on answering and taking messages; then one step makes it
the current one. There are two: a folder of this machine (``folder_shelf.py``) and a search server (``alias_shelf.py``).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from boxoffice.services.search.providers.engine import SearchEngine, SearchUnavailableError

WAITING_AT_MOST = 500
"""Questions in line for a thread; at a few ms each more would wait longer than people do."""

T = TypeVar("T")


class Shelf(Protocol):
    """The index in use, and the next one while it is being built."""

    suspect: bool
    """Whether the index failed somebody since it was last checked."""

    @property
    def writing(self) -> bool:
        """Whether this process is the one that looks after the index: takes messages, rebuilds."""

    @property
    def prompt(self) -> bool:
        """Whether this process finds what was written as soon as whoever wrote it is told so."""

    @property
    def incomplete(self) -> bool:
        """Whether events are known to be missing: answers are degraded until a rebuild."""

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for a rebuild."""

    @property
    def engine(self) -> SearchEngine:
        """The index in use.

        :raises SearchUnavailableError: when there is none yet.
        """

    def generations(self) -> Sequence[SearchEngine]:
        """List every index that must be told what happens: the one in use, and the next one while it is being built.

        :raises SearchUnavailableError: when they cannot be told.
        """

    async def ask(self, question: Callable[[SearchEngine], T]) -> T:
        """Ask the index in a thread.

        :raises SearchUnavailableError: when it cannot be read, or too many questions wait.
        """

    def open(self) -> None:
        """Open the current generation; who looks after the index begins an empty one when there is none to use."""

    def check(self) -> None:
        """Look at an index that failed somebody, and replace it when it must be."""

    def refresh(self) -> None:
        """Follow what other processes did: a new generation, a wish for a rebuild, a place to be taken."""

    def begin_next(self) -> SearchEngine:
        """Begin an empty generation beside the current one."""

    def forget_next(self) -> None:
        """Drop a generation that was not finished."""

    def switch(self) -> None:
        """Make the next generation the current one; readers see either the old or the new one, never none."""

    def ask_for_rebuild(self) -> None:
        """Ask the process that looks after this index to rebuild it; ``wanted`` until it is done."""

    def look(self) -> None:
        """Learn whether a rebuild is still wanted, without taking anybody's place."""

    def close(self) -> None:
        """Let go of everything."""


class Line:
    """Questions in line for a few threads."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="search")
        self._waiting = 0

    async def ask(self, question: Callable[[], T]) -> T:
        """Ask in a thread.

        :raises SearchUnavailableError: when too many questions wait.
        """
        if self._waiting >= WAITING_AT_MOST:
            raise SearchUnavailableError("Too many searches at once. Try again in a moment.", retryAfterSeconds=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, question)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wait for those that were asked already."""
        self._pool.shutdown(wait=True)
