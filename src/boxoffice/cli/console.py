"""What people see: one line for each step with the time it took, on a terminal with a spinner meanwhile."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took once it is done."""
    started = time.monotonic()
    with out.status(f"{what} …"):
        yield
    done(f"{what} ({time.monotonic() - started:.1f} s)")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while something is counted up: call with how many are done, of how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    started = time.monotonic()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda count, of: bars.update(bar, completed=count, total=of)
    done(f"{what} ({time.monotonic() - started:.1f} s)")


def done(what: str) -> None:
    """Say that something is done."""
    out.print(f"[green]✓[/green] {what}")


def warn(what: str) -> None:
    """Say something that people should know before they go on."""
    err.print(f"[yellow]![/yellow] {what}")
