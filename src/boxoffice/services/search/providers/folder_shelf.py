"""An index in a folder of this machine: generations, one of them current, and who may write.

A rebuild fills the next generation while the current one goes on answering and taking messages; then one rename makes
it the current one. The previous generation stays until the next rebuild, for readers that have not noticed yet.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from boxoffice.runtime.telemetry import log
from boxoffice.services.search.providers.engine import (
    BrokenIndexError,
    IndexInUseError,
    SearchEngine,
    SearchUnavailableError,
)
from boxoffice.services.search.providers.shelf import Line
from boxoffice.services.search.providers.tantivy_engine import TantivyEngine

CURRENT: Final = "CURRENT"
LOCK: Final = "writer.lock"
INCOMPLETE: Final = "INCOMPLETE"
"""In a generation that was begun empty and still lacks what the catalog knows."""
WANTED: Final = "REBUILD"
"""Put there by the command that asks for a rebuild; goes when it is done."""
ASKING_AT_ONCE = 2
"""Threads that ask the index, one a core of a small machine; the library lets go of the interpreter meanwhile."""
CHECKED_AT_ONCE = 1_000

T = TypeVar("T")
_log = log(__name__)


class FolderShelf:
    """A :class:`Shelf` on one folder. Only the process with the lock has ``writing``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.next: TantivyEngine | None = None
        self._engine: TantivyEngine | None = None
        self._lock: int | None = None
        self._line = Line(ASKING_AT_ONCE)
        self.suspect = False

    @property
    def writing(self) -> bool:
        """Whether this process is the one that writes."""
        return self._lock is not None

    @property
    def prompt(self) -> bool:
        """Whether this process finds at once what was written: the writer does, a reader follows a moment later."""
        return self.writing

    @property
    def incomplete(self) -> bool:
        """Whether events are known to be missing: answers are degraded until a rebuild."""
        return self._engine is None or (self._engine.folder / INCOMPLETE).exists()

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for a rebuild."""
        return (self.root / WANTED).exists()

    @property
    def engine(self) -> SearchEngine:
        """The index in use.

        :raises SearchUnavailableError: when there is none yet.
        """
        if self._engine is None:
            raise SearchUnavailableError("The index is being made. Try again in a moment.", retryAfterSeconds=2)
        return self._engine

    def generations(self) -> Sequence[SearchEngine]:
        """List every index that must be told what happens."""
        return [self.engine] if self.next is None else [self.engine, self.next]

    async def ask(self, question: Callable[[SearchEngine], T]) -> T:
        """Ask the index in a thread of its own.

        :raises SearchUnavailableError: when it cannot be read, or too many questions wait.
        """
        try:
            return await self._line.ask(lambda: question(self.engine))
        except SearchUnavailableError:
            self.suspect = True
            raise

    def open(self) -> None:
        """Open the current generation; as its writer when nobody else is. The writer replaces a broken one."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = _claim(self.root / LOCK)
        previous = self._engine
        if previous is not None:
            previous.close()  # a writer lets go of the folder; it answers until the new one is there
        fresh, folder = None, self._current()
        if folder is not None:
            try:
                fresh = TantivyEngine(folder, writing=self.writing)
            except (BrokenIndexError, IndexInUseError) as error:
                _log.warning("index.unusable", reason=str(error), folder=folder.name, writing=self.writing)
        if fresh is not None:
            self._engine = fresh
        elif self.writing:
            self._begin_empty()

    def check(self) -> None:
        """Read the whole index after a failure; the writer replaces one that cannot be read to its end."""
        if not self.suspect:
            return
        self.suspect = False
        try:
            for _ in self.engine.everything(CHECKED_AT_ONCE):
                pass
        except SearchUnavailableError:
            if self.writing:
                self._begin_empty()

    def refresh(self) -> None:
        """For a reader: follow the writer to a new generation, or take its place when it is gone."""
        if self.writing:
            return
        lock = _claim(self.root / LOCK)
        if lock is not None:
            self._lock = lock
            self.open()
        elif self._engine is None or self._engine.folder != self._current():
            self.open()

    def begin_next(self) -> SearchEngine:
        """Begin an empty generation beside the current one."""
        self.forget_next()
        self.next = self._create()
        return self.next

    def forget_next(self) -> None:
        """Drop a generation that was not finished."""
        if self.next is not None:
            self.next.close()
            shutil.rmtree(self.next.folder, ignore_errors=True)
            self.next = None

    def switch(self) -> None:
        """Make the next generation the current one; readers see either the old or the new one, never none."""
        assert self.next is not None
        fresh, self.next = self.next, None
        self._become(fresh)
        (self.root / WANTED).unlink(missing_ok=True)

    def ask_for_rebuild(self) -> None:
        """Ask the process that writes this index to rebuild it; it removes the mark when it is done."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / WANTED).touch()

    def look(self) -> None:
        """Do nothing: ``wanted`` reads the folder each time."""

    def close(self) -> None:
        """Let go of everything."""
        self.forget_next()
        self._line.close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin_empty(self) -> None:
        fresh = self._create()
        (fresh.folder / INCOMPLETE).touch()
        self._become(fresh)

    def _current(self) -> Path | None:
        try:
            return self.root / (self.root / CURRENT).read_text().strip()
        except OSError:
            return None

    def _generations(self) -> list[Path]:
        return sorted(path for path in self.root.glob("generation-*") if path.is_dir())

    def _create(self) -> TantivyEngine:
        used = [int(path.name.rpartition("-")[2]) for path in self._generations()]
        return TantivyEngine.create(self.root / f"generation-{max(used, default=0) + 1:08}")

    def _become(self, fresh: TantivyEngine) -> None:
        _write_durably(self.root / CURRENT, fresh.folder.name)
        previous, self._engine = self._engine, fresh
        if previous is not None:
            previous.close()
        for path in self._generations():
            if path != fresh.folder and (previous is None or path != previous.folder):
                shutil.rmtree(path, ignore_errors=True)


def _claim(path: Path) -> int | None:
    """Take the lock for as long as this process lives; none when another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _write_durably(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
