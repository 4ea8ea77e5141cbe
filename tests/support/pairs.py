"""The eight transactions of the sale, the states that they may meet, and how two of them are judged together."""

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID, uuid4

from tests.support.audit import assert_clean
from tests.support.sales import SIGNER, hold, put_on_sale, run_out, start_payment
from tests.support.stepping import BEGUN, COMMIT, INSIDE, LOCKED, START, Act, Controller, merges

from boxoffice.kernel.ids import EventId, OrderId, PaymentId, SeatId, UserId
from boxoffice.runtime.database import Database
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.domain.payment import (
    CaptureOutcome,
    Payment,
    PaymentNotFoundError,
    ProviderOrder,
    ProviderOrderState,
    ProviderSilentError,
    Unknown,
)
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.abandon_payment import EXPIRED, abandon
from boxoffice.services.sales.usecases.cancel_order import Canceller, cancel_order
from boxoffice.services.sales.usecases.confirm_order import confirm
from boxoffice.services.sales.usecases.expire_holds import expire_holds
from boxoffice.services.sales.usecases.place_hold import Wish as Hold
from boxoffice.services.sales.usecases.place_hold import place_hold
from boxoffice.services.sales.usecases.release_order import release_voided
from boxoffice.services.sales.usecases.settle_payment import Settling, settle
from boxoffice.services.sales.usecases.start_payment import Wish as Pay
from boxoffice.services.sales.usecases.start_payment import start_payment as start_paying

SHOP = "http://shop.example.org"
WINDOW = timedelta(minutes=10)
HOUSE = 3
"""Seats 0 and 1 are the order's, 1 and 2 the rival's: they want one seat together."""
OUT = Path(__file__).parents[2] / "artifacts" / "pairs"


@dataclass(frozen=True)
class Scene:
    """One event of its own, with an order in some state (or none), and a rival."""

    database: Database
    event_id: EventId
    seats: list[SeatId]
    owner: UserId
    rival: UserId
    order_id: OrderId


@dataclass(frozen=True)
class Transaction:
    """One of the eight: what runs it, and where it can be stopped."""

    act: Callable[[Any, Scene, int], Awaitable[object]]
    stops: frozenset[str]
    gives_way: bool = False
    """Whether it skips what another has locked (SKIP LOCKED), and so may find less than it would alone."""


