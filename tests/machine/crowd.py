"""A modest open load: people who browse, hold and give back, and buy, whatever is answered; every call is written down."""

import asyncio
import math
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

PASSWORD = "long-enough-for-the-machine-1"
RATE = 10.0
"""Arrivals a second."""
BROWSE, HOLD = 0.7, 0.9
"""Of a die: below the first somebody browses, below the second somebody holds and gives back, else somebody buys."""
TIMEOUT_S = 20.0
TRIES = 3
"""Of a step of a purchase: what was refused for the moment is asked again under its key, as our own pages do."""
LONGEST_PAUSE_S = 3.0
FOR_THE_MOMENT = frozenset({0, 429, 503})
SEARCHES = ("symphony", "piano", "great", "hall", "con")
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as its caller saw it; status 0: no answer. ``key`` is its idempotency key, if it had one."""

    kind: str
    began: float
    seconds: float
    status: int
    key: str = ""
    degraded: bool = False
    retry_after: bool = False


@dataclass(slots=True, kw_only=True)
class Checkout:
    """One purchase, from its hold to its tickets."""

    began: float
    seat: int
    customer: "Customer"
    booking: str = ""
    payment: str = ""
    tickets: int = 0
    failed_at: str = ""
    ended: float = math.inf


@dataclass(slots=True, kw_only=True)
class Customer:
    """An account and its token."""

    email: str
    user_id: str
    token: str = ""


@dataclass
class Crowd:
    """Everybody, at one gateway; ``events`` are looked at, ``seats`` of the first of them are bought."""

    url: str
    rng: random.Random
    events: Sequence[int]
    seats: deque[int]
    customers: list[Customer]
    rate: float = RATE
    calls: list[Call] = field(default_factory=list)
    checkouts: list[Checkout] = field(default_factory=list)
    under_way: set["asyncio.Task[Any]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.home = self.url  # where the provider sends people back to, whichever gateway they came by
        limits = httpx.Limits(max_connections=300, max_keepalive_connections=40)
        self.client = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False, follow_redirects=False)

    async def arrive(self, over: asyncio.Event) -> None:
        """Let people arrive until it is over."""
        due = time.monotonic()
        while not over.is_set():
            die = self.rng.random()
            visit = self.browse() if die < BROWSE else self.hold() if die < HOLD else self.buy()
            task = asyncio.create_task(visit)
            self.under_way.add(task)
            task.add_done_callback(self.under_way.discard)
            due += self.rng.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def until_gone(self) -> None:
        """Wait until everybody who is here now has gone: a call is written down when it ends."""
        if here := set(self.under_way):
            await asyncio.wait(here)

    async def browse(self) -> None:
        """Look at an event, at the free seats, or search."""
        event = self.rng.choice(self.events)
        kind, path = self.rng.choice(
            [
                ("event", f"/events/{event}"),
                ("search", f"/search?q={self.rng.choice(SEARCHES)}"),
                ("availability", f"/events/{self.events[0]}/availability"),
            ]
        )
        await self.call(kind, "GET", path)

    async def hold(self) -> None:
        """Hold a seat and give it back."""
        customer, seat = self.rng.choice(self.customers), self.seats.popleft()
        status, told = await self.call("hold", "POST", "/bookings/reserve", self._wish(customer, seat), customer)
        if status == httpx.codes.CREATED:
            await self.call("give back", "DELETE", f"/bookings/{told['bookingId']}/hold", None, customer)
        self.seats.append(seat)

    async def buy(self) -> Checkout:
        """Hold, pay at the provider, come back, ask for the tickets."""
        bought = Checkout(began=time.monotonic(), seat=self.seats.popleft(), customer=self.rng.choice(self.customers))
        self.checkouts.append(bought)
        held = await self.step(
            "hold to buy", "POST", "/bookings/reserve", self._wish(bought.customer, bought.seat), bought
        )
        if held is not None:
            bought.booking = held["bookingId"]
            await self.pay(bought)
        return bought

    async def pay(self, bought: Checkout) -> None:
        """Go on from the hold; also when it went wrong before."""
        bought.failed_at = ""
        back = f"{self.home}/bookings"
        body = {"bookingId": bought.booking, "provider": "paypal", "returnUrl": back, "cancelUrl": back}
        paying = await self.step("pay", "POST", "/payments/create", body, bought)
        if paying is None:
            return
        bought.payment = paying["paymentId"]
        approved = await self.provider(paying["approvalUrl"])
        if approved is None:
            bought.failed_at, bought.ended = "approve", time.monotonic()
            return
        await self.call("return", "GET", approved, absolute=True)
        path = f"/bookings/confirm/{bought.booking}"
        done = await self.step("confirm", "PUT", path, {"paymentId": bought.payment}, bought)
        if done is not None:
            bought.tickets, bought.ended = len(done["tickets"]), time.monotonic()

    async def provider(self, page: str | None) -> str | None:
        """Say yes on the provider's page; gives where it sends the buyer."""
        if page is None:
            return None
        try:
            answer = await self.client.post(page, data={"choice": "pay"})
        except httpx.HTTPError:
            return None
        return answer.headers.get("location") if answer.is_redirect else None

    async def step(self, kind: str, method: str, path: str, body: Any, bought: Checkout) -> Answer | None:
        """Do one step of a purchase, again where it was refused for the moment."""
        key = secrets.token_hex(8)
        for attempt in range(TRIES):
            status, told = await self.call(kind, method, path, body, bought.customer, key=key)
            if 200 <= status < 300:
                return told
            if status not in FOR_THE_MOMENT:
                break
            if attempt + 1 < TRIES:
                await asyncio.sleep(min(LONGEST_PAUSE_S, float(told.get("retryAfterSeconds", 1))))
        bought.failed_at, bought.ended = f"{kind} {status} {told.get('code', '')}".strip(), time.monotonic()
        return None

    async def call(
        self, kind: str, method: str, path: str, body: Any = None, customer: Customer | None = None, *, key: str = "",
        absolute: bool = False,
    ) -> tuple[int, Answer]:  # fmt: skip
        """Make one call and write it down: its status (0 for none) and what it told."""
        key = key or (secrets.token_hex(8) if method == "POST" else "")
        headers = {"authorization": f"Bearer {customer.token}"} if customer else {}
        headers |= {"idempotency-key": key} if key else {}
        url = path if absolute else f"{self.url}/api/v1{path}"
        began, status, told, waits = time.monotonic(), 0, Answer(), False
        try:
            answer = await self.client.request(method, url, json=body, headers=headers)
            status, waits = answer.status_code, "retry-after" in answer.headers
            told = answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else {}
        except (httpx.HTTPError, ValueError):
            pass
        self.calls.append(
            Call(
                kind=kind,
                began=began,
                seconds=time.monotonic() - began,
                status=status,
                key=key,
                degraded=bool(told.get("degraded")),
                retry_after=waits,
            )
        )
        return status, told

    def _wish(self, customer: Customer, seat: int) -> Answer:
        return {"userId": customer.user_id, "eventId": self.events[0], "ticketIds": [seat]}

    def during(self, since: float, until: float, *kinds: str) -> list[Call]:
        """Give the calls of some kinds (none: of all) that began in a time."""
        return [one for one in self.calls if since <= one.began < until and (not kinds or one.kind in kinds)]

    def bought(self, since: float, until: float) -> list[Checkout]:
        """Give the purchases that began in a time."""
        return [one for one in self.checkouts if since <= one.began < until]


def broke(call: Call) -> bool:
    """Whether a call was not answered, or by an error of ours."""
    return call.status == 0 or call.status >= httpx.codes.INTERNAL_SERVER_ERROR


def share(part: int, whole: int) -> float:
    """Give a share; of nothing all is well."""
    return part / whole if whole else 1.0


def p99_ms(calls: Iterable[Call]) -> int:
    """Give the time that 99 of 100 calls took at most, in milliseconds."""
    times = sorted(one.seconds for one in calls)
    return round(times[min(len(times) - 1, math.ceil(0.99 * len(times)) - 1)] * 1_000) if times else 0


def statuses(calls: Iterable[Call]) -> str:
    """Say which statuses there were, the most frequent first."""
    return ", ".join(
        f"{count} x {status or 'no answer'}" for status, count in Counter(one.status for one in calls).most_common()
    )
