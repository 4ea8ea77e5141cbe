"""Engines' files are fetched once, whole, and only when they are what the list says; a Java is found by its version."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxoffice.runtime.embedded.errors import EngineMissingError
from boxoffice.runtime.engines import java as finding
from boxoffice.runtime.engines.fetching import fetched
from boxoffice.runtime.engines.java import java

JAR = b"a jar" * 100_000


class Repository:
    """A small Maven repository that counts what is asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("content-length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Repository]:
    one = Repository()
    monkeypatch.setenv("MAVEN_REPOSITORY", one.url)
    monkeypatch.setenv("BOXOFFICE_ENGINES_CACHE", str(tmp_path / "cache"))
    yield one
    one.server.shutdown()
    one.server.server_close()


def listed(tmp_path: Path, **files: bytes) -> Path:
    lock = tmp_path / "thing.lock"
    lines = [f"{hashlib.sha256(body).hexdigest()}  org/thing/{name}.jar" for name, body in files.items()]
    lock.write_text("# A thing.\n" + "\n".join(lines) + "\n")
    return lock


class TestFetching:
    def test_happens_once(self, repository: Repository, tmp_path: Path) -> None:
        repository.files = {"/org/thing/one.jar": JAR, "/org/thing/two.jar": b"two"}
        lock, said = listed(tmp_path, one=JAR, two=b"two"), list[str]()
        folder = fetched(lock, say=said.append)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"one.jar": JAR, "two.jar": b"two"}
        assert said
        assert "2 of 2" in said[0]
        assert fetched(lock, say=said.append) == folder
        assert sorted(repository.asked) == ["/org/thing/one.jar", "/org/thing/two.jar"]

    def test_refuses_what_was_changed_on_the_way(self, repository: Repository, tmp_path: Path) -> None:
        repository.files = {"/org/thing/one.jar": b"something else"}
        with pytest.raises(EngineMissingError, match="changed on the way"):
            fetched(listed(tmp_path, one=JAR), say=lambda _: None)
        assert not list((tmp_path / "cache").rglob("*.*ar*"))

    @pytest.mark.usefixtures("repository")
    def test_says_what_to_do_when_it_cannot_be_had(self, tmp_path: Path) -> None:
        with pytest.raises(EngineMissingError, match="MAVEN_REPOSITORY"):
            fetched(listed(tmp_path, one=JAR), say=lambda _: None)

    def test_goes_on_where_it_stopped(self, repository: Repository, tmp_path: Path) -> None:
        lock = listed(tmp_path, one=JAR, two=b"two")
        repository.files = {"/org/thing/one.jar": JAR}
        with pytest.raises(EngineMissingError):
            fetched(lock, say=lambda _: None)
        repository.asked.clear()
        repository.files["/org/thing/two.jar"] = b"two"
        fetched(lock, say=lambda _: None)
        assert repository.asked == ["/org/thing/two.jar"]


class TestJava:
    @pytest.fixture
    def homes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(finding, "HOMES", tmp_path)
        monkeypatch.delenv("JAVA_HOME", raising=False)
        monkeypatch.setenv("PATH", "/nowhere")
        for version in (11, 17, 25):
            program = tmp_path / f"jdk-{version}" / "bin" / "java"
            program.parent.mkdir(parents=True)
            program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}.0.2\"' >&2\n")
            program.chmod(0o755)
        return tmp_path

    @pytest.mark.parametrize(("at_least", "found"), [(11, 11), (12, 17), (21, 25)])
    def test_is_the_oldest_that_is_new_enough(self, homes: Path, at_least: int, found: int) -> None:
        assert java(at_least) == homes / f"jdk-{found}" / "bin" / "java"

    @pytest.mark.usefixtures("homes")
    def test_that_is_too_old_is_none(self) -> None:
        with pytest.raises(EngineMissingError, match="No Java 26"):
            java(26)
