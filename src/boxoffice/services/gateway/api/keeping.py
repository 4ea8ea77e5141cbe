"""The last answers of public pages, for when their service does not answer: browsing goes on while a database is away.

A service marks with ``stale-if-error`` (RFC 5861) what may be shown later than it was said, and for how long: events,
venues, seat maps. Free seats, prices of a sale and whatever belongs to somebody are never marked (invariant I12). What
is kept came from a call without a login, so that it is everybody's; it goes out with its ``Age``.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime.telemetry import log
from boxoffice.services.gateway.domain.headers import Header, find

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of all that is kept in one process: about ten thousand events with their programmes."""
MOST_BODY_BYTES: Final = 256 * 1024
PATIENCE_S: Final = 1.0
"""How long a service may think about what we could answer ourselves."""
REST_S: Final = 2.0
"""After a failure we answer for a service at once for so long, and then ask it again."""
FAILED: Final = frozenset({500, 502, 503, 504})
GONE: Final = frozenset({404, 410})
STALE_IF_ERROR: Final = re.compile(rb"(?:^|,)\s*stale-if-error=(\d{1,9})\s*(?:,|$)")
WARNING: Final = (b"warning", b'111 - "Revalidation Failed"')
"""RFC 7234, section 5.5.2; RFC 9111 knows it no more, programs do."""
BRIEFLY: Final = (b"cache-control", b"public, max-age=1")
"""Nobody behind us keeps for long what we could not renew."""
OWN: Final = frozenset({b"cache-control", b"age", b"warning", b"x-request-id", b"date"})
Ask = Callable[[Any], Awaitable[None]]

_log = log(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One answer, when it was heard (by the monotonic clock) and for how many seconds it may be shown."""

    headers: tuple[Header, ...]
    body: bytes
    heard_at: float
    stale_s: int

    def is_usable(self, now: float) -> bool:
        """Whether it may still be shown."""
        return now - self.heard_at <= self.stale_s


class Keeper:
    """Passes calls on, keeps what may be kept, and answers from it when the service does not."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[bytes, Kept] = OrderedDict()
        self._rests_until: dict[str, float] = {}

    async def through(self, service: str, scope: dict[str, Any], ask: Ask, send: Any) -> None:
        """Answer a call by its service (``ask`` with where to send), or by what is kept.

        :raises DomainError: what the service's side refuses with, where nothing is kept.
        """
        if scope["method"] not in {"GET", "HEAD"}:
            await ask(send)
            return
        key = _key(scope)
        kept = self._known(key)
        if kept is not None and time.monotonic() < self._rests_until.get(service, 0.0):
            await _give(kept, send)
            return
        hearing = _Hearing(send, may_withhold=kept is not None)
        try:
            async with asyncio.timeout(PATIENCE_S if kept is not None else None) as limit:
                hearing.limit = limit
                await ask(hearing)
        except (DomainError, TimeoutError) as error:
            if kept is None or hearing.began or not _is_away(error):
                raise
            hearing.withheld = True
        if hearing.withheld and kept is not None:
            _log.warning("gateway.answers_for", upstream=service)
            self._rests_until[service] = time.monotonic() + REST_S
            await _give(kept, send)
        elif hearing.status in GONE:
            self._forget(key)
        elif hearing.heard is not None and find(scope["headers"], b"authorization") is None:
            self._keep(key, hearing.heard)

    def _known(self, key: bytes) -> Kept | None:
        kept = self._answers.get(key)
        if kept is None:
            return None
        if not kept.is_usable(time.monotonic()):
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return kept

    def _keep(self, key: bytes, answer: Kept) -> None:
        self._forget(key)
        self._answers[key] = answer
        self._bytes += len(answer.body)
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: bytes) -> None:
        if (gone := self._answers.pop(key, None)) is not None:
            self._bytes -= len(gone.body)


class _Hearing:
    """Passes an answer on and listens; a failure is withheld where there is something else to say."""

    def __init__(self, send: Any, *, may_withhold: bool) -> None:
        self._send = send
        self._may_withhold = may_withhold
        self.limit: asyncio.Timeout | None = None
        self.began = False
        self.withheld = False
        self.status = 0
        self.heard: Kept | None = None
        self._headers: tuple[Header, ...] = ()
        self._stale_s = 0
        self._pieces: list[bytes] = []
        self._size = 0

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            if self.limit is not None:
                self.limit.reschedule(None)
            self.status = message["status"]
            self.withheld = self._may_withhold and self.status in FAILED
            self._stale_s = _stale_s(message) if not self.withheld else 0
            self._headers = tuple(message["headers"])
        elif self._stale_s:
            self._listen(message)
        if not self.withheld:
            self.began = True
            await self._send(message)

    def _listen(self, message: dict[str, Any]) -> None:
        piece = message.get("body", b"")
        self._size += len(piece)
        if self._size > MOST_BODY_BYTES:
            self._stale_s, self._pieces = 0, []
            return
        self._pieces.append(piece)
        if not message.get("more_body", False):
            headers = tuple(header for header in self._headers if header[0].lower() not in OWN)
            self.heard = Kept(
                headers=headers, body=b"".join(self._pieces), heard_at=time.monotonic(), stale_s=self._stale_s
            )


def _key(scope: dict[str, Any]) -> bytes:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path.partition(b"?")[0] + b"?" + bytes(scope["query_string"])


def _stale_s(message: dict[str, Any]) -> int:
    """For how many seconds an answer may be shown later; 0 for what is not kept at all."""
    headers = message["headers"]
    if message["status"] != 200 or find(headers, b"set-cookie") or find(headers, b"content-encoding"):  # noqa: PLR2004 - OK
        return 0
    allowed = STALE_IF_ERROR.search(find(headers, b"cache-control") or b"")
    return int(allowed[1]) if allowed else 0


def _is_away(error: Exception) -> bool:
    return not isinstance(error, DomainError) or error.category is Category.UNAVAILABLE


async def _give(kept: Kept, send: Any) -> None:
    age = int(time.monotonic() - kept.heard_at)
    headers = [*kept.headers, BRIEFLY, WARNING, (b"age", str(age).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body})
