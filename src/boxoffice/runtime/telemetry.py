"""Logs as JSON lines with the trace id in each, and the metrics that every process shows under /metrics.

Redaction is here (invariant I24): a log record never carries a password, a token, a card number or an e-mail address.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache

import structlog
from prometheus_client import Counter, Gauge, Histogram

from boxoffice.runtime.log_lines import LineHandler, ShortWay, StreamLines, for_people
from boxoffice.runtime.uuids import drawn

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
"""W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header: trace, span, flags."""

SECRET_KEYS = re.compile(r"pass|secret|token|authori[sz]ation|cookie|signature|barcode|api.?key", re.IGNORECASE)
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]+")
"""Looked for from the beginning of a run of letters only: from each letter of it, a long one would take its square."""
CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
SHORTEST_CARD = b"0" * 13
AS_ZERO = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
BEARER = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
BLOTTED = "[redacted]"
LEFT_OUT = "…"
MOST_DEPTH = 6
"""Of values within values; none of ours is half as deep."""
MOST_KEYS = 1_024
"""Names of fields whose judgement is kept: all that the programs write; others are judged anew."""

_trace: ContextVar[str | None] = ContextVar("trace", default=None)

REQUESTS = Histogram(
    "boxoffice_http_request_seconds", "Time to answer, by service, route and status.",
    ["service", "method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip
REFUSALS = Counter("boxoffice_refusals_total", "Expected refusals, by code.", ["service", "code"])
HOUSES = Counter(
    "boxoffice_house_pictures_total", "Pictures of houses, by how a process came by them.", ["source"]
)  # fmt: skip
EARLY_NO = Counter(
    "boxoffice_early_no_total", "Hopeless holds refused before the database, or let through.", ["outcome"]
)
LIVE_CLIENTS = Gauge("boxoffice_live_clients", "Clients that follow a house live.")
LIVE_LATE = Counter(
    "boxoffice_live_late_total", "Clients too slow for a step of a house, by what became of them.", ["outcome"]
)
LIVE_SECONDS = Histogram(
    "boxoffice_live_broadcast_seconds", "Time to hand one step of a house to everybody who watches it.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
)  # fmt: skip
OUTBOX_AGE = Gauge("boxoffice_outbox_oldest_seconds", "Age of the oldest record not yet on the bus.", ["service"])
CONSUMER_LAG = Gauge("boxoffice_consumer_lag", "Messages that a consumer has yet to take.", ["consumer", "topic"])
MESSAGES = Counter("boxoffice_messages_total", "Messages taken, by consumer and outcome.", ["consumer", "outcome"])
SEARCH_ANSWERS = Counter(
    "boxoffice_search_answers_total", "Answers to searches: kept, made for somebody else too (joined), or made.",
    ["source"],
)  # fmt: skip
HOLDS_TOGETHER = Histogram(
    "boxoffice_holds_together", "Requests that one call to the database decided.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
LOG_RECORDS = Counter(
    "boxoffice_log_records_total", "Log records for the archive, by what became of them.", ["outcome"]
)  # fmt: skip
FACTS = Counter("boxoffice_facts_total", "Facts on their way to the bus, by type; one may be counted twice.", ["type"])
HOLDS_OPEN = Gauge("boxoffice_holds_open", "Orders that are held now, as the last look at them found.")
UPSTREAM = Counter(
    "boxoffice_upstream_failures_total",
    "Calls from the gateway that a service did not answer.",
    ["upstream", "outcome"],
)
BREAKER_OPEN = Gauge(
    "boxoffice_breaker_open", "1 while something that did not answer is not asked: a search server, a process.",
    ["dependency"],
)  # fmt: skip
SPANS = Counter("boxoffice_spans_total", "Spans that were kept, by what became of them.", ["outcome"])
JOBS = Counter("boxoffice_job_runs_total", "Runs of background jobs, by outcome.", ["job", "outcome"])
AUDIT_FINDINGS = Gauge(
    "boxoffice_audit_findings", "Records that break a rule of the sale, by rule; 0 is right.", ["rule"]
)
AUDIT_AGE = Gauge("boxoffice_audit_age_seconds", "Since the auditor last looked; NaN where another process does.")
AUDIT_SECONDS = Histogram(
    "boxoffice_audit_seconds", "How long one look of the auditor took.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60)
)
EVENTS_HALTED = Gauge("boxoffice_events_halted", "Events whose sale the auditor stopped; 0 is right.")


def begin_trace(traceparent: str | None) -> str:
    """Continue the caller's trace, or begin one; returns the new ``traceparent``."""
    match = TRACEPARENT.fullmatch(traceparent) if traceparent else None
    trace_id = match[1] if match and match[1] != "0" * 32 else f"{drawn():016x}{drawn():016x}"
    value = f"00-{trace_id}-{drawn():016x}-01"
    _trace.set(value)
    return value


