"""Ctrl-C and SIGTERM: the first one finishes what is going on, a second Ctrl-C ends everything at once."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from boxoffice.cli.exits import Exit


class AskedToStopError(Exception):
    """Somebody asked us to stop while we were still starting."""


class StopSignals:
    """Takes the signals of the process from ``install`` on.

    ``at_once`` ends the children without waiting. While nothing is served a signal raises :class:`AskedToStopError`,
    which unwinds the start; once something is served, ``finish`` is called instead.
    """

    def __init__(self, at_once: Callable[[], None]) -> None:
        self.asked = False
        self.finish: Callable[[], object] | None = None
        self._at_once = at_once

    def install(self) -> None:
        """Take SIGINT and SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            if number == signal.SIGINT:
                self._at_once()
                os._exit(Exit.INTERRUPTED)
            return
        self.asked = True
        if self.finish is not None:
            self.finish()
        else:
            raise AskedToStopError
