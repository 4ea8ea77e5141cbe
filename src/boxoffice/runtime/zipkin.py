"""Spans as OpenTelemetry keeps them, sent to Zipkin in its own JSON. Loaded only where ``BOXOFFICE_ZIPKIN_URL`` is set.

Sent by a thread, in batches, from a queue that has an end: while Zipkin is away, spans are dropped and counted, and
nobody waits for them. Decision: docs/decisions/0025.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import msgspec
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from boxoffice.runtime.telemetry import SPANS, TRACEPARENT, log

PATH = "/api/v2/spans"
QUEUED = 8_192
"""Spans that wait at most: some 20 MB, and several seconds of a busy process."""
BATCH = 500
"""Spans of one call to Zipkin: some 250 kB, well within what it takes (10 MB)."""
PAUSE_S = 0.5
"""How late spans may leave: they gather meanwhile."""
TIMEOUT_S = 2.0
STOP_S = 3.0
"""How long a process that stops waits for its last spans to leave."""
PEER = "peer.service"
KINDS = {
    "server": SpanKind.SERVER, "client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL,
}  # fmt: skip
SHOWN_KINDS = {SpanKind.SERVER: "SERVER", SpanKind.CLIENT: "CLIENT", SpanKind.CONSUMER: "CONSUMER"}
"""Zipkin has no word for what happens within a process."""
NS_PER_US = 1_000

_log = log(__name__)


class KeptSpan:
    """A span that was begun here."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def name(self, name: str) -> None:
        """Call it otherwise than at its beginning."""
        self._span.update_name(name)

    def tag(self, name: str, value: str) -> None:
        """Say something more of it."""
        self._span.set_attribute(name, value)

    def end(self, *, error: str | None = None, at_ns: int | None = None) -> None:
        """End it, now or at an instant (ns since 1970); ``error``: what went wrong."""
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end(at_ns)


class OtelRecorder:
    """Keeps spans with OpenTelemetry; each service of the process is a scope of its own."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracers: dict[str, Tracer] = {}

    def begin(
        self, service: str, name: str, *, kind: str, parent: str | None, peer: str | None = None,
        began_at: datetime | None = None,
    ) -> KeptSpan:  # fmt: skip
        """Begin a span; see ``tracing.Recorder``."""
        tracer = self._tracers.get(service)
        if tracer is None:
            tracer = self._tracers[service] = self._provider.get_tracer(service)
        return KeptSpan(
            tracer.start_span(
                name, context=_context(parent), kind=KINDS[kind], attributes=None if peer is None else {PEER: peer},
                start_time=None if began_at is None else int(began_at.timestamp() * 1_000_000) * NS_PER_US,
            )
        )  # fmt: skip


class BoundedProcessor(SpanProcessor):
    """Hands spans that ended to an exporter from a thread; the SDK's own drops in silence and may hold up a stop."""

    def __init__(self, exporter: SpanExporter, *, queued: int = QUEUED) -> None:
        self._exporter = exporter
        self._queue: queue.Queue[ReadableSpan] = queue.Queue(queued)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_forever, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or drop and count it."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        try:
            self._queue.put_nowait(span)
        except queue.Full:
            SPANS.labels("dropped").inc()

    def shutdown(self) -> None:
        """Send what is left, for a moment; then go."""
        self._stopping.set()
        self._thread.join(STOP_S)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's own signature
        """Do nothing: spans leave by themselves within a second."""
        return True

    def _send_forever(self) -> None:
        while True:
            stopping = self._stopping.wait(PAUSE_S)
            while batch := self._batch():
                sent = self._exporter.export(batch) is SpanExportResult.SUCCESS
                SPANS.labels("sent" if sent else "dropped").inc(len(batch))
                if not sent:
                    break
            if stopping:
                return

    def _batch(self) -> list[ReadableSpan]:
        found: list[ReadableSpan] = []
        while len(found) < BATCH:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found


class ZipkinExporter(SpanExporter):
    """Posts spans to one Zipkin (https://zipkin.io/zipkin-api/#/default/post_spans)."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=TIMEOUT_S, trust_env=False)
        self._is_away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; what Zipkin does not take is gone, and that is said once until it takes some again."""
        body = msgspec.json.encode([as_zipkin(span) for span in spans])
        try:
            answer = self._client.post(PATH, content=body, headers={"content-type": "application/json"})
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            if not self._is_away:
                _log.warning("spans.dropped", count=len(spans), error=type(error).__name__)
            self._is_away = True
            return SpanExportResult.FAILURE
        self._is_away = False
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the connection."""
        self._client.close()


@contextmanager
def sending(url: str, *, share: float) -> Iterator[OtelRecorder]:
    """Keep spans and send them to a Zipkin while inside; of traces that begin here only a share."""
    # No detection of resources, which asks the machine: Zipkin knows services only, and those are the scopes.
    provider = TracerProvider(
        resource=Resource({}), sampler=ParentBasedTraceIdRatio(share), shutdown_on_exit=False
    )  # fmt: skip
    provider.add_span_processor(BoundedProcessor(ZipkinExporter(url)))
    try:
        yield OtelRecorder(provider)
    finally:
        provider.shutdown()


def as_zipkin(span: ReadableSpan) -> dict[str, Any]:
    """Write a span as Zipkin's API has it: ids in hex, instants and durations in µs."""
    assert span.context
    assert span.instrumentation_scope
    began = span.start_time or 0
    lasted = max(0, (span.end_time or began) - began)
    tags = {name: str(value) for name, value in (span.attributes or {}).items()}
    peer = tags.pop(PEER, None)
    if span.status.status_code is StatusCode.ERROR:
        tags["error"] = span.status.description or "error"
    shown: dict[str, Any] = {
        "traceId": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "name": span.name,
        "timestamp": began // NS_PER_US,
        "duration": max(1, lasted // NS_PER_US),
        "localEndpoint": {"serviceName": span.instrumentation_scope.name},
        "tags": tags,
    }
    if span.parent is not None:
        shown["parentId"] = f"{span.parent.span_id:016x}"
    if span.kind in SHOWN_KINDS:
        shown["kind"] = SHOWN_KINDS[span.kind]
    if peer is not None:
        shown["remoteEndpoint"] = {"serviceName": peer}
    return shown


def _context(parent: str | None) -> Context:
    """Read a ``traceparent``; nonsense begins a trace."""
    match = TRACEPARENT.fullmatch(parent or "")
    if match is None:
        return Context()
    trace_id, span_id, flags = (int(part, 16) for part in match.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else Context()