def resume_trace(traceparent: str | None) -> None:
    """Say in which trace, and under which span of it, things are done from here on."""
    _trace.set(traceparent)


def current_trace() -> str | None:
    """Tell the ``traceparent`` of what is being done now."""
    return _trace.get()


def trace_id() -> str:
    """Tell the 32 hex digits that name this trace in logs and problems ("" outside of one)."""
    value = _trace.get()
    return value.split("-")[1] if value else ""


def redact(text: str) -> str:
    """Blot out tokens, card numbers and e-mail addresses in free text.

    An expression is tried only where the text has what each of its matches has: most values are short and plain.
    """
    if "eyJ" in text:
        text = BEARER.sub("[token]", text)
    if _has_digits_of_a_card(text):
        text = CARD.sub("[card]", text)
    return EMAIL.sub("[email]", text) if "@" in text else text


def _has_digits_of_a_card(text: str) -> bool:
    """Whether enough digits stand in a row once spaces and hyphens are gone; other alphabets have digits too."""
    return not text.isascii() or SHORTEST_CARD in text.encode().translate(AS_ZERO, b" -")


@lru_cache(MOST_KEYS)
def _is_secret(key: str) -> bool:
    return SECRET_KEYS.search(key) is not None


def _redact_record(_logger: object, _method: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in record.items():
        if _is_secret(key):
            record[key] = BLOTTED
        elif isinstance(value, str):
            record[key] = redact(value)
        elif value is not None and not isinstance(value, int | float):
            record[key] = _redacted(value, MOST_DEPTH)
    return record


def _redacted(value: object, depth: int) -> object:
    """Blot out what is secret within a value, at every depth; what is deeper than anything of ours is left out."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict | list | tuple) and depth <= 0:
        return LEFT_OUT
    if isinstance(value, dict):
        return {
            redact(name) if isinstance(name, str) else name: (
                BLOTTED if isinstance(name, str) and _is_secret(name) else _redacted(one, depth - 1)
            )
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_redacted(one, depth - 1) for one in value]
    shown = repr(value)  # as it will be written
    clean = redact(shown)
    return value if clean == shown else clean


def _add_trace(_logger: object, _method: str, record: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if trace := trace_id():
        record["traceId"] = trace
    return record


def configure_logging(
    *, service: str, level: str = "info", human: bool = False, beside: LineHandler | None = None
) -> None:
    """Send every log record, ours and the libraries', to standard error; the same steps make the lines of both.

    ``beside`` gets each of them too, always as the JSON line with everything blotted out.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _add_trace,
    ]
    lines = _finish(structlog.processors.JSONRenderer(serializer=_json))
    shown = _finish(for_people, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())) if human else lines
    handlers: list[LineHandler] = [StreamLines(sys.stderr)]
    handlers[0].setFormatter(_formatter(shared, shown))
    if beside is not None:
        beside.setFormatter(_formatter(shared, lines))
        handlers.append(beside)
    logging.basicConfig(handlers=handlers, level=level.upper(), force=True)
    for noisy in ("httpx", "httpcore", "uvicorn.access", "mail.log"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # People read no thousand lines a second, and theirs differ from those beside.
    out = structlog.stdlib.ProcessorFormatter.wrap_for_formatter if human else ShortWay(lines, handlers)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, out],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _finish(*render: structlog.typing.Processor) -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, _redact_record, *render]


def _formatter(
    shared: list[structlog.typing.Processor], finish: list[structlog.typing.Processor]
) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
    )


def _json(record: structlog.typing.EventDict, *, default: Callable[[object], object]) -> str:
    return _encoder(default).encode(record)


@lru_cache(1)
def _encoder(default: Callable[[object], object]) -> json.JSONEncoder:
    """Make what ``json.dumps`` would make for every line."""
    return json.JSONEncoder(default=default)


def log(name: str) -> structlog.stdlib.BoundLogger:
    """Give a module its logger: ``log(__name__).info("hold.placed", event_id=7)``."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
