"""Log lines: the short way of our own records says exactly what the long way says, and nothing secret (invariant I24)."""

import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxoffice.runtime import telemetry
from boxoffice.runtime.log_lines import LineHandler, StreamLines
from boxoffice.runtime.telemetry import BEARER, CARD, EMAIL, begin_trace, configure_logging, log, redact, resume_trace

ADDRESS, NUMBER, TOKEN, WORD = "canary@example.org", "4111 1111 1111 1111", "eyJcanary.canary.canary", "canaryword"
DIGITS = "\u0664\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661"
"""A card's number in Arabic."""
CANARIES = (ADDRESS, "4111", TOKEN, WORD)
ORDER = UUID("0f5f1f6e-9a0b-4a52-8f2c-3f6f0a1b2c3d")


Screen = pytest.CaptureFixture[str]


class Beside(LineHandler):
    """An archive that keeps lines, and counts those that came as records of the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.records = 0

    def take(self, line: str) -> None:
        self.lines.append(line)

    def emit(self, entry: logging.LogRecord) -> None:
        self.records += 1
        super().emit(entry)


@pytest.fixture
def beside() -> Beside:
    return Beside()


@pytest.fixture(autouse=True)
def _nothing_is_left(logging_as_it_was: None) -> Iterator[None]:  # noqa: ARG001 - it undoes what was configured
    yield
    resume_trace(None)


def configured(beside: LineHandler | None = None) -> Any:
    """Configure inside of a test, so that the handlers of the test's runner are gone; give a logger in a trace."""
    configure_logging(service="bookings", beside=beside)
    begin_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    return log("boxoffice.test")


def fail(with_what: str) -> None:
    raise RuntimeError(with_what)


def fails(say: Callable[..., object], **fields: object) -> None:
    try:
        fail(f"no mailbox {ADDRESS}")
    except RuntimeError:
        say("failed", **fields)


def raised(ours: Any) -> None:
    try:
        fail(f"no card {NUMBER}")
    except RuntimeError as error:
        ours.error("unexpected", exc_info=error)


class Strange:
    def __repr__(self) -> str:
        return f"<strange {WORD}>"


class Said:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


SAID: dict[str, Callable[[Any], object]] = {
    "plain": lambda ours: ours.info("payment.captured", payment=str(ORDER), order=str(ORDER)),
    "every level": lambda ours: [getattr(ours, level)("x") for level in ("debug", "warning", "error", "critical")],
    "numbers and none": lambda ours: ours.info("x", a=1, b=None, c=1.5, d=True, e=float("nan"), f=2**70),
    "not json": lambda ours: ours.info("x", a=ORDER, b={1}, c=Strange(), d=b"bytes", e=(1, [2, {"a": ORDER}])),
    "other alphabets": lambda ours: ours.info("日本語", name="Dvořák", odd="\ud800", digits=DIGITS),
    "secret": lambda ours: ours.info("to canary@example.org", to=ADDRESS, card=NUMBER, bearer=TOKEN, password=WORD),
    "secret names": lambda ours: ours.info("x", Authorization=WORD, set_cookie=WORD, apiKey=WORD, barcode=None),
    "names of ours": lambda ours: ours.info("x", level="loud", time=ADDRESS, traceId=ADDRESS, service=ADDRESS),
    "exception": lambda ours: fails(ours.exception),
    "exception without": lambda ours: fails(ours.exception, exc_info=False),
    "exception given": raised,
    "no exception": lambda ours: ours.error("x", exc_info=True),
    "stack": lambda ours: ours.info("x", stack_info=True),
    "arguments": lambda ours: ours.info("to %s", ADDRESS),
    "bound": lambda ours: ours.bind(event_id=7).info("x"),
    "by number": lambda ours: ours.log(logging.WARNING, "x"),
    "no event": lambda ours: ours.info(),
    "lines": lambda ours: ours.info('one\ntwo\r"three"\\', more="\x00\x1b[31m"),
}


def lines_without_time(text: str) -> str:
    return re.sub(r'("time": )"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"', r"\1...", text)


def drained(screen: Screen) -> str:
    return lines_without_time(screen.readouterr().err)


def the_long_way(say: Callable[[], object]) -> None:
    """Log while somebody else listens too."""
    listener = logging.NullHandler()
    logging.getLogger().addHandler(listener)
    try:
        say()
    finally:
        logging.getLogger().removeHandler(listener)


