"""Spans where they are kept, and nothing but a trace id where they are not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from litestar import get

from boxoffice.contracts.envelope import Envelope
from boxoffice.runtime import tracing, web
from boxoffice.runtime.bus import Consumer
from boxoffice.runtime.bus.taking import Taking
from boxoffice.runtime.hotpaths import Answer, Call, HotPath
from boxoffice.runtime.jobs import Job, running
from boxoffice.runtime.telemetry import begin_trace, current_trace, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
UNKEPT = f"00-{TRACE}-b7ad6b7169203331-00"


@dataclass
class KeptSpan:
    service: str
    called: str
    kind: str
    parent: str | None
    peer: str | None
    began_at: datetime | None
    traceparent: str
    tags: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    ended: int = 0

    def name(self, name: str) -> None:
        self.called = name

    def tag(self, name: str, value: str) -> None:
        self.tags[name] = value

    def end(self, *, error: str | None = None, at_ns: int | None = None) -> None:  # noqa: ARG002 - the protocol's
        self.error, self.ended = error, self.ended + 1


class Kept:
    """A recorder that keeps its spans for us to look at."""

    def __init__(self) -> None:
        self.spans: list[KeptSpan] = []

    def begin(
        self, service: str, name: str, *, kind: str, parent: str | None, peer: str | None = None,
        began_at: datetime | None = None,
    ) -> KeptSpan:  # fmt: skip
        trace = parent.split("-")[1] if parent else f"{uuid4().int:032x}"
        span = KeptSpan(
            service, name, kind, parent, peer, began_at, traceparent=f"00-{trace}-{len(self.spans) + 1:016x}-01"
        )
        self.spans.append(span)
        return span

    @property
    def told(self) -> list[KeptSpan]:
        assert all(span.ended <= 1 for span in self.spans)
        return [span for span in self.spans if span.ended]


@pytest.fixture
def kept() -> Iterator[Kept]:
    recorder = Kept()
    with tracing.recording(recorder, "bookings"):
        yield recorder


@get("/things/{name:str}")
async def show(name: str) -> str:
    if name == "broken":
        raise RuntimeError("nobody expected this")
    return current_trace() or ""


async def show_hot(call: Call) -> Answer | None:
    return None if call.path.endswith("left/state") else Answer.of(200, (current_trace() or "").encode())


@get("/things/{name:str}/state")
async def show_state(name: str) -> str:
    return f"{name} {current_trace()}"


async def asked(path: str, traceparent: str = PARENT) -> httpx.Response:
    hot = HotPath("GET", "/api/v1/things/{}/state", show_hot, route="/api/v1/things/{name}/state")
    app = web.make_app("things", routes=[show, show_state], verifier=None, hot_paths=[hot])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        return await client.get(path, headers={"traceparent": traceparent})


class TestCalls:
    @pytest.mark.parametrize(
        ("path", "route"),
        [
            ("/things/a", "GET /api/v1/things/{name}"),
            ("/things/a/state", "GET /api/v1/things/{name}/state"),
            ("/things/left/state", "GET /api/v1/things/{name}/state"),
        ],
    )
    async def test_are_one_span_whichever_way_they_are_answered(self, kept: Kept, path: str, route: str) -> None:
        answer = await asked(path)
        [span] = kept.told
        assert (span.service, span.kind, span.parent) == ("things", "server", PARENT)
        assert span.called.replace("{name:str}", "{name}") == route
        assert span.traceparent in answer.text
        assert span.tags["http.response.status_code"] == "200"
        assert span.error is None

    @pytest.mark.parametrize("path", ["/nothing/here", "/things/a"])
    async def test_that_nobody_serves_are_refused_in_the_callers_trace(self, path: str) -> None:
        begin_trace(None)
        app = web.make_app("things", routes=[show], verifier=None)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
            refused = await client.post(path, headers={"traceparent": PARENT})
        assert refused.status_code in {404, 405}
        assert refused.json()["traceId"] == TRACE

    async def test_of_probes_are_not_told(self, kept: Kept) -> None:
        app = web.make_app("things", routes=[show], verifier=None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            for path in tracing.QUIET:
                assert (await client.get(path)).is_success
        assert not kept.told

    async def test_that_fail_say_so(self, kept: Kept) -> None:
        await asked("/things/broken")
        [span] = kept.told
        assert (span.tags["http.response.status_code"], span.error) == ("500", "500")

    async def test_keep_the_callers_trace_where_no_spans_are_kept(self) -> None:
        assert not tracing.on()
        for path in ("/things/a", "/things/a/state"):
            told = (await asked(path)).text
            assert told.split("-")[1] == TRACE
            assert told != PARENT


class TestDoing:
    def test_is_a_part_of_what_is_done_now(self, kept: Kept) -> None:
        begin_trace(PARENT)
        outer = current_trace()
        with tracing.doing("ask", kind="client", peer="paypal"):
            inner = current_trace()
        [span] = kept.told
        assert (span.parent, span.traceparent, span.peer) == (outer, inner, "paypal")
        assert current_trace() == outer

    def test_says_what_went_wrong(self, kept: Kept) -> None:
        with pytest.raises(TimeoutError), tracing.doing("ask"):
            raise TimeoutError
        assert [span.error for span in kept.told] == ["TimeoutError"]

    def test_goes_on_from_a_trace_that_was_written_down_although_no_spans_are_kept(self) -> None:
        begin_trace(None)
        before = current_trace()
        with tracing.doing("mail", parent=PARENT):
            assert trace_id() == TRACE
        assert current_trace() == before


class TestJoining:
    def test_works_in_the_other_trace_and_says_where_from(self, kept: Kept) -> None:
        begin_trace(None)
        own = trace_id()
        with tracing.joining(PARENT, "settle payment"):
            assert trace_id() == TRACE
        assert trace_id() == own
        [span] = kept.told
        assert (span.called, span.parent, span.tags) == ("settle payment", PARENT, {"request.trace": own})

    @pytest.mark.parametrize("other", [None, "nonsense", UNKEPT])
    def test_stays_where_it_is_when_there_is_no_other_that_is_kept(self, kept: Kept, other: str | None) -> None:
        begin_trace(None)
        own = current_trace()
        with tracing.joining(other, "settle payment"):
            assert current_trace() == own
        assert not kept.spans

    def test_stays_where_it_is_in_the_same_trace(self, kept: Kept) -> None:
        begin_trace(PARENT)
        with tracing.joining(PARENT, "settle payment"):
            assert trace_id() == TRACE
        assert not kept.spans


def envelope(trace: str | None = PARENT) -> Envelope:
    return Envelope(
        message_id=uuid4(), topic="sales.order.v1", key="1", type_="sales.order.held", version=1,
        occurred_at=datetime.now(UTC), trace=trace, body=msgspec.Raw(b"{}"),
    )  # fmt: skip


class Takes:
    """A consumer that fails as often as it is told."""

    def __init__(self, *, fails: int = 0, together: bool = False) -> None:
        self.fails = fails
        self.traces: list[str] = []
        self.aside: list[Any] = []
        self.consumer = Consumer(
            name="notification",
            topics=["sales.order.v1"],
            take=self.take,
            take_many=self.take_many if together else None,
        )

    async def take(self, _one: Envelope) -> None:
        self.traces.append(trace_id())
        if self.fails:
            self.fails -= 1
            raise ValueError("not yet")

    async def take_many(self, many: Any) -> None:
        if any(one.key == "poison" for one in many):
            raise ValueError("one of them")

    def taking(self) -> Taking[Envelope]:
        async def set_aside(raw: Envelope) -> None:
            self.aside.append(raw)

        return Taking(self.consumer, read=lambda raw: raw, set_aside=set_aside)


class TestDelivery:
    async def test_tells_the_buss_part_once_and_every_try(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(taking_module(), "RETRY_PAUSE_S", 0)
        takes, message = Takes(fails=2), envelope()
        await takes.taking().one(message)
        leg, *tries = kept.told
        assert (leg.service, leg.called, leg.parent, leg.began_at) == (
            "bus",
            message.topic,
            PARENT,
            message.occurred_at,
        )
        assert [one.error for one in tries] == ["ValueError", "ValueError", None]
        assert {one.parent for one in tries} == {leg.traceparent}
        assert {(one.service, one.kind, one.peer) for one in tries} == {("bookings", "consumer", "bus")}
        assert set(takes.traces) == {TRACE}

    async def test_of_several_each_is_told_in_its_own_trace(self, kept: Kept) -> None:
        messages = [envelope(f"00-{UUID(int=number + 1).hex}-b7ad6b7169203331-01") for number in range(3)]
        assert await Takes(together=True).taking().together(messages)
        assert len(kept.told) == 6
        assert {span.traceparent.split("-")[1] for span in kept.told} == {UUID(int=n + 1).hex for n in range(3)}

    async def test_of_several_that_fail_together_nothing_is_told(self, kept: Kept) -> None:
        poison = Envelope(
            message_id=uuid4(), topic="sales.order.v1", key="poison", type_="sales.order.held", version=1,
            occurred_at=datetime.now(UTC), trace=PARENT,
        )  # fmt: skip
        assert not await Takes(together=True).taking().together([envelope(), poison])
        assert not kept.told

    async def test_gives_the_messages_trace_to_logs_where_no_spans_are_kept(self) -> None:
        takes = Takes()
        await takes.taking().one(envelope())
        assert takes.traces == [TRACE]


def taking_module() -> Any:
    from boxoffice.runtime.bus import taking

    return taking


class TestTimers:
    async def test_are_told_when_they_did_something(self, kept: Kept) -> None:
        import asyncio

        left, ran = [2, 0], asyncio.Event()

        async def run() -> int:
            if not left:
                ran.set()
                return 0
            return left.pop(0)

        async with running([Job(name="expire-holds", every_seconds=0, run=run)]):
            await asyncio.wait_for(ran.wait(), 10)
        [span] = kept.told
        assert (span.called, span.parent, span.tags) == ("job expire-holds", None, {"done": "2"})
