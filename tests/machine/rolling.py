"""Rolling restarts under load (I21): every process twice, each ended with SIGTERM and started again, one after another.

A client has the addresses of both gateways and tries a call that was not answered, or was refused for the moment, once
more at the other one, under the same idempotency key. No call may fail then, and the auditor finds nothing.
"""

import asyncio
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.machine.crowd import FOR_THE_MOMENT, Answer, Crowd, Customer, broke
from tests.machine.opening import log_in, open_accounts, put_on_sale
from tests.machine.works import EXTRA, NO_LIMITS, PASSWORD
from tests.support.commands import BOXOFFICE, environment
from tests.support.processes import STOP_S, Deployment, Program
from tests.support.shop import free_port

from boxoffice.apps import PROCESSES
from boxoffice.cli.exits import Exit
from boxoffice.runtime.embedded import postgres, valkey
from boxoffice.runtime.embedded.engines import SERVICES

KEYS: tuple[str, ...] = (
    "rolling_restarts", "rolling_calls", "rolling_retried", "rolling_failed", "rolling_purchases", "rolling_tickets",
    "rolling_audit_clean",
)  # fmt: skip
TITLE = "Rolling restarts under load"

TIMES = 20
"""Restarts of each service."""
BETWEEN_S = 0.5
READY_S = 120.0
TOKENS_S = 240.0
ONCE_MORE = FOR_THE_MOMENT | {502, 504}
ALREADY_BACK = {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}
"""What a second try to give seats back is told when the first one did it."""


class Twins(Deployment):
    """A shop whose every process runs twice, on a PostgreSQL and a Valkey of its own."""

    def __init__(self, folder: Path) -> None:
        self.postgres = postgres.start_ready(folder / "pg", password=PASSWORD, log=folder / "postgres.log")
        urls = postgres.provision(self.postgres.admin_url, dict.fromkeys(SERVICES, PASSWORD))
        self.valkey = valkey.start_ready(folder / "valkey", password=PASSWORD, log=folder / "valkey.log")
        super().__init__(folder, urls, self.valkey.url)
        self._ports |= {name: free_port() for kind in PROCESSES for name in twins(kind)}
        self._ports["gateway"] = self._ports["gateway-1"]
        self._more = {
            f"{kind}_url": ",".join(self.url(name) for name in twins(kind)) for kind in PROCESSES if kind != "gateway"
        }

    def open(self) -> None:
        """Start everything and wait until it answers."""
        self._start_simulators()
        self.migrate()
        for kind in PROCESSES:
            for name in twins(kind):
                self.launch(name)
        self._wait()

    def launch(self, name: str) -> None:
        """Start one process at its address; an index of search belongs to one process."""
        kind = name.partition("-")[0]
        settings = {**self.settings(kind), **EXTRA, **NO_LIMITS}
        if kind == "search":
            settings["BOXOFFICE_SEARCH_INDEX_DIR"] = str(self.folder / f"index-{name}")
        with (self.folder / f"{name}.log").open("ab") as out:
            process = subprocess.Popen(
                [BOXOFFICE, "serve", kind, "--port", str(self._ports[name])], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=environment(**settings), start_new_session=True,
            )  # fmt: skip
        self.programs[name] = Program(name, self.url(name), "/health/ready", process, self.folder / f"{name}.log")

    def restart(self, name: str) -> int:
        """End a process as an operator does, start it again and wait until it is ready; gives its exit code."""
        process = self.programs[name].process
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_S)
        self.launch(name)
        deadline = time.monotonic() + READY_S
        while not self.programs[name].answers():
            assert time.monotonic() < deadline, f"{name} is not ready:\n{self.programs[name].said()}"
            time.sleep(0.1)
        return code

    def close(self) -> None:
        """End everything."""
        self.kill()
        for engine in (self.postgres, self.valkey):
            engine.process.kill()


def twins(kind: str) -> tuple[str, str]:
    """Name both processes of a kind."""
    return f"{kind}-1", f"{kind}-2"


@dataclass
class Patient(Crowd):
    """People whose program tries once more, at the other gateway.

    Nobody asks for what another has, so a refusal is a failure, too.
    """

    gateways: Sequence[str] = ()
    retried: int = 0
    failed: list[str] = field(default_factory=list)
    restarting: str = ""

    async def call(
        self, kind: str, method: str, path: str, body: Any = None, customer: Customer | None = None, *, key: str = "",
        absolute: bool = False,
    ) -> tuple[int, Answer]:  # fmt: skip
        """Make one call, at most twice; what the second try finds already done is done."""
        mine, other = self.rng.sample(list(self.gateways), 2)
        if absolute and path.startswith(other):  # where the provider sent somebody, not where they would have gone
            mine, other = other, mine
        self.url = mine  # read before the first await of a call, so others do not change it
        key = key or (f"{self.rng.getrandbits(64):016x}" if method == "POST" else "")
        first = await super().call(kind, method, path, body, customer, key=key, absolute=absolute)
        if first[0] not in ONCE_MORE:
            self._look(kind, first[0])
            return first
        self.retried += 1
        self.url = other
        if absolute:
            path = path.replace(mine, other, 1)
        status, told = await super().call(kind, method, path, body, customer, key=key, absolute=absolute)
        if kind == "give back" and status in ALREADY_BACK:
            status = httpx.codes.NO_CONTENT
        self._look(kind, status, then=first[0])
        return status, told

    def _look(self, kind: str, status: int, *, then: int | None = None) -> None:
        if status == 0 or status >= httpx.codes.BAD_REQUEST:
            self.failed.append(f"{kind} {then} then {status} while {self.restarting or 'nothing'} was restarted")


