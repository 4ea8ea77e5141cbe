"""What people see: one line for each step with the time it took, on a terminal with a spinner meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took once it is done."""
    started = time.monotonic()
    with out.status(f"{what} …"):
        yield
    done(f"{what} ({time.monotonic() - started:.1f} s)")


def done(what: str) -> None:
    """Say that something is done."""
    out.print(f"[green]✓[/green] {what}")


def warn(what: str) -> None:
    """Say something that people should know before they go on."""
    err.print(f"[yellow]![/yellow] {what}")
