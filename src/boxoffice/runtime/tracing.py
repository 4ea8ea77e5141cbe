"""Spans of what is done: at every door, on the bus, on the way out. One purchase is one trace across all processes.

Off, which is the default, a call pays one look at a variable on top of the trace id that its log lines carry. On,
``runtime/zipkin.py`` keeps spans and sends them. Whatever happens to a span, the work that it tells of goes on.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime.telemetry import TRACEPARENT, begin_trace, current_trace, resume_trace, trace_id

Kind = Literal["server", "client", "consumer", "internal"]
BUS = "bus"
"""The service whose span says how long a message was on its way: outbox, carrier and bus together."""
SERVER_ERROR = 500
QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""What machines ask every few seconds: not told."""
NO_ANSWER = "no answer"


class Span(Protocol):
    """Something that is being done. One that is never ended is never told."""

    @property
    def traceparent(self) -> str:
        """What names it to those who go on from it."""

    def name(self, name: str) -> None:
        """Call it otherwise than at its beginning."""

    def tag(self, name: str, value: str) -> None:
        """Say something more of it."""

    def end(self, *, error: str | None = None, at_ns: int | None = None) -> None:
        """End it, now or at an instant (ns since 1970); ``error``: what went wrong."""


class Recorder(Protocol):
    """What keeps spans."""

    def begin(
        self, service: str, name: str, *, kind: Kind, parent: str | None, peer: str | None = None,
        began_at: datetime | None = None,
    ) -> Span:  # fmt: skip
        """Begin a span of a service; ``parent`` is a ``traceparent``, none (or nonsense) begins a trace."""


class _Kept:
    """Who keeps spans in this process, and whose they are where nobody says."""

    __slots__ = ("process", "recorder")

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.process = ""


_kept = _Kept()
_service: ContextVar[str] = ContextVar("span-service", default="")


def on() -> bool:
    """Whether spans are kept."""
    return _kept.recorder is not None


@contextmanager
def recording(recorder: Recorder, process: str) -> Iterator[None]:
    """Keep spans while inside; ``process`` is "" where every service lives in one."""
    _kept.recorder, _kept.process = recorder, process
    try:
        yield
    finally:
        _kept.recorder, _kept.process = None, ""


def begin_call(service: str, method: str, traceparent: str | None) -> Span | None:
    """Continue the caller's trace, or begin one; gives the call's span where spans are kept."""
    recorder = _kept.recorder
    if recorder is None:
        begin_trace(traceparent)
        return None
    span = recorder.begin(service, method, kind="server", parent=traceparent)
    _service.set(service)
    resume_trace(span.traceparent)
    return span


def end_call(span: Span, method: str, route: str, status: int) -> None:
    """End a call's span; ``route`` is the template of its path, ``status`` 0: nothing was answered."""
    if route in QUIET:
        return
    span.name(f"{method} {route}")
    span.tag("http.request.method", method)
    span.tag("http.route", route)
    if status:
        span.tag("http.response.status_code", str(status))
    span.end(error=(str(status) if status >= SERVER_ERROR else None) if status else NO_ANSWER)


@contextmanager
def doing(
    name: str, *, kind: Kind = "internal", parent: str | None = None, peer: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[None]:  # fmt: skip
    """Do something as a part of what is done now, or of ``parent``: logs and messages within carry that trace."""
    before, recorder = current_trace(), _kept.recorder
    if recorder is None:
        if parent is None:
            yield
            return
        begin_trace(parent)
        try:
            yield
        finally:
            resume_trace(before)
        return
    span = recorder.begin(_here(), name, kind=kind, parent=parent or before, peer=peer)
    for tag, value in (tags or {}).items():
        span.tag(tag, value)
    resume_trace(span.traceparent)
    try:
        yield
    except BaseException as error:
        span.end(error=type(error).__name__)
        raise
    else:
        span.end()
    finally:
        resume_trace(before)


@contextmanager
def joining(traceparent: str | None, name: str) -> Iterator[None]:
    """Do something as a part of another trace, if there is one that is kept; in one's own trace nothing changes."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    own = trace_id()
    if match is None or match[1] == own or not int(match[3], 16) & 1:
        yield
        return
    with doing(name, parent=traceparent, tags={"request.trace": own} if own else None):
        yield


@contextmanager
def running_job(name: str) -> Iterator["Run"]:
    """Run a timer's work in a trace of its own; one that found nothing to do is not told."""
    recorder = _kept.recorder
    if recorder is None:
        begin_trace(None)
        yield Run(None)
        return
    _service.set(_kept.process or name.partition(".")[0])
    span = recorder.begin(_here(), f"job {name}", kind="internal", parent=None)
    resume_trace(span.traceparent)
    run = Run(span)
    try:
        yield run
    except Exception as error:
        span.end(error=type(error).__name__)
        raise


class Run:
    """One run of a timer."""

    __slots__ = ("_span",)

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def did(self, count: int) -> None:
        """Say how much was done."""
        if self._span is not None and count:
            self._span.tag("done", str(count))
            self._span.end()


class Delivery:
    """What a consumer is given: the bus's part of each message is told once, every try to take it on its own."""

    __slots__ = ("_arrived_ns", "_came", "_consumer")

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._arrived_ns = time.time_ns()
        self._came: dict[UUID, str] = {}

    @contextmanager
    def trying(self, envelopes: Sequence[Envelope]) -> Iterator[None]:
        """Take messages in one effect; of several that fail together nothing is told: each is tried again alone."""
        recorder = _kept.recorder
        if recorder is None:
            begin_trace(envelopes[-1].trace if envelopes else None)
            yield
            return
        _service.set(_kept.process or self._consumer.partition("-")[0])
        legs = {one.message_id: self._leg(recorder, one) for one in envelopes if one.message_id not in self._came}
        spans = [self._taking(recorder, one, legs) for one in envelopes]
        if spans:
            resume_trace(spans[-1].traceparent)
        try:
            yield
        except Exception as error:
            if len(spans) == 1:
                self._told(legs)
                spans[0].end(error=type(error).__name__)
            raise
        self._told(legs)
        for span in spans:
            span.end()

    def _leg(self, recorder: Recorder, envelope: Envelope) -> Span:
        span = recorder.begin(
            BUS, envelope.topic, kind="internal", parent=envelope.trace, began_at=envelope.occurred_at
        )  # fmt: skip
        span.tag("messaging.consumer.group.name", self._consumer)
        span.tag("messaging.message.id", str(envelope.message_id))
        return span

    def _taking(self, recorder: Recorder, envelope: Envelope, legs: Mapping[UUID, Span]) -> Span:
        leg = legs.get(envelope.message_id)
        parent = self._came[envelope.message_id] if leg is None else leg.traceparent
        span = recorder.begin(_here(), f"take {envelope.type_}", kind="consumer", parent=parent, peer=BUS)
        span.tag("messaging.destination.name", envelope.topic)
        span.tag("messaging.consumer.group.name", self._consumer)
        return span

    def _told(self, legs: Mapping[UUID, Span]) -> None:
        for message_id, leg in legs.items():
            leg.end(at_ns=self._arrived_ns)
            self._came[message_id] = leg.traceparent


def _here() -> str:
    return _service.get() or _kept.process or "boxoffice"
