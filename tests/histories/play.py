"""Play a history three times, step by step, and compare."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from tests.histories import afterwards
from tests.histories.house import CLUB, FIELD
from tests.histories.left import differences, left_in, left_of
from tests.histories.model import Label, Request, Said, Sale
from tests.histories.orders import in_some_order
from tests.histories.steps import (
    Again,
    Ask,
    Cancel,
    Confirm,
    Extend,
    Halt,
    History,
    Pass,
    Pay,
    Release,
    Rules,
    Step,
    Together,
)
from tests.histories.watching import watching
from tests.histories.worlds import Afterwards, GatheredWorld, PlainWorld, opened
from tests.support.audit import assert_clean

from boxoffice.services.sales.usecases.gather_confirmations import ConfirmDesk
from boxoffice.services.sales.usecases.gather_holds import HoldDesk


class DisagreementError(AssertionError):
    """The three do not say the same."""


@dataclass
class Stage:
    """The two databases, and what was seen in all histories that were played on them."""

    gathered: GatheredWorld
    plain: PlainWorld
    seen: Counter[str]

    async def play(self, history: History, rules: Rules) -> None:
        """Play one history from the beginning.

        :raises DisagreementError: when the three do not agree.
        """
        for world in (self.gathered, self.plain):
            await world.begin(rules)
        play = Play(self, Sale(rules))
        for number, step in enumerate(step for part in history for step in part):
            await play.step(number, step)
        await play.end()
        self.seen["histories"] += 1


@asynccontextmanager
async def on_stage(gathered_url: str, plain_url: str) -> AsyncIterator[Stage]:
    """Set up both databases (fresh ones) and the desks."""
    seen: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        stack.enter_context(watching(seen))
        gathered = GatheredWorld(await stack.enter_async_context(opened(gathered_url)))
        plain = PlainWorld(await stack.enter_async_context(opened(plain_url)))
        gathered.is_quick = True
        gathered.desk = await stack.enter_async_context(HoldDesk.open(gathered.database))
        gathered.confirmations = await stack.enter_async_context(ConfirmDesk.open(gathered.till))
        yield Stage(gathered, plain, seen)


@dataclass
class Play:
    """One history being played. ``keyed`` are the requests that came with a key, and may come again."""

    stage: Stage
    sale: Sale
    keyed: list[Request] = field(default_factory=list)

    async def step(self, number: int, step: Step) -> None:
        match step:
            case Together():
                await self._hold(number, step)
            case Confirm():
                await self._confirm(step)
            case Pass():
                await self._pass(step)
            case Halt():
                await self._halt(step)
            case Release() | Extend() | Pay() | Cancel():
                await self._act(step)
            case _:
                assert_never(step)

    async def end(self) -> None:
        """Sweep, and compare all that is left."""
        stage = self.stage
        await self._sweep()
        ours = left_of(self.sale)
        for name, world in (("gathered", stage.gathered), ("plain", stage.plain)):
            if wrong := differences(ours, await left_in(world)):
                raise DisagreementError(f"left by the model (-) and the {name} way (+):\n  " + "\n  ".join(wrong))
            await assert_clean(world.database)

    async def _hold(self, number: int, step: Together) -> None:
        stage = self.stage
        requests = self._arriving(number, step)
        if any(request.ask.event == FIELD and request.ask.level is None for request in requests):
            await self._sweep()
        heard, told = await stage.gathered.hold(requests)
        found = in_some_order(self.sale, requests, heard, told)
        if found is None:
            raise DisagreementError(self._no_order(requests, heard, told))
        order, after = found
        for at in order:
            plainly = await stage.plain.hold(requests[at])
            if plainly != heard[at]:
                raise DisagreementError(f"{requests[at]}\n  gathered: {heard[at]}\n  plain:    {plainly}")
        made = [requests[at].label for at in order if requests[at].label in after.orders]
        stage.seen["decided in the outbox's order" if made == told else "decided in another order"] += len(made) > 1
        for request, answer in zip(requests, heard, strict=True):
            stage.seen[answer.code] += 1
            stage.seen["replayed"] += answer.code == "held" and dict(answer.told)["order"] != request.label
        stage.seen["seats taken over"] += sum(
            seat.order is not None and after.seats[at].order not in (None, seat.order)
            for at, seat in self.sale.seats.items()
        )
        self.sale = after
        if any(request.ask.event == FIELD for request in requests):
            await self._sweep()

    def _arriving(self, number: int, step: Together) -> list[Request]:
        """The requests of a step; for seats of one event only those of one desk."""
        found: list[Request] = []
        desks: dict[int, bool] = {}
        for at, ask in enumerate(step.asks):
            request = self._repeated((number, at), ask) if isinstance(ask, Again) else self._new((number, at), ask)
            if request is None:
                continue
            names = request.ask.places is not None
            if desks.setdefault(request.ask.event, names) == names:
                found.append(request)
                self.keyed += [request] if request.key == _key(request.label) else []
        return found

    def _new(self, label: Label, ask: Ask) -> Request:
        return Request(label, ask, _key(label) if ask.key else None, repr(ask))

    def _repeated(self, label: Label, again: Again) -> Request | None:
        if not self.keyed:
            return None
        earlier = self.keyed[-1 - again.which % len(self.keyed)]
        elsewhere = again.elsewhere and earlier.ask.places is not None  # at the same desk
        ask = Ask(earlier.ask.customer, CLUB, (0,)) if elsewhere else earlier.ask
        return Request(label, ask, earlier.key, f"{ask}, changed" if again.changed else earlier.body)

    def _no_order(self, requests: Sequence[Request], heard: Sequence[Said], told: Sequence[Label]) -> str:
        """Show what was heard, and what the model says to each before all others."""
        lines = [f"there is no order in which this is heard (orders made: {told}):"]
        for request, answer in zip(requests, heard, strict=True):
            alone, _ = self.sale.after(partial(Sale.hold, request=request))
            lines += [str(request), f"  heard: {answer}", f"  first: {alone}"]
        return "\n  ".join(lines)

    async def _act(self, step: Afterwards) -> None:
        if (label := self._label(step.order)) is None:
            return
        customer = self.sale.orders[label].customer
        expected, self.sale = self.sale.after(partial(_modelled, step=step, label=label))
        for world in (self.stage.gathered, self.stage.plain):
            self._agree(step, expected, await world.act(step, label, customer))

    async def _confirm(self, step: Confirm) -> None:
        labels = [*dict.fromkeys(label for which in step.orders if (label := self._label(which)) is not None)]
        expected = []
        customers = [self.sale.orders[label].customer for label in labels]
        for label in labels:
            answer, self.sale = self.sale.after(partial(afterwards.confirm, label=label))
            expected.append(answer)
        heard = await self.stage.gathered.confirm(labels, customers)
        plainly = [await self.stage.plain.settle(self.stage.plain.order(label)) for label in labels]
        for answer, one, other in zip(expected, heard, plainly, strict=True):
            self._agree(step, answer, one)
            self._agree(step, answer, other)

    async def _pass(self, step: Pass) -> None:
        self.sale = replace(self.sale.copy(), now=self.sale.now + step.seconds)
        for world in (self.stage.gathered, self.stage.plain):
            await world.set_clock(self.sale.now)
        if step.swept:
            await self._sweep()

    async def _halt(self, step: Halt) -> None:
        halted = self.sale.halted | {step.event} if step.on else self.sale.halted - {step.event}
        self.sale = replace(self.sale.copy(), halted=halted)
        for world in (self.stage.gathered, self.stage.plain):
            await world.halt(step)

    def _agree(self, step: Step, expected: Said, heard: Said) -> None:
        if heard != expected:
            raise DisagreementError(f"{step}\n  model: {expected}\n  heard: {heard}")
        self.stage.seen[f"{type(step).__name__}: {heard.code}"] += 1

    async def _sweep(self) -> None:
        for world in (self.stage.gathered, self.stage.plain):
            await world.sweep()
        self.sale.sweep()

    def _label(self, which: int) -> Label | None:
        """The order that is meant by a number, counted back from the last."""
        labels = [*self.sale.orders]
        return labels[-1 - which % len(labels)] if labels else None


def _key(label: Label) -> str:
    return f"key {label}"


def _modelled(sale: Sale, step: Afterwards, label: Label) -> Said:
    match step:
        case Release():
            return afterwards.release(sale, label)
        case Extend():
            return afterwards.extend(sale, label)
        case Pay():
            return afterwards.pay(sale, label)
        case Cancel():
            return afterwards.cancel(sale, label, step.tickets)
        case _:
            assert_never(step)
