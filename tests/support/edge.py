"""nginx and Varnish with the configurations of ``deploy/``, before a service that counts its answers.

Only what belongs to a machine is put in place: addresses, the certificate, the cache's folder.
"""

import gzip
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.deploy import DEPLOY
from tests.support.shop import free_port

READY_S = 30
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
NGINX = DEPLOY / "nginx" / "boxoffice.conf"
VARNISH = DEPLOY / "varnish" / "boxoffice.vcl"
PING = b"ping"


def program(name: str) -> str:
    """Find nginx or varnishd; without it the test fails in CI and is left out elsewhere."""
    found = shutil.which(name, path=PROGRAMS)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {name}: run scripts/servers.sh")
    return found


class Upstream(BaseHTTPRequestHandler):
    """Answers every call with its number, and the headers that were asked for in ``answers``."""

    protocol_version = "HTTP/1.1"
    answers: dict[str, list[tuple[str, str]]]
    seen: list[tuple[str, str, dict[str, str]]]

    def answer(self) -> None:
        """Answer any method."""
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        if self.path != "/health/live":  # Varnish asks on its own
            self.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._socket()
            return
        body = b"" if self.command == "HEAD" else f"{len(self.seen)}".encode()
        self.send_response(200)
        headers = self.answers.get(self.path, [])
        if ("Vary", "Accept-Encoding") in headers and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            headers = [*headers, ("Content-Encoding", "gzip")]
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_HEAD = answer  # noqa: N815 - the library's names

    def _socket(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.write(self.rfile.read(len(PING)))
        self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@dataclass
class Edge:
    """A proxy in front of an upstream that counts."""

    name: str
    url: str
    upstream: type[Upstream]

    def client(self) -> httpx.Client:
        """A client for the proxy."""
        return httpx.Client(base_url=self.url, verify=False, timeout=10, trust_env=False)  # noqa: S501 - made for this test

    def connected(self) -> socket.socket:
        """A connection to the proxy, encrypted where it wants that."""
        port = int(self.url.rpartition(":")[2])
        plain = socket.create_connection(("127.0.0.1", port), 10)
        if not self.url.startswith("https:"):
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain)


@contextmanager
def running(name: str, folder: Path, answers: dict[str, list[tuple[str, str]]]) -> Iterator[Edge]:
    """Run one proxy before an upstream."""
    program("nginx" if name == "nginx" else "varnishd")
    upstream = type("Counting", (Upstream,), {"answers": answers, "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), upstream)
    server.daemon_threads = True
    with ExitStack() as stack:
        stack.callback(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        port = free_port()
        start = nginx if name == "nginx" else varnish
        command = start(folder, port=port, upstream=server.server_address[1])
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log)
        stack.callback(stop, process)
        edge = Edge(name, f"{'https' if name == 'nginx' else 'http'}://127.0.0.1:{port}", upstream)
        wait(edge.url, process, folder / "log")
        yield edge


def nginx(folder: Path, *, port: int, upstream: int) -> Sequence[str | Path]:
    """Write nginx's configuration for a folder; returns the command that runs it."""
    certificate, key = _certificate(folder)
    text = NGINX.read_text()
    for pattern, value in (
        (r"listen \[::\]:\d+[^;]*;", ""),
        (r"listen 80;", f"listen 127.0.0.1:{free_port()};"),
        (r"listen 443 ", f"listen 127.0.0.1:{port} "),
        (r"server 127\.0\.0\.1:8000;", f"server 127.0.0.1:{upstream};"),
        (r"/var/cache/nginx/boxoffice", str(folder / "cache")),
        (r"/etc/boxoffice/tls/certificate\.pem", str(certificate)),
        (r"/etc/boxoffice/tls/key\.pem", str(key)),
    ):
        text, times = re.subn(pattern, value, text)
        assert times, f"nothing to replace: {pattern}"
    (folder / "site.conf").write_text(text)
    folders = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in TEMPORARY)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nworker_processes 1;\npid {folder / 'pid'};\nerror_log stderr warn;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\nevents {{ worker_connections 128; }}\n"
        f"http {{\naccess_log off;\n{folders}\ninclude {folder / 'site.conf'};\n}}\n"
    )
    return [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"]


def varnish(folder: Path, *, port: int, upstream: int) -> Sequence[str | Path]:
    """Write Varnish's configuration for a folder; returns the command that runs it."""
    text, times = re.subn(r'\.port = "8000";', f'.port = "{upstream}";', VARNISH.read_text())
    assert times == 1
    (folder / "site.vcl").write_text(text)
    return [
        program("varnishd"), "-F", "-j", "none", "-n", folder / "varnish", "-a", f"127.0.0.1:{port}", "-T", "none",
        "-f", folder / "site.vcl", "-s", "malloc,16m", "-p", "vsl_space=1M",
    ]  # fmt: skip


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a proxy answers."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/health/live", verify=False, timeout=10, trust_env=False).status_code == 200:  # noqa: S501 - made for this test
                return
        time.sleep(0.1)
    pytest.fail(f"the proxy at {url} does not answer: {log.read_text()[-2000:]}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a proxy."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(15)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tickets.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret
