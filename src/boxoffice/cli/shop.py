"""A whole shop on one machine: engines, simulators, databases, every service in one process, one port.

Started in an order that wastes no time (the engines come up while the program loads) and stopped in reverse; whatever
happens on the way, no child is left behind.
"""

import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxoffice.apps import PROCESSES
from boxoffice.cli import console, demo, stand_ins
from boxoffice.cli.schemas import migrate_all
from boxoffice.cli.serving import listen, serve
from boxoffice.cli.signals import AskedToStopError, StopSignals
from boxoffice.runtime.embedded import ports
from boxoffice.runtime.embedded.engines import Engines
from boxoffice.runtime.embedded.folder import DataFolder, Running


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What ``boxoffice up`` was asked for; ``demo`` none means: as last time."""

    data_dir: Path
    host: str
    port: int
    demo: bool | None
    settings_file: Path | None = None
    demo_concerts: int | None = None
    log_level: str = ""


class Shop:
    """One shop, from the first file to the last child."""

    def __init__(self, options: Options, environment: Mapping[str, str]) -> None:
        self.options = options
        self.folder = DataFolder(options.data_dir)
        self._environment = environment
        self._engines = Engines(self.folder, environment)
        self._simulators: list[stand_ins.StandIn] = []
        self._mailbox: Any = None
        self._signals = StopSignals(self._kill)
        self._started = time.monotonic()

    def run(self) -> None:
        """Start everything, serve until somebody asks to stop, stop everything.

        :raises EngineError: when the folder cannot be used or an engine does not come up.
        :raises CommandError: when the port is not free.
        """
        self._signals.install()
        try:
            self.folder.open()
            with listen(self.options.host, self.options.port) as listener:
                self._run(listener)
        except AskedToStopError:
            console.done("Stopped before it was up")
        finally:
            self._stop()

    def _run(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        address = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}"  # noqa: S104 - what was asked for
        first = not self.folder.postgres.exists()
        with console.step("Make the databases' files" if first else "Start the engines"):
            self._engines.begin()
            demo = self._is_demo()
            known = self._begin_simulators(address) if demo else {}
            import_services()
            known |= self._open_mailbox() if demo else {}
            known |= self._engines.wait()
            self._wait_for_simulators()
        settings = self._settings({**known, "public_url": address}, demo=demo, host=host, port=port)
        with console.step("Bring the databases to this version"):
            migrate_all(settings)
        self._serve(listener, settings, address)

    def _serve(self, listener: socket.socket, settings: Any, address: str) -> None:
        from boxoffice.apps import all as everything
        from boxoffice.apps.starting import telling_zipkin
        from boxoffice.cli import welcome
        from boxoffice.runtime.archive.shipping import archiving
        from boxoffice.runtime.peers import Peers
        from boxoffice.runtime.telemetry import configure_logging

        beside = {"mailbox": self._mailbox.app} if self._mailbox is not None else {}
        app = everything.create(settings, Peers({}), beside=beside)
        self.folder.announce(Running(pid=os.getpid(), address=address, settings=told(settings)))

        async def prepare() -> None:
            if settings.demo:
                await demo.prepare(settings, folder=self.folder.path, concerts=self.options.demo_concerts)
            else:
                await demo.close(settings, folder=self.folder.path)

        def when_up() -> None:
            console.done(f"Up in {time.monotonic() - self._started:.1f} s")
            console.out.print(welcome.box(settings, self.folder.path))

        with archiving(settings, service="all") as archive, telling_zipkin("all", settings):
            configure_logging(service="all", level=settings.log_level, human=settings.log_human, beside=archive)
            serve(
                app, listener, signals=self._signals, running=app.running, watch=self._engines.broken,
                prepare=prepare, when_up=when_up,
            )  # fmt: skip
        console.done("Finished what was going on")

    def _is_demo(self) -> bool:
        mark = self.folder.path / demo.MARK
        if self.options.demo:
            mark.touch()
        return mark.exists() if self.options.demo is None else self.options.demo

    def _begin_simulators(self, address: str) -> dict[str, Any]:
        """Begin to start what stands for the outside world; returns the settings that reach it."""
        if "BOXOFFICE_PAYPAL_API_URL" in self._environment:
            return {}
        paypal = stand_ins.begin_paypal(self.folder, self._environment, shop=address)
        self._simulators.append(paypal)
        return paypal.settings

    def _open_mailbox(self) -> dict[str, Any]:
        """Take mail into a folder, unless the environment names a mail server; returns the settings that reach it."""
        if "BOXOFFICE_SMTP_HOST" in self._environment:
            return {}
        from boxoffice.simulators.mailbox import Mailbox

        self._mailbox = Mailbox(folder=self.folder.path / "mail")
        self._mailbox.start()
        return {"smtp_host": ports.LOOPBACK, "smtp_port": self._mailbox.smtp_port}

    def _wait_for_simulators(self) -> None:
        for simulator in self._simulators:
            simulator.wait()

    def _settings(self, known: dict[str, Any], **asked: Any) -> Any:
        """Put together the settings of this process: what the environment or the file say wins over what we found."""
        from boxoffice.runtime import settings

        keys = self.folder.keys
        found = {
            "signing_key_file": str(keys / "tokens.pem"),
            "ticket_key_file": str(keys / "tickets.pem"),
            "search_index_dir": str(self.folder.search),
            "log_human": sys.stderr.isatty(),
            "log_level": "warning" if sys.stderr.isatty() else "info",  # people want the box, machines the log
            **known,
        }
        if self.options.log_level:
            asked["log_level"] = self.options.log_level
        return settings.load(self._environment, file=self.options.settings_file, defaults=found, **asked)

    def _stop(self) -> None:
        for simulator in self._simulators:
            simulator.process.ask()
        for simulator in self._simulators:
            simulator.stop()
        if self._mailbox is not None:
            self._mailbox.stop()
        self._engines.stop()
        self.folder.close()

    def _kill(self) -> None:
        for simulator in self._simulators:
            simulator.process.kill()
        self._engines.kill()


def import_services() -> None:
    """Load the program while the engines come up; this takes longer than they do."""
    from importlib import import_module

    for name in (*PROCESSES, "all"):
        import_module(f"boxoffice.apps.{name}")


def told(settings: Any) -> dict[str, Any]:
    """Tell other commands of this machine how to reach the shop: all settings that differ from the defaults."""
    from dataclasses import fields

    return {
        entry.name: getattr(settings, entry.name)
        for entry in fields(settings)
        if getattr(settings, entry.name) != entry.default
    }
