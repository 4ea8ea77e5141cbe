"""How a simulator that runs alone ends when asked to: cleaned up, with exit code 0 like every process here."""

import signal
import sys
from types import FrameType


def end_cleanly() -> None:
    """Let SIGTERM and SIGINT end the program by unwinding it.

    uvicorn finishes its requests and then raises the signal again; the system's own answer to that kills the process
    before anything behind the server is closed.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
