"""A till on the real simulator, a payer without hands, and steps that can be made to fail, for tests of payments."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.sales import SIGNER, hold, put_on_sale

from boxoffice.kernel.errors import DomainError
from boxoffice.kernel.ids import OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.domain.payment import Payment
from boxoffice.services.sales.providers.paypal import Credentials, PayPal, open_paypal
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.refund_payments import refund_payments
from boxoffice.services.sales.usecases.resolve_payments import resolve_payments
from boxoffice.services.sales.usecases.settle_payment import Settling, settle
from boxoffice.services.sales.usecases.start_payment import Wish, start_payment
from boxoffice.simulators.paypal import launch

PUBLIC_URL = "http://shop.example.org"
WINDOW = timedelta(minutes=10)
READ_TIMEOUT_S = 15.0
"""Longer than a busy machine lets the simulator wait for its turn."""
IMPATIENT_S = 0.4
"""So that a provider that is slow on purpose costs a test little."""
SLOW_S = 0.6
NOW = timedelta(0)
OTHER_MERCHANT = "other-merchant:another-secret-of-nobody"
ROUNDS = 12


@dataclass
class Simulated:
    """The simulator, told what to do."""

    simulator: launch.Simulator
    client: httpx.Client

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(f"/simulator/{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def approve(self, provider_ref: str | None, *, decline: bool = False) -> None:
        """The payer says yes."""
        assert provider_ref is not None
        self.post(f"orders/{provider_ref}/approve", decline=decline)

    def fault(self, kind: str, on: str = "*", **more: Any) -> None:
        self.post("faults", kind=kind, on=on, **more)

    def behave(self) -> None:
        self.client.delete("/simulator/faults").raise_for_status()

    def forget_keys(self) -> None:
        self.post("forget-keys")

    def books(self, order_id: OrderId | str) -> Any:
        return self.client.get("/simulator/books", params={"custom_id": str(order_id)}).json()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launch.Simulator]:
    with launch.running(Path(tmp_path_factory.mktemp("paypal")), other_client=OTHER_MERCHANT) as up:
        yield up


@pytest.fixture
def paypal(simulator: launch.Simulator) -> Iterator[Simulated]:
    with httpx.Client(base_url=simulator.url, timeout=10, trust_env=False) as client:
        simulated = Simulated(simulator, client)
        simulated.behave()
        yield simulated
        simulated.behave()


@asynccontextmanager
async def client_of(
    simulator: launch.Simulator, *, merchant_id: str = "", read_timeout_s: float = READ_TIMEOUT_S
) -> AsyncIterator[PayPal]:
    """Our client, pointed at the simulator."""
    async with open_paypal(
        api_url=simulator.url,
        credentials=Credentials(
            client_id=simulator.client_id, client_secret=simulator.client_secret, merchant_id=merchant_id
        ),
        public_url=PUBLIC_URL,
        webhook_id=simulator.webhook_id,
        webhook_ca_file=str(simulator.ca_file),
        read_timeout_s=read_timeout_s,
    ) as client:
        yield client


@dataclass
class Till:
    """Sells seats of one event and takes the money at the simulator."""

    database: Database
    provider: Any
    paypal: Simulated
    seats: list[SeatId]
    taken: int = 0

    @property
    def settling(self) -> Settling:
        return Settling(database=self.database, providers={"paypal": self.provider}, signer=SIGNER)

    def through(self, database: Any = None, provider: Any = None) -> "Till":
        """The same till, with something in between."""
        return replace(self, database=database or self.database, provider=provider or self.provider)

    async def hold(self, places: int = 2) -> tuple[OrderId, UserId]:
        chosen = self.seats[self.taken : self.taken + places]
        self.taken += places
        assert len(chosen) == places, "the house is too small for this test"
        return await hold(self.database, chosen)

    async def start(self, order_id: OrderId, user_id: UserId, **changes: Any) -> Payment:
        wish = Wish(
            order_id=order_id, user_id=user_id, provider="paypal", return_url=f"{PUBLIC_URL}/back",
            cancel_url=f"{PUBLIC_URL}/cancelled",
        )  # fmt: skip
        started: list[Payment] = []

        def render(payment: Payment) -> Answer:
            started.append(payment)
            return Answer(status=201, body=b"{}")

        await start_payment(
            self.database, {"paypal": self.provider}, replace(wish, **changes), public_url=PUBLIC_URL, window=WINDOW,
            call=None, render=render,
        )  # fmt: skip
        return started[0]

    async def begin(self, places: int = 2) -> Payment:
        """Hold and start to pay."""
        return await self.start(*await self.hold(places))

    async def settle(self, payment_id: PaymentId) -> Payment:
        return await settle(self.settling, payment_id)

    async def bought(self, places: int = 2) -> Payment:
        """Hold, pay, confirm."""
        payment = await self.begin(places)
        self.paypal.approve(payment.provider_ref)
        return await self.settle(payment.payment_id)

    async def read(self, payment_id: PaymentId) -> Payment:
        found = await payments.by_id(self.database, payment_id)
        assert found is not None
        return found

    async def payments_of(self, order_id: OrderId) -> list[tuple[str, int]]:
        rows = await self.database.fetch(
            "SELECT state, attempt FROM payments WHERE order_id = $1 ORDER BY attempt", order_id
        )
        return [(row["state"], row["attempt"]) for row in rows]

    async def order_state(self, order_id: OrderId) -> str:
        return str(await self.database.fetchval("SELECT state FROM orders WHERE order_id = $1", order_id))

    async def seat_states(self, order_id: OrderId) -> list[str]:
        rows = await self.database.fetch(
            "SELECT s.state FROM event_seats s JOIN orders o ON o.event_id = s.event_id AND s.seat_id = ANY (o.seat_ids)"
            " WHERE o.order_id = $1 ORDER BY s.seat_id", order_id,
        )  # fmt: skip
        return [row["state"] for row in rows]

    async def pass_deadline(self, order_id: OrderId) -> None:
        await self.database.fetch(
            "UPDATE orders SET pay_deadline = clock_timestamp() - interval '1 s' WHERE order_id = $1", order_id
        )

    async def resolve(self) -> int:
        return await resolve_payments(self.settling, patience=NOW)

    async def refund(self) -> int:
        return await refund_payments(self.database, {"paypal": self.provider}, patience=NOW)

    async def rest(self, *, deadlines: bool = True) -> None:
        """Let the timers run until nothing is open any more; with ``deadlines``, every payment's time is over."""
        for _ in range(ROUNDS):
            if deadlines:
                await self.database.fetch(
                    "UPDATE orders SET pay_deadline = clock_timestamp() - interval '1 s' WHERE state = 'paying'"
                )
            await self.resolve()
            await self.refund()
            if not await self.open_work():
                return
        pytest.fail(f"still open after {ROUNDS} rounds: {await self.open_work()}")

    async def open_work(self) -> list[Any]:
        return [
            *await self.database.fetch("SELECT * FROM payments WHERE state IN ('created', 'capturing', 'abandoning')"),
            *await self.database.fetch("SELECT * FROM refunds WHERE state = 'requested'"),
        ]

    async def difference(self, order_id: OrderId) -> str | None:
        """Compare one order with the simulator's own books; says what is wrong, none when all is well (I2 to I5)."""
        books = self.paypal.books(order_id)
        kept = books["captured_minor"] - books["refunded_minor"]
        live = await self.database.fetchval(
            "SELECT coalesce(sum(price_minor), 0) FROM tickets WHERE order_id = $1 AND state <> 'void'", order_id
        )
        order, seats = await self.order_state(order_id), set(await self.seat_states(order_id))
        if kept != live:
            return f"the provider keeps {kept}, live tickets are worth {live} ({order})"
        if len(books["captures"]) > 1:
            return "captured twice"
        if order == "paying" or "paying" in seats:
            return f"stuck: {order}, {seats}"
        if order == "confirmed" and live and "sold" not in seats:
            return f"tickets without seats: {seats}"
        return None

    async def check(self, *order_ids: OrderId) -> None:
        for order_id in order_ids:
            assert (wrong := await self.difference(order_id)) is None, f"{order_id}: {wrong}"


