"""Log lines on their way out: handlers that take a finished line, and the short way that our own records go to them.

The standard library makes a record of every call, looks for who called, and has each handler render anew; of one line
for each order sold that was a tenth of what the order cost. Our records are dictionaries already and need none of it.
"""

import logging
from collections.abc import Sequence
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

OF_MANY_LINES = frozenset({"exception", "stack"})


class LineHandler(logging.Handler):
    """A handler that can be given a line as well as a record."""

    def take(self, line: str) -> None:
        """Take a line; never raises, and never mixes it with that of another thread."""
        raise NotImplementedError

    def emit(self, entry: logging.LogRecord) -> None:
        """Take a record: a library's, or ours on the long way."""
        try:
            line = self.format(entry)
        except Exception:  # noqa: BLE001 - logging must never fail whoever logs
            self.handleError(entry)
            return
        self.take(line)


class StreamLines(LineHandler):
    """Writes lines to a stream. A stream that is closed, full or broken costs the line, and nothing more."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def take(self, line: str) -> None:
        """Write a line at once."""
        self.acquire()
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # there is no other place to say it
            pass
        finally:
            self.release()


class ShortWay:
    """The last step of our own records: render the line once, hand it to every handler, and be done.

    Where somebody else listens, a test or a tracker of errors, the record goes on as the standard library has it.
    """

    def __init__(self, finish: Sequence[structlog.typing.Processor], handlers: Sequence[LineHandler]) -> None:
        self._finish = finish
        self._handlers = list(handlers)

    def __call__(
        self, logger: logging.Logger, method: str, record: structlog.typing.EventDict
    ) -> tuple[tuple[structlog.typing.EventDict], dict[str, dict[str, Any]]]:
        """Hand on the record.

        :raises structlog.DropEvent: when all is done; that is how a processor says so.
        """
        line = self._line(logger, method, record) if self._alone(logger) else None
        if line is None:
            return ProcessorFormatter.wrap_for_formatter(logger, method, record)
        for handler in self._handlers:
            handler.take(line)
        raise structlog.DropEvent

    def _alone(self, logger: logging.Logger) -> bool:
        while logger.parent is not None:
            if logger.handlers or logger.filters or not logger.propagate:
                return False
            logger = logger.parent
        return logger.handlers == self._handlers

    def _line(self, logger: logging.Logger, method: str, record: structlog.typing.EventDict) -> str | None:
        """Render a record; none when it cannot be: the long way, which renders it again, says why."""
        made: object = dict(record)
        try:
            for step in self._finish:
                made = step(logger, method, made)  # type: ignore[arg-type] # only the last step makes a text
        except Exception:  # noqa: BLE001 - logging must never fail whoever logs
            return None
        return made if isinstance(made, str) else None


def one_line(text: str) -> str:
    """Write a text so that a line stays a line and no terminal is told anything: what is not printable is spelt out."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def for_people(_logger: object, _method: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Spell out what is not printable; the lines of an exception stand in from the edge, where no record begins."""
    return {one_line(name): _shown(name, value) for name, value in record.items()}


def _shown(name: str, value: object) -> object:
    if isinstance(value, str):
        if name in OF_MANY_LINES:
            return "\n".join(f"  {one_line(line)}" for line in value.split("\n"))
        return one_line(value)
    shown = repr(value)
    return value if shown.isprintable() else one_line(shown)
