"""An index on a search server: generations are indexes, and the alias says which one is in use.

The switch of the alias is one atomic step of the server, so every process follows it at its next question. What a
generation lacks, and whether a rebuild is wanted, stands in its own mapping (``_meta``): a switch clears both. The next
generation goes by an alias of its own, so that whichever process takes messages meanwhile tells it, too.

Who looks after the index is whoever ``leads`` (a lease); correctness does not rest on it, since writers join what they
find (``server_engine.py``).
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from boxoffice.runtime.telemetry import log
from boxoffice.services.search.providers import server_schema
from boxoffice.services.search.providers.engine import SearchEngine, SearchUnavailableError
from boxoffice.services.search.providers.server_engine import ServerEngine
from boxoffice.services.search.providers.shelf import Line
from boxoffice.services.search.providers.wire import CONNECTIONS, Wire, address_of

T = TypeVar("T")
_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The index in use, as this process last saw it."""

    index: str
    incomplete: bool
    wanted: bool


class AliasShelf:
    """A :class:`Shelf` on the server that ``url`` names; ``leads`` tells whether this process looks after the index."""

    def __init__(self, url: str, *, leads: Callable[[], bool] = lambda: False) -> None:
        address = address_of(url)
        self.alias = address.alias
        self.leads = leads
        self.suspect = False
        self._wire = Wire(address)
        self._line = Line(CONNECTIONS)
        self._current: Generation | None = None
        self._next: str | None = None

    @property
    def writing(self) -> bool:
        """Whether this process is the one that looks after the index."""
        return self.leads()

    @property
    def prompt(self) -> bool:
        """Every process finds what was written: the server answers a writer when searches see it."""
        return True

    @property
    def incomplete(self) -> bool:
        """Whether events are known to be missing."""
        return self._current is None or self._current.incomplete

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for a rebuild, as far as this process has seen."""
        return self._current is not None and self._current.wanted

    @property
    def engine(self) -> SearchEngine:
        """The index in use.

        :raises SearchUnavailableError: when there is none yet.
        """
        if self._current is None:
            raise SearchUnavailableError("The index is being made. Try again in a moment.", retryAfterSeconds=2)
        return ServerEngine(self._wire, self.alias)

    def generations(self) -> Sequence[SearchEngine]:
        """List every index that must be told what happens; asks the server, since another process may rebuild."""
        following = self._wire.call("GET", f"/_alias/{self.alias}-next", expected={HTTPStatus.NOT_FOUND})
        return [self.engine, *(ServerEngine(self._wire, index) for index in sorted(following or ()))]

    async def ask(self, question: Callable[[SearchEngine], T]) -> T:
        """Ask the index in a thread.

        :raises SearchUnavailableError: when it cannot be read, or too many questions wait.
        """
        try:
            return await self._line.ask(lambda: question(self.engine))
        except SearchUnavailableError:
            self.suspect = True
            raise

    def open(self) -> None:
        """Find the current generation, or begin an empty one; a server that is away is looked for again later."""
        try:
            self.look()
            if self._current is None and self.writing:
                self._begin_empty()
        except SearchUnavailableError as error:
            _log.warning("index.away", reason=error.detail)

    def check(self) -> None:
        """Look again after a failure: somebody may have removed the index."""
        if self.suspect:
            self.suspect = False
            self.open()

    def refresh(self) -> None:
        """Follow what other processes did."""
        self.open()

    def look(self) -> None:
        """Learn which generation is in use and what it says of itself.

        :raises SearchUnavailableError: when the server does not answer.
        """
        answer = self._wire.call("GET", f"/{self.alias}/_mapping", expected={HTTPStatus.NOT_FOUND}) or {}
        seen = None
        for index, found in answer.items():
            meta = found["mappings"].get("_meta", {})
            if meta.get("schema_version") == server_schema.SCHEMA_VERSION:
                seen = Generation(index=index, incomplete=meta["incomplete"], wanted=meta["wanted"])
            else:
                _log.warning("index.unusable", reason="the index is of another version", index=index)
        self._current = seen  # at once: other threads ask meanwhile

    def begin_next(self) -> SearchEngine:
        """Begin an empty generation beside the current one.

        :raises SearchUnavailableError: when the server does not answer.
        """
        self._drop_next()
        self._next = self._create(incomplete=False, alias=f"{self.alias}-next")
        return ServerEngine(self._wire, self._next)

    def forget_next(self) -> None:
        """Drop a generation that was not finished."""
        if self._next is not None:  # ours only: another process may have begun one since
            mine, self._next = self._next, None
            self._wire.call("DELETE", f"/{mine}", expected={HTTPStatus.NOT_FOUND})

    def switch(self) -> None:
        """Make the next generation the current one, and remove those before it.

        :raises SearchUnavailableError: when the server does not answer, or another process rebuilds by now.
        """
        assert self._next is not None
        fresh, self._next = self._next, None
        self._become(fresh, [{"remove": {"index": fresh, "alias": f"{self.alias}-next", "must_exist": True}}])
        self._current = Generation(index=fresh, incomplete=False, wanted=False)

    def ask_for_rebuild(self) -> None:
        """Ask the process that looks after this index to rebuild it.

        :raises SearchUnavailableError: when the server does not answer, or there is no index yet.
        """
        self.look()
        if self._current is None:
            raise SearchUnavailableError("There is no index yet; the first search process makes one.")
        self._tell(self._current.index, incomplete=self._current.incomplete, wanted=True)

    def close(self) -> None:
        """Let go of everything."""
        try:
            self.forget_next()
        except SearchUnavailableError as error:
            _log.warning("index.next_remains", reason=error.detail)  # the next rebuild drops it
        self._line.close()
        self._wire.close()

    def _begin_empty(self) -> None:
        fresh = self._create(incomplete=True)
        self._become(fresh, [])
        self._current = Generation(index=fresh, incomplete=True, wanted=False)

    def _become(self, fresh: str, also: Sequence[object]) -> None:
        """Move the alias to an index in one step.

        The generation before it stays until the next rebuild: who is being answered from it must not see it vanish.
        """
        before = self._wire.call("GET", f"/_alias/{self.alias}", expected={HTTPStatus.NOT_FOUND}) or ()
        actions = [
            {"add": {"index": fresh, "alias": self.alias}},
            *({"remove": {"index": index, "alias": self.alias}} for index in before),
            *also,
        ]
        self._wire.call("POST", "/_aliases", {"actions": actions})
        for index in self._indexes():
            if index != fresh and index not in before:
                self._wire.call("DELETE", f"/{index}", expected={HTTPStatus.NOT_FOUND})

    def _create(self, *, incomplete: bool, alias: str | None = None) -> str:
        """Create a generation of a name that was never used: a process that was taken for dead must not meet ours."""
        used = [int(index.removeprefix(f"{self.alias}-").partition("-")[0]) for index in self._indexes()]
        index = f"{self.alias}-{max(used, default=0) + 1:08}-{secrets.token_hex(4)}"
        body = server_schema.index(incomplete=incomplete) | ({"aliases": {alias: {}}} if alias else {})
        self._wire.call("PUT", f"/{index}", body)
        return index

    def _drop_next(self) -> None:
        left = self._wire.call("GET", f"/_alias/{self.alias}-next", expected={HTTPStatus.NOT_FOUND})
        for index in left or ():
            self._wire.call("DELETE", f"/{index}", expected={HTTPStatus.NOT_FOUND})

    def _indexes(self) -> list[str]:
        named = re.compile(rf"{re.escape(self.alias)}-\d{{8}}-[0-9a-f]{{8}}")
        found = self._wire.call("GET", f"/{self.alias}-*/_alias", expected={HTTPStatus.NOT_FOUND})
        return sorted(index for index in found or () if named.fullmatch(index))

    def _tell(self, index: str, *, incomplete: bool, wanted: bool) -> None:
        meta = server_schema.meta(incomplete=incomplete, wanted=wanted)
        self._wire.call("PUT", f"/{index}/_mapping", {"_meta": meta})
        self.look()
