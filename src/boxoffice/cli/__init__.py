"""The command line. Each module is one group of commands; they import what they need when run: help is quick."""

import sys
from types import TracebackType

import typer

from boxoffice.cli import console
from boxoffice.cli.exits import code_of

app = typer.Typer(
    name="boxoffice",
    help="Open, self-hosted ticketing: search, hold, pay, tickets, doors. Never sells a seat twice.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class one_sentence_each:  # noqa: N801 - reads as a phrase where it is used
    """End the program with one sentence and an exit code for what was foreseen to go wrong; a bug keeps its trace."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say what went wrong."""
        code = code_of(error) if isinstance(error, Exception) else None
        if code is not None:
            console.err.print("[red]Error:[/red]", str(error), soft_wrap=True, markup=True)
            sys.exit(int(code))


def main() -> None:
    """Run the command line."""
    from boxoffice.cli import commands

    commands.register(app)
    with one_sentence_each():
        app()
