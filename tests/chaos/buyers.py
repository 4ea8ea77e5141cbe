"""The crowd: open-loop arrivals that browse, hold, pay, confirm, cancel, and do the odd things that people do.

Every step is in the history as the client saw it. A call that was not answered is tried again under its key; what was
refused after such a call counts as unknown, for the lost one may still be carried out.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.support.checkers.history import Log, seconds_until

PASSWORD = "long-enough-for-a-town-1"
TRIES = 5
PAUSE_S = 0.7
TIMEOUT_S = 6.0
LOGIN_AGAIN_S = 150.0
PAY_S = 60.0
"""BOXOFFICE_PAYMENT_MINUTES of the town: the seats are a payer's for at least so long."""
VOIDED_WITHIN_S = 150.0
PATIENCE_S = 25.0
SAFE_TO_ASK_AGAIN = {401, 402, 408, 425, 429}
Answer = dict[str, Any]


@dataclass
class Customer:
    """One account and its login."""

    email: str
    user_id: str
    token: str = ""
    logged_in_at: float = -1e9


@dataclass
class Crowd:
    """Everybody, at one address."""

    url: str
    rng: random.Random
    log: Log
    event: int = 0
    seats: list[int] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    by_second: dict[int, Counter[str]] = field(default_factory=dict)
    redirects: dict[str, float] = field(default_factory=dict)
    webhook_first: int = 0
    races: set[str] = field(default_factory=set)
    approved_after_void: set[str] = field(default_factory=set)
    confirmed: dict[str, tuple[Customer, float]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    ending: bool = False
    checkouts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=60)
        self.client = httpx.AsyncClient(timeout=TIMEOUT_S, limits=limits, trust_env=False, follow_redirects=False)

    def count(self, what: str) -> None:
        """Count an outcome in its second."""
        self.outcomes[what] += 1
        self.by_second.setdefault(int(time.monotonic() - self.began), Counter())[what] += 1

    async def open_accounts(self, number: int) -> None:
        """Register customers."""
        for _ in range(number):
            name = f"buyer-{secrets.token_hex(5)}"
            body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD}
            answer = await self.client.post(f"{self.url}/api/v1/auth/register", json=body, timeout=30)
            answer.raise_for_status()
            self.customers.append(Customer(body["email"], answer.json()["id"]))

    async def login(self, customer: Customer) -> None:
        """Log in when the token is old; a failure leaves the old one."""
        if time.monotonic() - customer.logged_in_at < LOGIN_AGAIN_S:
            return
        customer.logged_in_at = time.monotonic()  # so that one of several tasks does it
        try:
            answer = await self.client.post(
                f"{self.url}/api/v1/auth/login", json={"email": customer.email, "password": PASSWORD}
            )
            customer.token = answer.json()["accessToken"]
        except (httpx.HTTPError, KeyError, ValueError):
            customer.logged_in_at = -1e9

    async def browse(self) -> None:
        """Look at the house, the event or the list."""
        path = self.rng.choice([f"/events/{self.event}/availability", f"/events/{self.event}", "/search?q=town"])
        try:
            answer = await self.client.get(f"{self.url}/api/v1{path}")
            self.count("browse ok" if answer.status_code < 500 else "browse 5xx")
        except httpx.HTTPError:
            self.count("browse unanswered")

    async def do(
        self, customer: Customer, f: str, value: Answer, request: tuple[str, str, Any],
        read: Callable[[Any], Answer] = lambda _: {},
    ) -> Answer | None:  # fmt: skip
        """Do one operation of the history until it is answered, or given up; returns what was read of a yes."""
        method, path, body = request
        key = secrets.token_hex(8)
        sent = self.log.invoke(customer.email.partition("@")[0], f, value, key=key)
        unsure = False
        for attempt in range(TRIES):
            await self.login(customer)
            headers = {"authorization": f"Bearer {customer.token}", "idempotency-key": key}
            try:
                answer = await self.client.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)
                status = answer.status_code
                found = answer.json() if answer.content else {}
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
                status, found = 0, {}
            except (httpx.HTTPError, ValueError):
                status, found, unsure = 0, {}, True
            if 200 <= status < 300:
                told = read(found)
                self.log.answer(sent, "ok", **told)
                self.count(f"{f} ok")
                return {**value, **told}
            self.codes[f"{f} {status} {found.get('code', '')}"] += 1
            if status == 401:
                customer.logged_in_at = -1e9
            if 400 <= status < 500 and status not in SAFE_TO_ASK_AGAIN:
                self.log.answer(sent, "info" if unsure else "fail", code=found.get("code"))
                self.count(f"{f} refused")
                return None
            unsure = unsure or status >= 500
            await asyncio.sleep(PAUSE_S * (1 + attempt))
        self.log.answer(sent, "info")
        self.count(f"{f} unknown")
        return None

    async def visit(self) -> None:
        """One buyer's visit, from the seats to whatever end the dice choose."""
        customer = self.rng.choice(self.customers)
        plan = self.rng.choices(
            ["lapse", "give back", "redirect first", "webhook first", "race", "late", "declined"],
            [24, 8, 22, 22, 10, 9, 5],
        )[0]
        seats = sorted(self.rng.sample(self.seats, self.rng.choice((1, 1, 2))))
        dice = random.Random(self.rng.random())
        began = time.monotonic()
        held = await self.do(
            customer, "reserve", {"seats": seats},
            ("POST", "/bookings/reserve", {"userId": customer.user_id, "eventId": self.event, "ticketIds": seats}),
            lambda told: {"booking": told["bookingId"], "hold_s": seconds_until(told["expiresAt"], began)},
        )  # fmt: skip
        if held is None or plan == "lapse":
            return
        booking = held["booking"]
        if plan == "give back":
            await asyncio.sleep(dice.uniform(0, 7))
            await self.do(customer, "release", {"booking": booking}, ("DELETE", f"/bookings/{booking}/hold", None))
            return
        back = f"{self.url}/bookings"
        pay_s = PAY_S if plan in {"redirect first", "webhook first", "late"} else 0.0
        paying = await self.do(
            customer, "pay", {"booking": booking, "pay_s": pay_s},
            ("POST", "/payments/create",
             {"bookingId": booking, "provider": "paypal", "returnUrl": back, "cancelUrl": back}),
            lambda told: {"payment": told["paymentId"], "approve_at": told["approvalUrl"]},
        )  # fmt: skip
        if paying is None or paying["approve_at"] is None:
            return
        await self.pay(customer, plan, paying, dice)

    async def pay(self, customer: Customer, plan: str, paying: Answer, dice: random.Random) -> None:
        """Go to the provider's page, and come back in one way or another."""
        booking, payment = paying["booking"], paying["payment"]
        if plan == "late" and not await self.until_payment(customer, payment, {"VOIDED"}, VOIDED_WITHIN_S):
            return
        if plan == "race":
            self.races.add(payment)
            turned = await self.at_provider(paying["approve_at"], {"choice": "cancel"})
            await asyncio.gather(
                self.approve(customer, paying), self.follow(turned, delay=dice.uniform(0.0, 0.08)),
            )  # fmt: skip
        else:
            card = {"card": "declined"} if plan == "declined" else {}
            back = await self.approve(customer, paying, **card)
            if plan == "late":
                if back:
                    self.approved_after_void.add(payment)
                await self.follow(back)
                return
            if plan == "webhook first":
                if await self.until_payment(customer, payment, {"CAPTURED"}, PATIENCE_S):
                    self.webhook_first += 1
                await self.follow(back)
            else:
                token = (back or "").partition("token=")[2].partition("&")[0]
                if await self.follow(back) and token:
                    self.redirects[token] = time.time()
        await self.confirm(customer, booking, payment, dice)

    async def confirm(self, customer: Customer, booking: str, payment: str, dice: random.Random) -> None:
        """Ask for the tickets, and most of the time give them back later so that the house stays interesting."""
        done = await self.do(
            customer, "confirm", {"booking": booking},
            ("PUT", f"/bookings/confirm/{booking}", {"paymentId": payment}),
            lambda told: {"tickets": [ticket["issuedTicketId"] for ticket in told["tickets"]]},
        )  # fmt: skip
        if done is None:
            return
        self.confirmed[booking] = (customer, time.monotonic())
        if dice.random() < 0.8:
            await asyncio.sleep(dice.uniform(1, 15))
            await self.cancel(booking)

    async def cancel(self, booking: str) -> None:
        """Give all tickets of a booking back."""
        customer, _ = self.confirmed.pop(booking)
        await self.do(customer, "cancel", {"booking": booking}, ("POST", f"/bookings/{booking}/cancel", {}))

    async def approve(self, customer: Customer, paying: Answer, **form: str) -> str | None:
        """Say yes at the provider; returns where it sends the buyer back to."""
        sent = self.log.invoke(customer.email.partition("@")[0], "approve", {"booking": paying["booking"]})
        back = await self.at_provider(paying["approve_at"], {"choice": "pay", **form})
        self.log.answer(sent, "ok" if back else "info")
        return back

    async def at_provider(self, page: str, form: dict[str, str]) -> str | None:
        """Press a button on the provider's page."""
        for attempt in range(TRIES):
            try:
                answer = await self.client.post(page, data=form)
                if answer.status_code == 303:
                    return str(answer.headers["location"])
            except httpx.HTTPError:
                pass
            await asyncio.sleep(PAUSE_S * (1 + attempt))
        return None

    async def follow(self, address: str | None, *, delay: float = 0.0) -> bool:
        """Come back to the shop."""
        await asyncio.sleep(delay)
        if address is None:
            return False
        try:
            return (await self.client.get(address)).status_code == 303
        except httpx.HTTPError:
            return False

    async def until_payment(self, customer: Customer, payment: str, states: set[str], seconds: float) -> bool:
        """Look at a payment until it is in one of the states, or has ended otherwise."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            await self.login(customer)
            try:
                answer = await self.client.get(
                    f"{self.url}/api/v1/payments/{payment}", headers={"authorization": f"Bearer {customer.token}"}
                )
                status = answer.json().get("status")
                if status in states:
                    return True
                if status in {"CAPTURED", "VOIDED", "FAILED"}:
                    return False
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(2.0 if seconds > PATIENCE_S else 0.4)
        return False