class TestBothWays:
    @pytest.mark.parametrize("said", SAID)
    def test_say_the_same(self, said: str, capsys: Screen, beside: Beside) -> None:
        ours = configured(beside)
        SAID[said](ours)
        short, short_beside = drained(capsys), lines_without_time("\n".join(beside.lines))
        assert beside.records == 0, "the short way makes no record"
        assert short.count("\n") == len(beside.lines) > 0
        beside.lines.clear()
        the_long_way(lambda: SAID[said](ours))
        assert beside.records == len(beside.lines)
        assert short == drained(capsys)
        assert short_beside == lines_without_time("\n".join(beside.lines))
        assert not [canary for canary in CANARIES if canary in short and said != "not json"]

    @pytest.mark.parametrize("human", [False, True])
    def test_blot_out_within_values_at_every_depth(self, capsys: Screen, *, human: bool) -> None:
        configure_logging(service="bookings", human=human)
        ours = log("boxoffice.within")
        ours.info(
            "x", to=[ADDRESS], deep={"a": [{"password": WORD, "b": (NUMBER, {"c": TOKEN})}]}, odd={ADDRESS},
            raw=ADDRESS.encode(), error=ValueError(f"no mailbox {ADDRESS}"), named={ADDRESS: 1},
        )  # fmt: skip
        ours.info("to %s", ADDRESS)
        logging.getLogger("somebody.else").warning("x %(a)s", {"a": ADDRESS})
        said = capsys.readouterr().err
        assert not [canary for canary in CANARIES if canary in said]
        assert said.count("[email]") >= 6

    def test_end_with_what_is_too_deep(self, capsys: Screen) -> None:
        endless: list[Any] = []
        endless.append(endless)
        configured().info("x", endless=endless)
        assert "…" in json.loads(capsys.readouterr().err)["endless"][0][0][0][0][0][0]

    def test_a_line_is_what_it_always_was(self, capsys: Screen) -> None:
        ours = configured()
        ours.info("payment.captured", payment=str(ORDER), to=ADDRESS)
        assert drained(capsys) == (
            f'{{"payment": "{ORDER}", "to": "[email]", "event": "payment.captured", "service": "bookings",'
            ' "level": "info", "time": ..., "traceId": "0af7651916cd43dd8448eb211c80319c"}\n'
        )

    @settings(deadline=None)
    @given(
        st.dictionaries(
            st.text(max_size=8).filter(lambda key: key not in {"event", "self", "method_name"}),
            st.one_of(
                st.text(max_size=60), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=5)
            ),
            max_size=6,
        )
    )
    def test_say_the_same_of_any_fields(self, fields: dict[str, Any]) -> None:
        steps = telemetry._finish(structlog.processors.JSONRenderer(serializer=telemetry._json))
        plain = telemetry._finish(structlog.processors.JSONRenderer())
        assert through(steps, fields) == through(plain, fields)


def through(steps: list[Any], fields: dict[str, Any]) -> str:
    made: Any = dict(fields)
    for step in steps:
        made = step(None, "info", made)
    return str(made)


class TestLevels:
    @pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 2), ("error", 0)])
    def test_are_kept(self, level: str, expected: int, capsys: Screen) -> None:
        configure_logging(service="bookings", level=level)
        ours = log("boxoffice.levels")
        ours.debug("x")
        ours.info("x")
        ours.warning("x")
        assert drained(capsys).count("\n") == expected

    def test_of_one_module_are_kept(self, capsys: Screen) -> None:
        ours = configured()
        logging.getLogger("boxoffice.test").setLevel(logging.ERROR)
        try:
            ours.info("x")
        finally:
            logging.getLogger("boxoffice.test").setLevel(logging.NOTSET)
        assert drained(capsys) == ""


class TestOthers:
    def test_libraries_records_take_the_long_way_to_the_same_places(self, capsys: Screen, beside: Beside) -> None:
        ours = configured(beside)
        logging.getLogger("somebody.else").warning("to %s with %s", ADDRESS, NUMBER)
        ours.info("x")
        said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [one["event"] for one in said] == ["to [email] with [card]", "x"]
        assert said[0] | said[1] == said[0] | said[1] | {"service": "bookings", "traceId": said[1]["traceId"]}
        assert (beside.records, len(beside.lines)) == (1, 2)

    def test_whoever_listens_to_the_root_hears_ours(self, caplog: pytest.LogCaptureFixture) -> None:
        ours = configured()
        logging.getLogger().addHandler(caplog.handler)
        ours.info("hold.placed", event_id=7)
        logging.getLogger().removeHandler(caplog.handler)
        heard: Any = caplog.records[0].msg
        assert (heard["event"], heard["event_id"], caplog.records[0].name) == ("hold.placed", 7, "boxoffice.test")

    def test_whoever_listens_to_one_module_hears_ours(self, capsys: Screen) -> None:
        ours = configured()
        heard = Beside()
        heard.setFormatter(logging.Formatter())
        module = logging.getLogger("boxoffice.test")
        module.addHandler(heard)
        module.addFilter(lambda record: record.msg["event"] != "unwanted")
        try:
            ours.info("wanted")
            ours.info("unwanted")
        finally:
            module.handlers.clear()
            module.filters.clear()
        assert len(heard.lines) == 1
        assert "unwanted" not in capsys.readouterr().err


