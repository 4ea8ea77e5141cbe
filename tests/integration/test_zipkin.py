"""Sending spans: in batches, in Zipkin's own words; Zipkin away or slow is counted, and holds nobody up."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import REGISTRY
from tests.support.buying import wait_until
from tests.support.shop import free_port

from boxoffice.runtime import zipkin

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("boxoffice_spans_total", {"outcome": outcome}) or 0.0


@contextmanager
def listening() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Something that takes spans and keeps them."""
    taken: list[dict[str, Any]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/api/v2/spans"
            taken.extend(json.loads(body))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestSending:
    def test_says_in_zipkins_words_what_was_done(self) -> None:
        with listening() as (url, taken):
            with zipkin.sending(url, share=1.0) as recorder:
                call = recorder.begin("gateway", "GET", kind="server", parent=PARENT)
                asked = recorder.begin("gateway", "ask", kind="client", parent=call.traceparent, peer="paypal")
                asked.end(error="TimeoutError")
                call.name("GET /api/v1/events")
                call.tag("http.route", "/api/v1/events")
                call.end()
            inner, outer = taken  # stopping sends what is left
        assert outer["traceId"] == inner["traceId"] == TRACE
        assert (outer["parentId"], inner["parentId"]) == ("b7ad6b7169203331", outer["id"])
        assert (outer["kind"], outer["name"]) == ("SERVER", "GET /api/v1/events")
        assert outer["localEndpoint"] == {"serviceName": "gateway"}
        assert outer["tags"] == {"http.route": "/api/v1/events"}
        assert (inner["kind"], inner["remoteEndpoint"]) == ("CLIENT", {"serviceName": "paypal"})
        assert inner["tags"] == {"error": "TimeoutError"}
        assert outer["duration"] >= inner["duration"] >= 1
        assert abs(outer["timestamp"] / 1e6 - time.time()) < 600

    @pytest.mark.parametrize(("share", "flags", "kept"), [(0.0, "01", 1), (1.0, "00", 0)])
    def test_keeps_the_callers_decision(self, share: float, flags: str, kept: int) -> None:
        with listening() as (url, taken), zipkin.sending(url, share=share) as recorder:
            span = recorder.begin("gateway", "GET", kind="server", parent=f"{PARENT[:-2]}{flags}")
            assert span.traceparent.startswith(f"00-{TRACE}-")
            assert span.traceparent.endswith(flags)
            span.end()
        assert len(taken) == kept

    def test_keeps_a_share_of_the_traces_that_begin_here(self) -> None:
        with listening() as (url, taken), zipkin.sending(url, share=0.25) as recorder:
            for _ in range(400):
                recorder.begin("gateway", "GET", kind="server", parent="nonsense").end()
        assert 40 < len(taken) < 180
        assert len({span["traceId"] for span in taken}) == len(taken)
        assert not [span for span in taken if "parentId" in span]

    def test_drops_and_counts_while_zipkin_is_away_and_goes_on_when_it_is_back(self) -> None:
        before, sent = counted("dropped"), counted("sent")
        with zipkin.sending(f"http://127.0.0.1:{free_port()}", share=1.0) as recorder:
            recorder.begin("gateway", "GET", kind="server", parent=None).end()
            wait_until("it was dropped", lambda: counted("dropped") == before + 1)
        assert counted("sent") == sent

    def test_a_full_queue_drops_the_newest_at_once(self) -> None:
        class Stuck(SpanExporter):
            """Zipkin, when it takes for ever."""

            entered, release = threading.Event(), threading.Event()

            def export(self, _spans: Any) -> SpanExportResult:
                self.entered.set()
                self.release.wait(30)
                return SpanExportResult.SUCCESS

        stuck, before = Stuck(), counted("dropped")
        processor = zipkin.BoundedProcessor(stuck, queued=3)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        recorder = zipkin.OtelRecorder(provider)
        recorder.begin("gateway", "first", kind="server", parent=None).end()
        assert stuck.entered.wait(30)
        for _ in range(5):
            recorder.begin("gateway", "more", kind="server", parent=None).end()  # returns although nothing leaves
        assert counted("dropped") == before + 2
        stuck.release.set()
        provider.shutdown()
