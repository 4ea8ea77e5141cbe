"""Run measurements, print tables, write ``artifacts/bench.json`` and the page ``docs/evidence/bench.md``.

``python -m bench`` runs every group; ``--only holds,race`` some of them, keeping the others' last results, each with
its date. While groups were never measured in this checkout the page is written to ``artifacts/`` instead.
"""

import argparse
import time
from collections.abc import Awaitable, Callable

import uvloop
from rich.console import Console
from rich.table import Table

from bench import pgbench, report
from bench.ga import ga
from bench.growth import growth
from bench.holds import holds, race
from bench.house import House, running_house
from bench.http_holds import http, reading
from bench.live import live
from bench.orders import orders
from bench.others import finding, resting
from bench.parts import STATISTICS, parts
from bench.rounds import Findings
from bench.searching import search
from boxoffice.runtime.telemetry import configure_logging

Say = Callable[[str], None]
Left = Callable[[], float]
Group = Callable[[House, Say, Left], Awaitable[Findings]]

GROUPS: dict[str, tuple[Group, float]] = {
    "holds": (holds, 90), "race": (race, 65), "http": (http, 110), "orders": (orders, 110), "ga": (ga, 60),
    "growth": (growth, 150), "live": (live, 70), "reading": (reading, 30), "parts": (parts, 20),
    "resting": (resting, 25), "finding": (finding, 20), "search": (search, 60),
}  # fmt: skip
"""Each group, and the seconds after which it begins no further round: together some thirteen minutes;
``search`` takes five more to fill three engines."""
console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of {', '.join(GROUPS)}, with commas between")
    parser.add_argument("--longer", type=float, default=1.0, help="so many times as long: more rounds, where there are")
    asked = parser.parse_args()
    only = [name for name in asked.only.split(",") if name]
    if unknown := set(only) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    configure_logging(service="bench", level="error", human=True)
    began = time.monotonic()
    for name in only or GROUPS:
        with running_house(STATISTICS if name == "parts" else None) as house:
            say(f"{name}: engines are up, writing through to {house.folder.parent}; {pgbench.version()}")
            found = uvloop.run(measured(name, house, GROUPS[name][1] * asked.longer))
        report.keep(name, found, seconds=time.monotonic() - began)
        show(name, found)
    page = report.publish()
    say(f"{report.RESULT} and {page} written after {time.monotonic() - began:.0f} s")


async def measured(name: str, house: House, seconds: float) -> Findings:
    until = time.monotonic() + seconds
    found = await GROUPS[name][0](house, say, lambda: until - time.monotonic())
    found.notes.append(f"PostgreSQL {await house.version()}, fsync and synchronous_commit on.")
    return found


def say(text: str) -> None:
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}", highlight=False)


def show(name: str, found: Findings) -> None:
    table = Table("measured", "value", "reference", "ratio", title=f"{name}: medians")
    for record in found.records:
        reference = "" if record.reference is None else f"{record.reference:,.5g}"
        ratio = "" if record.ratio is None else f"{record.ratio:.2f}"
        table.add_row(record.name, f"{record.value:,.5g} {record.unit}", reference, ratio)
    console.print(table)
    for key, value in found.keys.items():
        console.print(f"  {key} = {value:.4g}", highlight=False)
