"""Fetching engines' files by a lock: from a repository of our own on loopback."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from boxoffice.runtime.embedded.errors import EngineError
from boxoffice.runtime.embedded.ports import free_port
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java

CONTENT = b"an archive" * 1_000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "repository"
    (root / "org" / "one").mkdir(parents=True)
    (root / "org" / "one" / "one-1.zip").write_bytes(CONTENT)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("BOXOFFICE_ENGINES_CACHE", str(tmp_path / "cache"))
    yield root
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    lock = tmp_path / "one.lock"
    lock.write_text(f"{hashlib.sha256(CONTENT).hexdigest()}  org/one/one-1.zip\n")
    return lock


class TestFetched:
    def test_brings_each_file_once_and_shows_progress(self, repository: Path, lock: Path, tmp_path: Path) -> None:
        said: list[str] = []
        folder = fetched(lock, say=said.append)
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        assert folder == tmp_path / "cache" / f"one-{digest[:12]}"
        assert (folder / "one-1.zip").read_bytes() == CONTENT
        assert said
        (repository / "org" / "one" / "one-1.zip").unlink()
        assert fetched(lock, say=said.append) == folder

    def test_keeps_nothing_that_is_not_what_was_locked(self, repository: Path, lock: Path, tmp_path: Path) -> None:
        (repository / "org" / "one" / "one-1.zip").write_bytes(b"something else")
        with pytest.raises(EngineError, match="is not the file that is locked"):
            fetched(lock, say=lambda _: None)
        assert not list((tmp_path / "cache").glob("*/*"))

    @pytest.mark.usefixtures("repository")
    def test_says_what_to_do_when_it_cannot_be_reached(self, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MAVEN_REPOSITORY", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(EngineError, match="name a mirror in MAVEN_REPOSITORY"):
            fetched(lock, say=lambda _: None)


class TestJava:
    def test_says_what_to_install(self) -> None:
        with pytest.raises(EngineError, match="There is no Java 999 or newer"):
            java(999)
