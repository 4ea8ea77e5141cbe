"""The client's log: one JSON line per step of an operation, as a client saw it.

``{process, type, f, value, key, t_mono}``: ``type`` is ``invoke`` (sent), ``ok`` (told that it happened), ``fail``
(told that it did not), ``info`` (told nothing that can be trusted: a timeout or a 5xx; it may take effect any time
later). A call that is repeated under its idempotency key is one operation: from the first invoke to the last answer.
``t_mono`` is CLOCK_MONOTONIC in seconds, which all processes of one machine share.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

CLOCKS_S = 0.002
"""Between reading one clock and the other."""

Kind = Literal["invoke", "ok", "fail", "info"]
Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. ``op`` joins an answer to its invoke."""

    process: str
    op: int
    type: Kind
    f: str
    value: Value
    key: str
    t_mono: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: when it was sent, when it was answered (none: never), and how."""

    f: str
    process: str
    key: str
    outcome: Kind
    begin: float
    end: float | None
    value: Value


@dataclass
class Log:
    """Collects lines in memory, and in a file when there is one; lines of one process are in order."""

    file: Path | None = None
    lines: list[Line] = field(default_factory=list)
    _next: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def invoke(self, process: str, f: str, value: Value, *, key: str = "") -> Line:
        """Note that an operation is sent; give what comes back to :meth:`answer`."""
        return self._add(Line(process, next(self._next), "invoke", f, value, key, time.monotonic()))

    def answer(self, sent: Line, kind: Kind, **value: Any) -> None:
        """Note how it ended."""
        said = {**sent.value, **value}
        self._add(Line(sent.process, sent.op, kind, sent.f, said, sent.key, time.monotonic()))

    def operations(self) -> list[Operation]:
        """Pair the lines."""
        return pair(self.lines)

    def _add(self, line: Line) -> Line:
        self.lines.append(line)
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(written(line) + "\n")
        return line


def seconds_until(expires_at: str, begin: float) -> float:
    """How long after ``begin`` (monotonic) an instant of the server's clock comes, on the machine that they share.

    The whole seconds that an answer tells are rounded up, so they are no promise; the instant is.
    """
    now, mono = time.time(), time.monotonic()
    return max(0.0, datetime.fromisoformat(expires_at).timestamp() - now + mono - begin - CLOCKS_S)


def written(line: Line) -> str:
    """Write one line."""
    return json.dumps(
        {
            "process": line.process, "op": line.op, "type": line.type, "f": line.f, "value": line.value,
            "key": line.key, "t_mono": round(line.t_mono, 6),
        }
    )  # fmt: skip


def read(file: Path) -> list[Line]:
    """Read a log again."""
    return [Line(**json.loads(text)) for text in file.read_text().splitlines()]


def pair(lines: Iterable[Line]) -> list[Operation]:
    """Join invokes and answers; what was never answered is ``info``."""
    sent: dict[tuple[str, int], Line] = {}
    found = []
    for line in lines:
        name = (line.process, line.op)
        if line.type == "invoke":
            sent[name] = line
            continue
        begun = sent.pop(name)
        end = None if line.type == "info" else line.t_mono
        found.append(Operation(line.f, line.process, line.key, line.type, begun.t_mono, end, line.value))
    found += [
        Operation(line.f, line.process, line.key, "info", line.t_mono, None, line.value) for line in sent.values()
    ]
    return sorted(found, key=lambda operation: operation.begin)
