"""How much of browsing a proxy with our configuration answers by itself, and that it never gives anybody another's answer.

``boxoffice up`` with the demo, behind Varnish and behind nginx as ``deploy/`` configures them. What reached the shop is
counted by the shop: its gateway's own metrics, refreshing in the background included.
"""

import asyncio
import re
import secrets
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
from tests.machine.trace import Answer, Person, Site, browsing, personal, play
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
COUNTED = re.compile(
    r'^boxoffice_http_request_seconds_count\{([^}]*service="gateway"[^}]*)\} ([0-9.e+]+)$', re.MULTILINE
)
NOT_OF_PEOPLE = ("/health/live", "/health/ready", "/metrics")
FILE = re.compile(rb'"(/static/[^"]+)"')
DRAWING = re.compile(rb'(/houses/[^"\s]+/house\.svg)')
SECTION = """\
{cache_requests:,} requests of people who are not logged in, at {cache_per_second:.0f} a second: pages of the shop, events, search, pictures of houses and their files, and the state of
the house, over {cache_concerts} concerts of which some are asked for much more often than others (Zipf, 1.1); a third of them with cookies of others. Between them {cache_personal_requests:,} of {cache_people}
people who are logged in, to the same addresses and their own. The shop is `boxoffice up`, and counts what reached it by its own metrics.

| what | Varnish | nginx |
| --- | ---: | ---: |
| share of browsing that no process of the shop saw | {cache_varnish_share:.1%} | {cache_nginx_share:.1%} |
| requests that reached it, of {cache_requests:,} | {cache_varnish_reached:,} | {cache_nginx_reached:,} |
| private answers given to somebody else | {cache_varnish_leaked} | {cache_nginx_leaked} |

The state of a house is kept for one second and pages for five or ten, so a slower pace lowers the share and a crowd raises it. The CDN of a vendor was not tried.
"""


@contextmanager
def proxied(name: str, folder: Path, shop: Shop) -> Iterator[str]:
    """Run one proxy with its configuration from ``deploy/`` before a shop; its address."""
    folder.mkdir()
    start = edge.nginx if name == "nginx" else edge.varnish
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(start(folder, port=port, upstream=shop.port), stdout=log, stderr=log)
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


def reached(shop: Shop) -> int:
    """Count the requests that the shop has seen."""
    text = httpx.get(f"{shop.url}/metrics", timeout=30, trust_env=False).text
    return sum(
        int(float(count))
        for labels, count in COUNTED.findall(text)
        if not any(f'route="{route}"' in labels for route in NOT_OF_PEOPLE)
    )


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
        kept = answer.headers.get("x-cache", "").upper() == "HIT"
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
                with proxied(name, folder / name, shop) as url:
                    before = reached(shop)
                    answers = asyncio.run(play(url, asks, per_second=per_second))
                    touched = reached(shop) - before - personal_requests
                wrong = leaks(answers, people)
                statuses = Counter(answer.status for answer in answers)
                own = sum(
                    any(mark.encode() in answer.body for mark in people[answer.ask.person].marks)
                    for answer in answers
                    if answer.ask.person is not None
                )
                found |= {
                    f"cache_{name}_share": round(1 - touched / requests, 4), f"cache_{name}_reached": touched,
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
        if found[f"cache_{name}_other_statuses"]:
            odd.append(f"`cache_{name}_other_statuses` is {found[f'cache_{name}_other_statuses']}")
        if float(str(found[f"cache_{name}_share"])) < LEAST_SHARE:
            odd.append(f"`cache_{name}_share` is {found[f'cache_{name}_share']}, below {LEAST_SHARE}")
    return odd


def section(found: Mapping[str, object]) -> str:
    """Write the page's section."""
    return SECTION.format(**found)
