"""How much of browsing a proxy with our configuration answers by itself, and that it never gives anybody another's answer.

``boxoffice up`` with the demo, behind Varnish and behind nginx as ``deploy/`` configures them. What reached the shop is
counted on the wire between them (``between.py``), refreshing in the background included.
"""

import asyncio
import re
import secrets
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
from tests.machine.between import Passed, between
from tests.machine.trace import MIX, Answer, Ask, Person, Site, browsing, personal, play
from tests.support import edge
from tests.support.shop import Shop, free_port

KEYS = ("cache_hit_share",)
TITLE = "A CDN's share of browsing"
REQUESTS = 10_000
PERSONAL = 1_000
PEOPLE = 5
PER_SECOND = 400.0
CONCERTS = 12
LEAST_SHARE = 0.95
PROXIES = ("varnish", "nginx")
KEY_IS_OF = "varnish"
"""Whose share is the page's key: the one that `deploy/` calls a stand-in for a CDN and nothing else."""
KEPT = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
SETTLED_S = 1.0
"""A refresh in the background may still be on its way when the last answer is there."""
FILE = re.compile(rb'"(/static/[^"]+)"')
DRAWING = re.compile(rb'(/houses/[^"\s]+/house\.svg)')
SECTION = """\
{cache_requests:,} requests of people who are not logged in, at {cache_per_second:.0f} a second with the others: pages of the shop, events, search, pictures of houses and their files, and the state of
the house, over {cache_concerts} concerts and 20 words of which some are asked for much more often than others (Zipf, 1.1); a third of them with cookies of others, a third by programs that take nothing compressed, a
tenth of those who come to the home page or an event by a letter or an advertisement whose marks their address carries. Between them {cache_personal_requests:,} of {cache_people}
people who are logged in, to the same addresses and their own. The shop is `boxoffice up`; what reaches it is counted on the wire between it and the proxy. What a page asks the shop's own API is not browsing and not counted.

| what | Varnish | nginx |
| --- | ---: | ---: |
| share of browsing that no process of the shop saw | {cache_varnish_share:.1%} | {cache_nginx_share:.1%} |
| requests that reached it, of {cache_requests:,} | {cache_varnish_reached:,} | {cache_nginx_reached:,} |
| private answers given to somebody else | {cache_varnish_leaked} | {cache_nginx_leaked} |

What reached it: the first of each address, as both begin with nothing, and again when what they had was too old, be it while somebody waited or in the background.

{cache_kinds}

The state of a house is kept for one second (nginx counts whole ones, so for up to two) and is most of the rest; a slower pace lowers the share and a crowd raises it. The CDN of a vendor was not tried.
"""
NAMES = {
    "availability": "state of a house", "file": "files", "event": "an event's page", "home": "home page", "search": "search page",
    "found": "search (API)", "drawing": "picture of a house", "seats": "list of seats", "event_api": "event (API)",
    "suggest": "completions (API)",
}  # fmt: skip


@contextmanager
def proxied(name: str, folder: Path, upstream: int) -> Iterator[str]:
    """Run one proxy with its configuration from ``deploy/`` before a port; its address."""
    folder.mkdir()
    start = edge.nginx if name == "nginx" else edge.varnish
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(start(folder, port=port, upstream=upstream), stdout=log, stderr=log)
    url = f"{'https' if name == 'nginx' else 'http'}://127.0.0.1:{port}"
    try:
        edge.wait(url, process, folder / "log")
        yield url
    finally:
        edge.stop(process)


def look_around(shop: Shop) -> Site:
    """See what there is: the events in the order of the list, and what their pages load."""
    with shop.client() as client:
        events = [one["id"] for one in client.get("/events", params={"pageSize": CONCERTS}).json()["events"]]
    files: set[str] = set()
    drawings: set[str] = set()
    for path in ("/", *(f"/events/{event}" for event in events)):
        page = httpx.get(f"{shop.url}{path}", timeout=30, trust_env=False).content
        files |= {found.decode() for found in FILE.findall(page)}
        drawings |= {found.decode() for found in DRAWING.findall(page)}
    assert events, "nothing is on sale"
    assert files, "pages load no files"
    return Site(events=events, files=sorted(files), drawings=sorted(drawings) or sorted(files))


def acquaint(shop: Shop, number: int) -> Person:
    """Register somebody, and log them in both ways: a token for the API, a session for pages."""
    name, password = f"Reader-{secrets.token_hex(6)}", "long-enough-to-browse-1"
    email = f"{name.lower()}@example.org"
    with shop.client() as client:
        client.post("/auth/register", json={"name": name, "email": email, "password": password}).raise_for_status()
        token = client.post("/auth/login", json={"email": email, "password": password}).json()["accessToken"]
    with httpx.Client(base_url=shop.url, timeout=30, trust_env=False, follow_redirects=False) as browser:
        form = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
        assert form is not None, f"no form for person {number}"
        said = {"email": email, "password": password, "csrf": form[1]}
        browser.post("/login", data=said, headers={"Sec-Fetch-Site": "same-origin"})
        cookie = browser.cookies["session"]
        assert browser.get("/bookings").is_success, "the session is none"
    return Person(marks=(name, email), cookie=cookie, token=token)


