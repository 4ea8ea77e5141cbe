"""A sampling profile of a Python process by part: every millisecond of processor time, whose code is running?

``setitimer`` counts the process's own processor time, in code and in the kernel for it, so a sample is a thousandth
of a second that was paid for. Python runs the handler between two bytecodes: time in a C function counts for the
line that called it, which is the part that caused it.
"""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EVERY_S = 0.001
PARTS = (
    ("/boxoffice/services/sales/api/", "our handlers"),
    ("/boxoffice/services/sales/store/", "our SQL calls"),
    ("/boxoffice/services/sales/", "our use cases"),
    ("/boxoffice/runtime/authn", "tokens"),
    ("/boxoffice/runtime/idempotency", "idempotency keys"),
    ("/boxoffice/runtime/relay", "the outbox's relay"),
    ("/boxoffice/runtime/bus", "the outbox's relay"),
    ("/boxoffice/runtime/outbox", "outbox records"),
    ("/boxoffice/runtime/barcodes", "signing barcodes"),
    ("/boxoffice/runtime/web", "trace, metrics, headers"),
    ("/boxoffice/runtime/telemetry", "trace, metrics, headers"),
    ("/boxoffice/runtime/database", "pool and transactions"),
    ("/boxoffice/", "the rest of ours"),
    ("/prometheus_client/", "trace, metrics, headers"),
    ("/structlog/", "logs"),
    ("/logging/", "logs"),
    ("/asyncpg/", "asyncpg"),
    ("/redis/", "the outbox's relay"),
    ("/litestar/", "Litestar"),
    ("/msgspec/", "Litestar"),
    ("/uvicorn/", "uvicorn and httptools"),
    ("/asyncio/", "event loop"),
    ("/uuid.py", "ids"),
    ("/joserfc/", "tokens"),
)
"""Path in a frame's file, and the part that it belongs to; the innermost frame that is in the list counts."""
LOOP = "event loop and sockets"


def part_of(files: Iterator[str]) -> str:
    """Name the part that a stack is in, from its innermost file outwards."""
    for file in files:
        for path, part in PARTS:
            if path in file:
                return part
    return LOOP


@contextmanager
def sampled(to: Path) -> Iterator[None]:
    """Count samples by part while inside; the counts go to a JSON file."""
    counts: Counter[str] = Counter()

    def take(_signal: int, frame: FrameType | None) -> None:
        counts[part_of(files_of(frame))] += 1

    signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        to.write_text(json.dumps(counts))


def files_of(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back
