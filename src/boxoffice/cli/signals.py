"""Ctrl-C and SIGTERM: the first one finishes what is going on, a second Ctrl-C ends everything at once."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from boxoffice.cli.exits import Exit

STOP_WITHIN_S = 60
"""20 s for requests, 30 s for PostgreSQL's last checkpoint, and some for the rest."""


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

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        """End a stop that hangs: nothing that was acknowledged is lost by it."""
        self._at_once()
        sys.stderr.write(f"Stopping took longer than {STOP_WITHIN_S} s; ended at once.\n")
        os._exit(Exit.PART_FAILED)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.asked:
            if number == signal.SIGINT:
                self._at_once()
                os._exit(Exit.INTERRUPTED)
            return
        self.asked = True
        signal.signal(signal.SIGALRM, self._give_up)
        signal.alarm(STOP_WITHIN_S)
        if self.finish is not None:
            self.finish()
        else:
            raise AskedToStopError