class Provider:
    """A provider in its worst mood: what it was asked is done or not, and it does not say."""

    name = "paypal"
    payee = ""

    def __init__(self, payment: Payment | None = None) -> None:
        self._payment = payment
        self.may_have_captured = False

    async def create(self, _payment: object) -> NoReturn:
        raise ProviderSilentError("no answer")

    async def void(self, _ref: str) -> NoReturn:
        raise ProviderSilentError("no answer")

    async def capture(self, _ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        self.may_have_captured = True
        return Unknown(reason=f"no answer for {payment_id}")

    async def get(self, provider_ref: str) -> ProviderOrder:
        assert self._payment is not None
        return ProviderOrder(
            provider_ref=provider_ref, state=ProviderOrderState.APPROVED, total=self._payment.total,
            order_reference=str(self._payment.order_id), payment_reference=str(self._payment.payment_id),
        )  # fmt: skip


async def payment_of(database: Any, scene: Scene) -> PaymentId:
    found = await database.fetchval(
        "SELECT payment_id FROM payments WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1", scene.order_id
    )
    if found is None:
        raise PaymentNotFoundError("There is none yet.")
    return PaymentId(found)


async def reserve(database: Any, scene: Scene, number: int) -> None:
    """R: the rival wants one seat of the order's and another; a second rival wants the order's two."""
    wanted = scene.seats[1:3] if number == 0 or scene.order_id.int else scene.seats[0:2]
    user = scene.rival if number == 0 else UserId(uuid4())
    await place_hold(database, Hold(user_id=user, event_id=scene.event_id, seat_ids=tuple(wanted)))


async def reserve_again(database: Any, scene: Scene, number: int) -> None:
    """R twice by one customer, whose limit allows one of the two; the seats are different ones."""
    wanted = scene.seats[0:2] if number == 0 else scene.seats[2:4]
    await place_hold(database, Hold(user_id=scene.rival, event_id=scene.event_id, seat_ids=tuple(wanted)))


async def start(database: Any, scene: Scene, _number: int) -> None:
    """P: the payment's record is written; the provider's silence comes afterwards."""
    wish = Pay(
        order_id=scene.order_id, user_id=scene.owner, provider="paypal", return_url=f"{SHOP}/back",
        cancel_url=f"{SHOP}/no",
    )  # fmt: skip
    try:
        await start_paying(
            database, {"paypal": Provider()}, wish, public_url=SHOP, window=WINDOW, call=None,
            render=lambda _payment: Answer(status=201, body=b"{}"),
        )  # fmt: skip
    except ProviderSilentError:
        return


async def claim(database: Any, scene: Scene, _number: int) -> bool:
    """C1: the provider says approved, the payment is claimed; the capture's answer is lost. Tells whether it was asked."""
    payment_id = await payment_of(database, scene)
    provider = Provider(await payments.by_id(database, payment_id))
    till = Settling(database=database, providers={"paypal": provider}, signer=SIGNER)
    with contextlib.suppress(ProviderSilentError):
        await settle(till, payment_id)
    return provider.may_have_captured


async def confirm_captured(database: Any, scene: Scene, _number: int) -> None:
    """C2: the provider captured."""
    payment_id = await payment_of(database, scene)
    async with database.transaction() as tx:
        await confirm(tx, order_id=scene.order_id, payment_id=payment_id, capture_ref=f"C-{payment_id}", signer=SIGNER)


async def give_up(database: Any, scene: Scene, _number: int) -> bool:
    """D: the deadline has passed; the provider is silent, so that nothing follows."""
    payment_id = await payment_of(database, scene)
    return await abandon(database, {"paypal": Provider()}, payment_id, because=EXPIRED)


async def release(database: Any, scene: Scene, _number: int) -> str:
    """F: the provider can no longer capture; the seats are free."""
    payment_id = await payment_of(database, scene)
    async with database.transaction() as tx:
        return (await release_voided(tx, order_id=scene.order_id, payment_id=payment_id)).value


async def cancel(database: Any, scene: Scene, _number: int) -> int:
    """X: the owner cancels every ticket."""
    async with database.transaction() as tx:
        done = await cancel_order(tx, order_id=scene.order_id, by=Canceller(user_id=scene.owner))
    return len(done.tickets)


async def sweep(database: Any, _scene: Scene, _number: int) -> None:
    await expire_holds(database)


TRANSACTIONS: dict[str, Transaction] = {
    "R": Transaction(reserve, frozenset({START, INSIDE, COMMIT}), gives_way=True),
    "P": Transaction(start, frozenset({START, LOCKED, COMMIT})),
    "C1": Transaction(claim, frozenset({START, BEGUN, COMMIT})),
    "C2": Transaction(confirm_captured, frozenset({START, LOCKED, COMMIT})),
    "D": Transaction(give_up, frozenset({START, COMMIT})),
    "F": Transaction(release, frozenset({START, LOCKED, COMMIT})),
    "X": Transaction(cancel, frozenset({START, LOCKED, COMMIT})),
    "sweep": Transaction(sweep, frozenset({START, INSIDE, COMMIT}), gives_way=True),
}
AGAIN = Transaction(reserve_again, frozenset({START, INSIDE, COMMIT}), gives_way=True)

PAID = {
    "created": "created", "overdue": "created", "capturing": "capturing", "abandoning": "abandoning",
    "confirmed": "capturing",
}  # fmt: skip
"""States of the order with a payment, and the payment's."""

HOME = {
    "R": ("expired",), "P": ("held",), "C1": ("created", "overdue"), "C2": ("capturing",), "D": ("overdue",),
    "F": ("abandoning",), "X": ("confirmed",), "sweep": ("expired",),
}  # fmt: skip
"""The states of the order in which each has something to do."""


def states_of(first: str, second: str) -> list[str]:
    """In which states a pair is run: wherever one of the two has something to do."""
    found = dict.fromkeys((*HOME[first], *HOME[second]))
    return [*found, "free"] if {first, second} == {"R"} else [*found]


async def set_up(database: Database, event_id: int, state: str, *, places: int = HOUSE, limit: int = 8) -> Scene:
    """Make an event with an order of two seats in that state."""
    event = EventId(event_id)
    seats = await put_on_sale(database, places, event_id=event_id, limit_per_customer=limit)
    owner, order_id = UserId(uuid4()), OrderId(UUID(int=0))
    if state != "free":
        order_id, _ = await hold(database, seats[:2], owner, event)
    if state == "expired":
        await run_out(database, order_id)
    elif state in PAID:
        payment_id = await start_payment(database, order_id, PAID[state])
        if state == "confirmed":
            async with database.transaction() as tx:
                await confirm(
                    tx, order_id=order_id, payment_id=payment_id, capture_ref=f"C-{payment_id}", signer=SIGNER
                )
    if state in {"overdue", "abandoning"}:
        await database.fetch(
            "UPDATE orders SET pay_deadline = clock_timestamp() - interval '1 s' WHERE order_id = $1", order_id
        )
    return Scene(database, event, seats, owner, UserId(uuid4()), order_id)


@dataclass(frozen=True)
class Outcome:
    """What both said, and everything of the event that matters afterwards."""

    said: tuple[object, object]
    left: tuple[object, ...]


LEFT = {
    "orders": "SELECT user_id, state, released_because, version, seat_ids FROM orders WHERE event_id = $1",
    "seats": "SELECT seat_id, state, (SELECT user_id FROM orders o WHERE o.order_id = s.order_id) AS user_id"
    " FROM event_seats s WHERE event_id = $1",
    "payments": "SELECT attempt, p.state, captured_minor, refunded_minor FROM payments p JOIN orders USING (order_id)"
    " WHERE event_id = $1",
    "tickets": "SELECT user_id, seat_id, state FROM tickets WHERE event_id = $1",
    "refunds": "SELECT seat_id, refund_minor, r.state FROM refunds r JOIN tickets USING (ticket_id)"
    " WHERE event_id = $1",
    "limits": "SELECT user_id, n FROM customer_limits WHERE event_id = $1 AND n <> 0",
    "ledger": "SELECT account, sum(value_minor)::bigint AS sum FROM ledger_entries JOIN orders USING (order_id)"
    " WHERE event_id = $1 GROUP BY account",
    "told": "SELECT type, m.version, user_id FROM outbox m JOIN orders o ON m.key = o.order_id::text"
    " WHERE event_id = $1",
}
"""All that two runs of the same pair can be compared by: no ids, no instants."""


async def left_over(scene: Scene) -> tuple[object, ...]:
    """Read what is left of a scene, with names instead of ids."""
    names = {scene.owner: "owner", scene.rival: "rival"}
    found: list[object] = []
    for what, query in LEFT.items():
        records = await scene.database.fetch(query, scene.event_id)
        told = []
        for record in records:
            values = [names.get(value, "another") if isinstance(value, UUID) else _small(value) for value in record]
            told.append(tuple(str(value) for value in values))
        found.append((what, tuple(sorted(told))))
    return tuple(found)


def _small(value: object) -> object:
    if isinstance(value, list):
        return [_small(one) for one in value]
    return value & 0xFFFFF if isinstance(value, int) and value >> 20 else value


@dataclass
class Judge:
    """Runs one pair in one state in every order of its steps, and compares with one after the other."""

    controller: Controller
    first: Transaction
    second: Transaction
    state: str
    events: Iterator[int]
    places: int = HOUSE
    limit: int = 8
    runs: int = 0
    stops: int = 0

    async def run(self, order: Sequence[int], *, only: int | None = None) -> Outcome:
        """Run both in this order of steps, or only one of them."""
        database = self.controller.database
        scene = await set_up(database, next(self.events), self.state, places=self.places, limit=self.limit)
        chosen = [(0, self.first), (1, self.second)] if only is None else [(only, (self.first, self.second)[only])]
        acts = [(_act(one, scene, number), one.stops) for number, one in chosen]
        sessions = await self.controller.run(acts, order)
        self.runs += 1
        self.stops += sum(len(session.passed) for session in sessions)
        said = [session.result for session in sessions]
        outcome = Outcome((said[0], said[-1]), await left_over(scene))
        await expire_holds(database)
        await assert_clean(database)
        return outcome

    async def allowed(self) -> list[Outcome]:
        """What may come of the pair: what comes of one after the other; or of one alone where the other gave way."""
        one_by_one = [await self.run((0,) * STEPS), await self.run((1,) * STEPS)]
        found = [*one_by_one]
        for number, transaction in enumerate((self.first, self.second)):
            if transaction.gives_way:
                alone = await self.run((0,) * STEPS, only=1 - number)
                for said in GAVE_WAY:
                    pair = (said, alone.said[0]) if number == 0 else (alone.said[0], said)
                    found.append(Outcome(pair, alone.left))
        return found

    async def violations(self) -> list[str]:
        """Every interleaving in which the first begins, and what is wrong with its outcome."""
        allowed = await self.allowed()
        wrong: list[str] = []
        for order in merges(len(self.first.stops), len(self.second.stops)):
            outcome = await self.run(order)
            if outcome not in allowed:
                wrong.append(f"{self.state} {order}: {outcome}, but one after the other: {allowed[:2]}")
        return wrong


STEPS = 8
"""More than any of the eight has."""
GAVE_WAY = ("sales.seats_taken", "done")
"""What R and the sweeper say when another had locked what they wanted."""


def _act(transaction: Transaction, scene: Scene, number: int) -> Act:
    async def act(database: Any) -> object:
        return await transaction.act(database, scene, number)

    return act


def note(first: str, second: str, *, interleavings: int, stops: int, violations: int) -> None:
    """Keep the figures of one pair, and sum up those of all; `make evidence` reads the sum."""
    figures = {"interleavings": interleavings, "stops": stops, "violations": violations}
    OUT.mkdir(parents=True, exist_ok=True)
    _write(OUT / f"{first}-{second}.json", figures)
    files = [OUT / f"{one}-{two}.json" for one in HOME for two in HOME]
    pairs = [json.loads(file.read_text()) for file in files if file.exists()]
    summed = {name: sum(pair[name] for pair in pairs) for name in figures}
    ran_at = datetime.now(UTC).isoformat(timespec="seconds")
    whole = {"pairs": len(pairs), "transaction_pairs": len(pairs), **summed, "seed": 0, "ran_at": ran_at}
    _write(OUT.parent / "pairs.json", whole)


def _write(file: Path, figures: dict[str, Any]) -> None:
    """Write whole or not at all: another worker may be reading."""
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(figures, indent=1) + "\n")
    part.replace(file)