def reasons(passed: Sequence[Passed], asks: Sequence[Ask]) -> dict[str, Counter[str]]:
    """Count what reached the shop by kind of request: ``first`` of an address, ``again`` because it was too old.

    An address that nobody asked for counts as ``odd``.
    """
    kinds = {ask.path: ask.kind for ask in asks if ask.person is None}
    found: dict[str, Counter[str]] = {kind: Counter() for kind, _ in MIX}
    seen: set[str] = set()
    for one in passed:
        kind = kinds.get(one.path, "odd")
        found.setdefault(kind, Counter())["again" if one.path in seen else "first"] += 1
        seen.add(one.path)
    return found


def leaks(answers: Sequence[Answer], people: Sequence[Person]) -> list[str]:
    """List the answers that hold something of somebody else, or a cookie for somebody who sent no session."""
    found = []
    for answer in answers:
        ask = answer.ask
        others = [person for number, person in enumerate(people) if number != ask.person]
        if any(mark.encode() in answer.body for person in others for mark in person.marks):
            found.append(f"{ask.path} shows somebody else")
        if ask.person is None and "set-cookie" in answer.headers:
            found.append(f"{ask.path} sets a cookie")
        kept = answer.headers.get("x-cache", "").upper() in KEPT
        if kept and (ask.person is not None or "public" not in answer.headers.get("cache-control", "")):
            found.append(f"{ask.path} came from the cache and may not")
    return found


def run(
    say: Callable[[str], None], *, seed: int, requests: int, personal_requests: int, per_second: float, concerts: int
) -> dict[str, object]:
    """Play the same trace behind each proxy; returns the figures."""
    found: dict[str, object] = {
        "cache_requests": requests, "cache_personal_requests": personal_requests, "cache_per_second": per_second,
        "cache_concerts": concerts, "cache_people": PEOPLE,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="boxoffice-caching-") as place:
        folder = Path(place)
        trusted = {"BOXOFFICE_TRUSTED_NETWORKS": "127.0.0.1/32"}
        shop = Shop(folder / "shop", concerts=concerts, environment=trusted).start()
        try:
            site = look_around(shop)
            people = [acquaint(shop, number) for number in range(PEOPLE)]
            for name in PROXIES:
                rng = Random(seed)
                asks = browsing(site, rng, requests=requests)
                for ask in personal(site, people, rng, requests=personal_requests):
                    asks.insert(rng.randrange(len(asks)), ask)
                with between(shop.port) as wire, proxied(name, folder / name, wire.port) as url:
                    answers = asyncio.run(play(url, asks, per_second=per_second))
                    time.sleep(SETTLED_S)
                passed = [one for one in wire.passed if not one.is_somebodys]
                touched = len(passed)
                wrong = leaks(answers, people)
                for kind, counted in reasons(passed, asks).items():
                    found |= {f"cache_{name}_{kind}_{why}": counted[why] for why in ("first", "again")}
                statuses = Counter(answer.status for answer in answers)
                own = sum(
                    any(mark.encode() in answer.body for mark in people[answer.ask.person].marks)
                    for answer in answers
                    if answer.ask.person is not None
                )
                found |= {
                    f"cache_{name}_personal": len(wire.passed) - touched, f"cache_{name}_share": round(1 - touched / requests, 4), f"cache_{name}_reached": touched,
                    f"cache_{name}_leaked": len(wrong), f"cache_{name}_own": own, f"cache_{name}_other_statuses": sum(
                        count for status, count in statuses.items() if status != httpx.codes.OK
                    ),
                }  # fmt: skip
                say(
                    f"{name}: {touched} of {requests} reached the shop, {dict(statuses)}, {wrong[:5] or 'nothing'} leaked"
                )
        finally:
            shop.stop()
    found["cache_hit_share"] = found[f"cache_{KEY_IS_OF}_share"]
    found["private_answers_leaked"] = sum(int(str(found[f"cache_{name}_leaked"])) for name in PROXIES)
    return found


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Play ten thousand requests behind each proxy."""
    return run(
        say, seed=seed, requests=REQUESTS, personal_requests=PERSONAL, per_second=PER_SECOND, concerts=CONCERTS
    )  # fmt: skip


def wrong(found: Mapping[str, object]) -> list[str]:
    """Say what leaked, failed, or reached the shop too often."""
    odd = [f"`{name}` is {found[name]}" for name in ("private_answers_leaked",) if found[name]]
    for name in PROXIES:
        if found[f"cache_{name}_personal"] != found["cache_personal_requests"]:
            odd.append(f"`cache_{name}_personal` is {found[f'cache_{name}_personal']}")
        if found.get(f"cache_{name}_odd_first"):
            odd.append(f"the shop was asked by {name} for what nobody asked for")
        if found[f"cache_{name}_other_statuses"]:
            odd.append(f"`cache_{name}_other_statuses` is {found[f'cache_{name}_other_statuses']}")
        if float(str(found[f"cache_{name}_share"])) < LEAST_SHARE:
            odd.append(f"`cache_{name}_share` is {found[f'cache_{name}_share']}, below {LEAST_SHARE}")
    return odd


def section(found: Mapping[str, object]) -> str:
    """Write the page's section."""
    rows = [
        "| what | of 100 requests | reached by Varnish: first, again | by nginx: first, again |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {NAMES[kind]} | {weight} | {_both(found, 'varnish', kind)} | {_both(found, 'nginx', kind)} |"
            for kind, weight in MIX
        ),
    ]
    return SECTION.format(**found, cache_kinds="\n".join(rows))


def _both(found: Mapping[str, object], name: str, kind: str) -> str:
    return f"{found[f'cache_{name}_{kind}_first']}, {found[f'cache_{name}_{kind}_again']}"