@pytest.fixture
async def till(sales_url: str, paypal: Simulated) -> AsyncIterator[Till]:
    async with Database.open(sales_url, size=12) as database, client_of(paypal.simulator) as provider:
        seats = await put_on_sale(database, 600)
        yield Till(database=database, provider=provider, paypal=paypal, seats=seats)


class Crash(BaseException):
    """The process died here."""


@dataclass
class Steps:
    """Counts steps and dies at one of them."""

    die_at: int = 0
    taken: list[str] = field(default_factory=list)

    def take(self, name: str) -> None:
        self.taken.append(name)
        if len(self.taken) == self.die_at:
            raise Crash(name)


class StumblingDatabase:
    """A database whose user dies before, within or after a transaction."""

    def __init__(self, database: Database, steps: Steps) -> None:
        self._database = database
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Any]:
        self._steps.take("before a transaction")
        async with self._database.transaction(**options) as tx:
            yield tx
            self._steps.take("before its commit")
        self._steps.take("after its commit")


class StumblingProvider:
    """A provider whose caller dies before a call left, or before its answer came."""

    def __init__(self, provider: Any, steps: Steps) -> None:
        self._provider = provider
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            self._steps.take(f"before {name}")
            answer = await found(*arguments, **named)
            self._steps.take(f"after {name}")
            return answer

        return call


class Held:
    """A provider whose answer to the first capture is held back until it is let go."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.answered = asyncio.Event()
        self.let_go = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def capture(self, *arguments: Any, **named: Any) -> Any:
        answer = await self._provider.capture(*arguments, **named)
        self.answered.set()
        await self.let_go.wait()
        return answer


async def tolerating(act: Callable[[], Any]) -> Any:
    """Do something that may be refused or stay without answer."""
    try:
        return await act()
    except DomainError as refusal:
        return refusal
