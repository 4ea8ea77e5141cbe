"""What people ask of a shop while they browse, as a trace: popular events more than others, some of them logged in.

And a client that plays it: plain HTTP/1.1 on connections that are kept, so that it is not what limits the pace.
"""

import asyncio
import gzip
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from urllib.parse import urlencode, urlsplit

ZIPF = 1.1
"""The n-th most popular event is asked for about n to the minus this as often as the first."""
CONNECTIONS = 16
FULL_AT = 256 * 1024
MIX = (
    ("availability", 26), ("file", 24), ("event", 14), ("home", 10), ("search", 9), ("found", 5), ("drawing", 4),
    ("seats", 3), ("event_api", 3), ("suggest", 2),
)  # fmt: skip
"""Kinds of requests and their weights: a page brings its files, an event's page its house again and again."""
CAMPAIGNS = 1 / 10
"""Of those who come to the home page or an event, by a letter or an advertisement, whose marks their address carries."""
WORDS = (
    "bach", "mozart", "beethoven", "mahler", "brahms", "piano", "violin", "symphony", "opera", "jazz", "requiem",
    "choir", "verdi", "wagner", "dvorak", "sibelius", "cello", "organ", "chopin", "schubert",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What there is to look at: events by popularity, and the addresses of files and drawings."""

    events: Sequence[int]
    files: Sequence[str]
    drawings: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. ``person`` none: somebody who is not logged in, ``headers`` are those of the visitor."""

    kind: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    person: int | None = None


@dataclass(slots=True)
class Answer:
    """What came back."""

    ask: Ask
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0


@dataclass(slots=True)
class Person:
    """Somebody who is logged in: words that only their answers may contain, and how they say who they are."""

    marks: tuple[str, ...]
    cookie: str
    token: str
    seen: int = field(default=0)


def browsing(site: Site, rng: Random, *, requests: int) -> list[Ask]:
    """Write a trace of people who are not logged in; a third carries cookies of others' (analytics, consent)."""
    kinds, weights = zip(*MIX, strict=True)
    return [_browse(kind, site, rng) for kind in rng.choices(kinds, weights, k=requests)]


def personal(site: Site, people: Sequence[Person], rng: Random, *, requests: int) -> list[Ask]:
    """Write a trace of people who are logged in: the same addresses as everybody, and their own."""
    asks = []
    for _ in range(requests):
        number = rng.randrange(len(people))
        person = people[number]
        if rng.random() < 0.5:
            path = rng.choice(["/", "/search", f"/events/{popular(site.events, rng)}", "/bookings"])
            headers = (("Cookie", f"seen={rng.randrange(10**6)}; session={person.cookie}"),)
        else:
            path = rng.choice(["/api/v1/users/me", "/api/v1/bookings", f"/api/v1/events/{popular(site.events, rng)}"])
            headers = (("Authorization", f"Bearer {person.token}"),)
        asks.append(Ask(kind="personal", path=path, headers=headers, person=number))
    return asks


def popular(things: Sequence[int], rng: Random) -> int:
    """Choose one by popularity."""
    return rng.choices(things, cum_weights=list(accumulate((n + 1) ** -ZIPF for n in range(len(things)))))[0]


def _browse(kind: str, site: Site, rng: Random) -> Ask:
    event = popular(site.events, rng)
    word = WORDS[popular(range(len(WORDS)), rng)]
    path = {
        "availability": f"/api/v1/events/{event}/availability",
        "file": rng.choice(site.files),
        "event": f"/events/{event}",
        "home": "/",
        "search": f"/search?{urlencode({'q': word})}",
        "found": f"/api/v1/search?{urlencode({'q': word})}",
        "drawing": rng.choice(site.drawings),
        "seats": f"/events/{event}/seats",
        "event_api": f"/api/v1/events/{event}",
        "suggest": f"/api/v1/search/suggest?{urlencode({'q': word[:3]})}",
    }[kind]
    if kind in {"home", "event"} and rng.random() < CAMPAIGNS:
        marks = {"utm_source": "letter", "utm_medium": "email", "utm_campaign": f"of-{rng.randrange(100)}"}
        path = f"{path}?{urlencode(marks if rng.random() < 0.5 else {'gclid': f'Cj0K{rng.getrandbits(64):x}'})}"
    headers = [("Accept-Encoding", rng.choice(["gzip, deflate, br", "gzip, deflate, br, zstd", "identity"]))]
    if rng.random() < 1 / 3:
        headers.append(("Cookie", f"_seen={rng.randrange(10**6)}; consent=yes"))
    return Ask(kind=kind, path=path, headers=tuple(headers))


async def play(url: str, asks: Sequence[Ask], *, per_second: float) -> list[Answer]:
    """Ask in order, at a steady pace or as fast as it goes below it."""
    waiting: asyncio.Queue[Ask] = asyncio.Queue(maxsize=CONNECTIONS)
    answers: list[Answer] = []
    workers = [asyncio.create_task(_work(url, waiting, answers)) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    for number, ask in enumerate(asks):
        ahead = began + number / per_second - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        await waiting.put(ask)
    await waiting.join()
    for worker in workers:
        worker.cancel()
    ended = await asyncio.gather(*workers, return_exceptions=True)
    failed = [one for one in ended if isinstance(one, Exception)]
    if failed:
        raise failed[0]
    return answers


async def _work(url: str, waiting: "asyncio.Queue[Ask]", answers: list[Answer]) -> None:
    place = urlsplit(url)
    secure = None
    if place.scheme == "https":
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    pair = None
    try:
        while True:
            ask = await waiting.get()
            try:
                began = time.monotonic()
                for attempt in (1, 2):
                    if pair is None:
                        pair = await asyncio.open_connection(place.hostname, place.port, ssl=secure, limit=FULL_AT)
                    try:
                        answer = await _ask(*pair, place.netloc, ask)
                    except (OSError, asyncio.IncompleteReadError):  # a kept connection may have been closed meanwhile
                        pair[1].close()
                        pair = None
                        if attempt == 2:
                            raise
                    else:
                        answer.seconds = time.monotonic() - began
                        answers.append(answer)
                        if answer.headers.get("connection") == "close":
                            pair[1].close()
                            pair = None
                        break
            finally:
                waiting.task_done()
    finally:
        if pair is not None:
            pair[1].close()
            with suppress(OSError):
                await pair[1].wait_closed()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, ask: Ask) -> Answer:
    lines = [f"GET {ask.path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in ask.headers), "", ""]
    writer.write("\r\n".join(lines).encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    headers: dict[str, str] = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    elif length := int(headers.get("content-length", "0")):
        body = await reader.readexactly(length)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(ask, status, headers, body)