async def play(
    works: Twins, say: Callable[[str], None], *, seed: int, times: int, kinds: Sequence[str], rate: float = 10.0
) -> dict[str, object]:
    """Put concerts on sale, let people in, restart process after process; then rest, and let the auditor look."""
    rng = random.Random(seed)
    events, seats = await put_on_sale(works)
    customers = await open_accounts(works)
    gateways = [works.url(name) for name in twins("gateway")]
    crowd = Patient(gateways[0], rng, events, seats, customers, rate, gateways=gateways)
    over, logged_in = asyncio.Event(), time.monotonic()
    arriving = asyncio.create_task(crowd.arrive(over))
    await asyncio.sleep(2)
    codes: Counter[int] = Counter()
    for turn in range(times):
        for kind in rng.sample(list(kinds), len(kinds)):
            if time.monotonic() - logged_in > TOKENS_S:
                await log_in(works, customers)
                logged_in = time.monotonic()
            crowd.restarting = twins(kind)[turn % 2]
            codes[await asyncio.to_thread(works.restart, crowd.restarting)] += 1
            await asyncio.sleep(BETWEEN_S)
        say(
            f"turn {turn + 1} of {times}: {len(crowd.calls)} calls, {crowd.retried} tried again, {len(crowd.failed)} failed"
        )
    crowd.restarting = ""
    over.set()
    await arriving
    await crowd.until_gone()
    await crowd.client.aclose()
    for line, count in Counter(crowd.failed).most_common(20):
        say(f"    failed {count} x: {line}")
    made = crowd.checkouts
    return {
        "rolling_restarts": codes.total(), "rolling_exits": {str(code): count for code, count in codes.items()},
        "rolling_calls": len(crowd.calls) - crowd.retried, "rolling_retried": crowd.retried,
        "rolling_failed": len(crowd.failed), "rolling_failures": dict(Counter(crowd.failed).most_common(20)),
        "rolling_unanswered": sum(map(broke, crowd.calls)), "rolling_purchases": len(made),
        "rolling_tickets": sum(bool(one.tickets) for one in made),
        "rolling_unfinished": dict(Counter(one.failed_at for one in made if not one.tickets)),
        "rolling_audit_clean": await asyncio.to_thread(works.audit) == "",
    }  # fmt: skip


def run(
    say: Callable[[str], None], *, seed: int, times: int = TIMES, kinds: Sequence[str] = PROCESSES
) -> dict[str, object]:
    """Bring the twins up, restart them, end everything."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boxoffice-rolling-")))
        began = time.monotonic()
        works = Twins(folder)
        stack.callback(works.close)
        works.open()
        say(f"{2 * len(PROCESSES)} processes are up after {time.monotonic() - began:.0f} s")
        return asyncio.run(play(works, say, seed=seed, times=times, kinds=kinds))


def measure(say: Callable[[str], None], *, seed: int) -> dict[str, object]:
    """Restart each service as often as the invariant says."""
    return run(say, seed=seed)


def wrong(found: Mapping[str, Any]) -> list[str]:
    """Say each figure that is not what it should be."""
    said = []
    if found["rolling_failed"]:
        said.append(f"{found['rolling_failed']} calls failed though they were tried twice: {found['rolling_failures']}")
    if found["rolling_tickets"] < found["rolling_purchases"]:
        said.append(f"purchases without tickets: {found['rolling_unfinished']}")
    if set(found["rolling_exits"]) != {str(int(Exit.OK))}:
        said.append(f"processes ended with {found['rolling_exits']}")
    return said + ([] if found["rolling_audit_clean"] else ["the auditor found something"])


SECTION = """\
Every process of the shop runs twice, gateways too, on one PostgreSQL and one Valkey; ten people a second browse, hold and buy. Each service is restarted {times} times, its two
processes in turn and the services in an order that the seed draws: SIGTERM, wait for its end, start, wait until it is ready. A client that got no answer, or was refused for the
moment, tries once more at the other gateway under the same idempotency key. Nobody asks for what another has: a call that ends in a refusal counts as failed, too.

| what | figure |
| --- | ---: |
| restarts | {rolling_restarts} |
| calls | {rolling_calls:,} |
| of them tried once more | {rolling_retried} |
| of them failed | {rolling_failed} |
| purchases that ended with tickets | {rolling_tickets} of {rolling_purchases} |
| what the auditor found at the end | {audit} |
"""


def section(found: Mapping[str, Any]) -> str:
    """Write what was done and what came of it."""
    audit = "nothing" if found["rolling_audit_clean"] else "**something**"
    times = found["rolling_restarts"] // len(PROCESSES)
    return SECTION.format(times=times, audit=audit, **found)
