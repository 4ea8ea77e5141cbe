"""``boxoffice up`` from start to stop: what it keeps, what it says, and that it leaves no process behind."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tests.support.commands import Up, alive, run, up

from boxoffice.cli.exits import Exit

WARM_S = 10.0
PASSWORD = "a long enough password 1"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A demo shop for the tests that only look."""
    with up(tmp_path_factory.mktemp("shop") / "data", "--demo", "--demo-concerts", "1") as running:
        yield running


def register(shop: Up, name: str) -> None:
    body = {"name": name, "email": f"{name}@example.org", "password": PASSWORD}
    answer = httpx.post(f"{shop.address}/api/v1/auth/register", json=body, trust_env=False)
    assert answer.status_code == httpx.codes.CREATED, answer.text


def login(shop: Up, email: str, password: str = PASSWORD) -> httpx.Response:
    body = {"email": email, "password": password}
    return httpx.post(f"{shop.address}/api/v1/auth/login", json=body, trust_env=False)


@pytest.mark.xdist_group("up")
class TestRunning:
    def test_says_where_it_is_and_who_can_log_in(self, shop: Up) -> None:
        said = shop.log.read_text()
        for words in (shop.address, "organiser@example.org", "boxoffice-demo", f"{shop.address}/mailbox"):
            assert words in said
        assert login(shop, "buyer@example.org", "boxoffice-demo").status_code == httpx.codes.OK

    def test_a_second_start_names_the_first(self, shop: Up) -> None:
        ended = run("up", "--port", "0", "--data-dir", shop.folder)
        assert (ended.returncode, ended.stderr.count("\n")) == (Exit.ALREADY_RUNNING, 1)
        assert shop.address in ended.stderr
        assert str(shop.process.pid) in ended.stderr

    def test_only_the_owner_reads_how_it_is_reached(self, shop: Up) -> None:
        for name in ("run.json", "secrets.json"):
            assert (shop.folder / name).stat().st_mode & 0o077 == 0
        assert shop.folder.stat().st_mode & 0o077 == 0

    def test_commands_find_it(self, shop: Up) -> None:
        made = run(
            "admin", "create", "--email", "boss@example.org", "--password-stdin",
            "--data-dir", shop.folder, stdin=PASSWORD + "\n",
        )  # fmt: skip
        assert made.returncode == Exit.OK, made.stderr
        assert login(shop, "boss@example.org").status_code == httpx.codes.OK
        assert run("audit", "--data-dir", shop.folder).returncode == Exit.OK
        looked = run("doctor", "--data-dir", shop.folder)
        assert looked.returncode == Exit.OK, looked.stdout
        assert shop.address in looked.stdout
        assert "valkey 9" in looked.stdout

    def test_listens_on_loopback_only(self, shop: Up) -> None:
        listening = {
            connection.laddr.ip
            for process in shop.family()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}

    def test_shows_no_secret_to_other_users(self, shop: Up) -> None:
        secrets = (shop.folder / "secrets.json").read_text()
        for process in shop.family():
            for word in process.cmdline():
                assert len(word) < 20 or word not in secrets


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
    def test_leaves_no_process_behind_and_keeps_everything(self, tmp_path: Path, number: signal.Signals) -> None:
        with up(tmp_path / "d", "--demo", "--demo-concerts", "1") as shop:
            register(shop, "somebody")
            assert shop.signal(number) == Exit.OK
            assert not (shop.folder / "run.json").exists()
        with up(tmp_path / "d") as again:
            assert login(again, "somebody@example.org").status_code == httpx.codes.OK
            assert (again.folder / "demo").exists()

    def test_finishes_a_request_that_had_begun(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--no-demo") as shop:
            body = b'{"email": "nobody@example.org", "password": "whatever it may be"}'
            host, port = shop.address.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(
                    b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(body) + body[:10]
                )
                time.sleep(0.3)
                shop.process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                connection.sendall(body[10:])
                assert connection.recv(100).startswith(b"HTTP/1.1 401 ")
            assert shop.process.wait(30) == Exit.OK

    def test_while_starting_leaves_nothing_behind_either(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--demo", wait=False) as shop:
            deadline = time.monotonic() + 20
            while len(shop.family()) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert shop.signal(signal.SIGTERM) == Exit.OK
        with up(tmp_path / "d", "--no-demo"):
            pass

    def test_a_second_ctrl_c_is_immediate(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--no-demo") as shop:
            host, port = shop.address.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as connection:  # a request that never ends
                connection.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
                time.sleep(0.3)
                family = shop.family()
                shop.process.send_signal(signal.SIGINT)
                time.sleep(0.5)
                assert shop.process.poll() is None
                began = time.monotonic()
                shop.process.send_signal(signal.SIGINT)
                assert shop.process.wait(10) == Exit.INTERRUPTED
            assert time.monotonic() - began < 3
            assert not alive(family)
        with up(tmp_path / "d", "--no-demo"):
            pass


class TestCrashing:
    def test_killing_everything_keeps_what_was_acknowledged(self, tmp_path: Path) -> None:
        for round_ in range(3):
            with up(tmp_path / "d", "--no-demo") as shop:
                for earlier in range(round_):
                    assert login(shop, f"buyer{earlier}@example.org").status_code == httpx.codes.OK
                register(shop, f"buyer{round_}")
                shop.kill_everything()

    def test_killing_only_the_parent_ends_the_children(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--demo", "--demo-concerts", "1") as shop:
            children = shop.family()[1:]
            os.kill(shop.process.pid, signal.SIGKILL)
            shop.process.wait(10)
            assert len(children) >= 3
            assert not psutil.wait_procs(children, timeout=15)[1]

    def test_an_engine_that_dies_ends_the_shop_with_a_sentence(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--no-demo") as shop:
            [postgres] = [
                child for child in shop.family()[1:] if child.name() == "postgres" and child.ppid() == shop.process.pid
            ]
            postgres.kill()
            assert shop.process.wait(30) == Exit.ENGINE_FAILED
            assert "PostgreSQL ended by itself" in shop.log.read_text()
            assert "Traceback" not in shop.log.read_text().splitlines()[-1]


class TestSpeed:
    def test_a_warm_start_shows_its_first_page_within_ten_seconds(self, tmp_path: Path) -> None:
        with up(tmp_path / "d", "--demo", "--demo-concerts", "1") as shop:
            shop.signal(signal.SIGTERM)
        began = time.monotonic()
        with up(tmp_path / "d") as shop:
            assert httpx.get(f"{shop.address}/", trust_env=False).status_code < 500
            took = time.monotonic() - began
            spent = sum(sum(process.cpu_times()[:2]) for process in shop.family())
        others_work = os.getloadavg()[0] > (os.cpu_count() or 1)
        assert took < WARM_S or (others_work and spent < WARM_S)


@pytest.mark.xdist_group("up")
class TestDemo:
    def test_without_the_demo_nobody_logs_in_with_its_password(self, tmp_path: Path) -> None:
        for option, status in (("--demo", httpx.codes.OK), ("--no-demo", httpx.codes.UNAUTHORIZED)):
            with up(tmp_path / "d", option, "--demo-concerts", "1") as shop:
                for name in ("organiser", "buyer", "administrator"):
                    assert login(shop, f"{name}@example.org", "boxoffice-demo").status_code == status, (option, name)