class TestForPeople:
    def test_says_the_same_as_before_and_json_beside(self, capsys: Screen, beside: Beside) -> None:
        configure_logging(service="bookings", human=True, beside=beside)
        ours = log("boxoffice.people")
        ours.info("hold.placed", to=ADDRESS, event_id=7)
        fails(ours.exception)
        assert re.match(
            r"\[info +\] hold\.placed +event_id=7 service=bookings time=\S+Z to=\[email\]\n", drained(capsys)
        )
        first, second = (json.loads(line) for line in beside.lines)
        assert first | {"event": "hold.placed", "to": "[email]", "event_id": 7} == first
        assert second["exception"].endswith("RuntimeError: no mailbox [email]")

    @pytest.mark.parametrize(
        "nasty", ["\n[info] forged", "\r[info] forged", "\x1b[2J", "\x9b2J", "\u2028", "\u202e", "\x00"]
    )
    def test_nothing_begins_a_line_or_tells_a_terminal_anything(self, nasty: str, capsys: Screen) -> None:
        configure_logging(service="bookings", human=True)
        ours = log("boxoffice.people")
        ours.info(
            f"event{nasty}",
            value=f"a{nasty}",
            within={"a": [f"b{nasty}"]},
            odd=Said(f"e{nasty}"),
            **{f"name{nasty}": 1},
        )
        logging.getLogger("somebody.else").warning("heard %s", f"c{nasty}")
        try:
            fail(f"d{nasty}")
        except RuntimeError:
            ours.exception("failed")
        said = capsys.readouterr().err
        assert all(letter == "\n" or letter.isprintable() for letter in said)
        assert [line[:5] for line in said.split("\n") if line and not line.startswith("  ")] == [
            "[info",
            "[warn",
            "[erro",
        ]


class Closed(io.StringIO):
    """A stream that somebody else closed, or whose reader is gone."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, _text: str, /) -> int:
        raise self.error


class Slow:
    """A stream that takes letters one by one, and lets others go ahead after each."""

    def __init__(self) -> None:
        self.letters: list[str] = []

    def write(self, text: str) -> None:
        for letter in text:
            self.letters.append(letter)
            os.sched_yield()

    def flush(self) -> None:
        pass


class TestWriting:
    @pytest.mark.parametrize(
        "error", [ValueError("I/O operation on closed file"), BrokenPipeError(), OSError(28, "No space left")]
    )
    def test_a_stream_that_is_gone_breaks_nobody(
        self, error: Exception, monkeypatch: pytest.MonkeyPatch, beside: Beside
    ) -> None:
        monkeypatch.setattr(sys, "stderr", Closed(error))
        configure_logging(service="bookings", beside=beside)
        log("boxoffice.closed").info("x")
        logging.getLogger("somebody.else").warning("x")
        assert len(beside.lines) == 2, "who is beside hears of it all the same"

    def test_what_cannot_be_written_breaks_nobody(self, capsys: Screen) -> None:
        ours = configured()
        ours.info("x", field={("no", "key"): 1})
        assert "keys must be str" in capsys.readouterr().err
        ours.info("and on")
        assert capsys.readouterr().err.startswith('{"event": "and on"')

    def test_lines_of_threads_never_mix(self) -> None:
        stream = Slow()
        handler = StreamLines(stream)  # type: ignore[arg-type] # all that it needs of a stream
        lines = [str(number) * 20 for number in range(8)]
        threads = [threading.Thread(target=lambda line=line: [handler.take(line) for _ in range(50)]) for line in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted("".join(stream.letters).splitlines()) == sorted(lines * 50)


def redacted_plainly(text: str) -> str:
    return EMAIL.sub("[email]", CARD.sub("[card]", BEARER.sub("[token]", text)))


PIECES = st.one_of(
    st.sampled_from([
        "eyJ", ".", "@", "-", " ", "  ", "x", "_", "4111", "4111 1111 1111 1111", "4111-1111-1111-1", "1234567890123",
        "a@b.c", "eyJx.y.z", "\u0664", "\u07c0", "é", "\ud800", "\n", "\x00", "[card]", "+", "example.org", str(ORDER),
        "12345678-1234-7234-8234-123456789012", "2026-11-28T12:00:00.123456Z",
    ]),
    st.text(alphabet="0123456789 -", max_size=24),
    st.text(max_size=8),
)  # fmt: skip


class TestRedact:
    @settings(max_examples=1_000, deadline=None)
    @given(st.lists(PIECES, max_size=8).map("".join))
    @example("12345678-1234-7234-8234-123456789012")
    @example(DIGITS)
    @example("eyJ1.2.3 1 2 3 4 5 6 7 8 9 0 1 2 3 a@b.c")
    def test_blots_out_what_the_expressions_alone_do(self, text: str) -> None:
        assert redact(text) == redacted_plainly(text)

    @given(st.uuids().map(str))
    def test_leaves_ids_as_the_expressions_do(self, text: str) -> None:
        assert redact(text) == redacted_plainly(text)

    def test_blots_out(self) -> None:
        assert redact(f"{ADDRESS}, {NUMBER}, {TOKEN}") == "[email], [card], [token]"
        assert redact("4111111111111") == "[card]"
