"""The New York Philharmonic's Performance History, as published: JSON, gzipped or plain, CC0 1.0.

https://github.com/nyphilarchive/PerformanceHistory. Fields that hold markup come as objects: ``_`` is the plain text,
``em`` what was in italics; a field without a value may be missing, ``""``, ``"None"`` or null.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from boxoffice.services.catalog.domain import titles
from boxoffice.services.catalog.domain.concert import PublishedConcert, PublishedSoloist, PublishedWork
from boxoffice.services.catalog.domain.refusals import UnreadableConcertsError

MAX_BYTES = 200 * 1024 * 1024
"""Unpacked; the whole history since 1842 is a fifth of it."""
GZIP = b"\x1f\x8b"


class _Marked(msgspec.Struct, frozen=True):
    plain: str = msgspec.field(name="_", default="")
    em: str | list[str] = ""


_Text = str | _Marked | None


class _Soloist(msgspec.Struct, frozen=True):
    name: _Text = msgspec.field(name="soloistName", default="")
    instrument: _Text = msgspec.field(name="soloistInstrument", default="")
    role: _Text = msgspec.field(name="soloistRoles", default="")


class _Work(msgspec.Struct, frozen=True):
    title: _Text = msgspec.field(name="workTitle", default="")
    movement: _Text = ""
    composer: _Text = msgspec.field(name="composerName", default="")
    conductor: _Text = msgspec.field(name="conductorName", default="")
    interval: _Text = ""
    soloists: list[_Soloist] = []


class _Concert(msgspec.Struct, frozen=True):
    event_type: _Text = msgspec.field(name="eventType", default="")
    location: _Text = msgspec.field(name="Location", default="")
    venue: _Text = msgspec.field(name="Venue", default="")
    date: _Text = msgspec.field(name="Date", default="")
    time: _Text = msgspec.field(name="Time", default="")


class _Programme(msgspec.Struct, frozen=True):
    programme_id: str = msgspec.field(name="programID")
    orchestra: _Text = ""
    season: _Text = ""
    concerts: list[_Concert] = []
    works: list[_Work] = []


class _File(msgspec.Struct, frozen=True):
    programs: list[_Programme]


def read(file: Path) -> list[PublishedConcert]:
    """Read every concert of a file, in its order.

    :raises UnreadableConcertsError: when the file is missing, broken, too large or no performance history.
    """
    try:
        with file.open("rb") as opened:
            packed = opened.read(len(GZIP)) == GZIP
        with gzip.open(file) if packed else file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableConcertsError(f"{file}: {error}", file=file.name) from error
    if len(content) > MAX_BYTES:
        raise UnreadableConcertsError(f"{file} unpacks to more than {MAX_BYTES} bytes.", file=file.name)
    try:
        programmes = msgspec.json.decode(content, type=_File).programs
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableConcertsError(f"{file} is no performance history: {error}", file=file.name) from error
    return [concert for programme in programmes for concert in _concerts(programme)]


def _concerts(programme: _Programme) -> Iterator[PublishedConcert]:
    works = tuple(_work(work) for work in programme.works)
    seen: Counter[tuple[str, str]] = Counter()
    for concert in programme.concerts:
        when = (_text(concert.date), _text(concert.time))
        seen[when] += 1
        yield PublishedConcert(
            programme_id=programme.programme_id, orchestra=_text(programme.orchestra), season=_text(programme.season),
            event_type=_text(concert.event_type), location=_text(concert.location), venue=_text(concert.venue),
            date=when[0], time=when[1], works=works, ordinal=seen[when],
        )  # fmt: skip


def _work(work: _Work) -> PublishedWork:
    return PublishedWork(
        title=_text(work.title), movement=_text(work.movement), composer=_text(work.composer),
        conductor=_text(work.conductor), interval=_text(work.interval),
        soloists=tuple(
            PublishedSoloist(name=_text(one.name), instrument=_text(one.instrument), role=_text(one.role))
            for one in work.soloists
        ),
    )  # fmt: skip


def _text(value: _Text) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return titles.from_parts(value.plain, [value.em] if isinstance(value.em, str) else value.em)
