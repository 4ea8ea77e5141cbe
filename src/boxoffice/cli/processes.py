"""``boxoffice serve``: one process alone, as in a deployment of many. ``boxoffice simulate``: stand-ins alone."""

import os
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from boxoffice.apps import PROCESSES
from boxoffice.cli.exits import CommandError, Exit
from boxoffice.cli.options import SettingsFile

simulate = typer.Typer(no_args_is_help=True, help="Run a stand-in for the outside world as a process of its own.")

Process = StrEnum("Process", {name: name for name in (*PROCESSES, "all")})  # type: ignore[misc] # mypy wants literals


def serve(
    process: Annotated[Process, typer.Argument(help="Which process to run.")],
    settings: SettingsFile = None,
    host: Annotated[str, typer.Option(help="Address to serve on; default: BOXOFFICE_HOST.")] = "",
    port: Annotated[int, typer.Option(help="Port to serve on; default: BOXOFFICE_PORT. 0 takes a free one.")] = -1,
) -> None:
    """Run one process alone; its databases, Valkey and the other processes are found through settings.

    Nothing is started or migrated for it: run `boxoffice migrate` first. See docs/settings.md.
    """
    from functools import partial
    from importlib import import_module

    from boxoffice.apps import starting
    from boxoffice.cli import console, serving
    from boxoffice.cli.signals import AskedToStopError, StopSignals
    from boxoffice.runtime.archive.shipping import archiving
    from boxoffice.runtime.peers import Peers
    from boxoffice.runtime.settings import load
    from boxoffice.runtime.telemetry import configure_logging

    asked: dict[str, Any] = {name: value for name, value in (("host", host), ("port", port)) if value not in {"", -1}}
    known = load(file=settings, **asked)
    starting.check_needs(process, known)
    signals = StopSignals(lambda: None)
    signals.install()
    try:
        with (
            archiving(known, service=process) as archive,
            serving.listen(known.host, known.port) as listener,
            starting.telling_zipkin(process, known),
        ):
            configure_logging(service=process, level=known.log_level, human=known.log_human, beside=archive)
            peers = Peers(peer_urls(known))
            app = import_module(f"boxoffice.apps.{process}").create(known, peers)
            peers.attach(process, app)  # what it asks of itself (identity: its keys) takes no way over the network
            where = "http://{}:{}".format(*listener.getsockname()[:2])

            def when_up() -> None:
                console.done(f"{process} answers at {where}")

            serving.serve(
                app, listener, signals=signals, when_up=when_up,
                running=app.running if process == "all" else partial(starting.running, {process: app}, peers),
            )  # fmt: skip
    except AskedToStopError:
        return


def peer_urls(settings: object) -> dict[str, str]:
    """List where the other processes are, as far as the settings say."""
    urls = {name: getattr(settings, f"{name}_url") for name in (*PROCESSES, "mailbox")}
    return {name: url for name, url in urls.items() if url}


PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""A simulator's options are its own."""


@simulate.command("paypal", context_settings=PASSED_ON)
def simulate_paypal(context: typer.Context) -> None:
    """Run the PayPal simulator: OAuth, Orders v2, refunds, webhooks, an approval page, and faults on demand.

    Its own options: `boxoffice simulate paypal --help`.
    """
    _become("boxoffice.simulators.paypal", context.args)


@simulate.command("mailbox", context_settings=PASSED_ON)
def simulate_mailbox(context: typer.Context) -> None:
    """Run the mailbox: takes mail over SMTP, keeps it in a folder, and shows it on a page.

    Its own options: `boxoffice simulate mailbox --help`.
    """
    _become("boxoffice.simulators.mailbox", context.args)


def _become(module: str, arguments: list[str]) -> None:
    try:
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own module
    except OSError as error:
        raise CommandError(f"{module} cannot be run: {error.strerror}.", Exit.PART_FAILED) from error
