"""The common ground of every HTTP service: what it says when something failed, and what it writes down of it."""

import json

import httpx
import pytest
from litestar import get

from boxoffice.runtime import web
from boxoffice.runtime.hotpaths import HotApp
from boxoffice.runtime.telemetry import configure_logging

TRACE = "0af7651916cd43dd8448eb211c80319c"


@get("/broken")
async def break_down() -> None:
    raise RuntimeError("nobody expected this")


def app() -> HotApp:
    made = web.make_app("web-test", routes=[break_down], verifier=None)
    assert isinstance(made, HotApp)
    return made


async def asked(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        return await client.get(path, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})


class TestDebug:
    async def test_is_off_whatever_the_environment_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LITESTAR_DEBUG", "1")
        monkeypatch.setenv("LITESTAR_PDB", "1")
        made = app()
        assert (made.debug, made.pdb_on_exception) == (False, False)
        for path in ("/broken", "/nothing"):
            answer = await asked(path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert not [word for word in ("Traceback", ".py", "RuntimeError", "nobody") if word in answer.text]


@pytest.mark.usefixtures("logging_as_it_was")
class TestSurprise:
    async def test_is_answered_without_its_words_and_logged_with_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logging(service="web-test")
        answer = await asked("/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "request.unexpected")
        assert "nobody" not in answer.text
        (said,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert (said["event"], said["level"], said["path"]) == ("unexpected", "error", "/api/v1/broken")
        assert said["traceId"] == answer.json()["traceId"] == TRACE
        assert said["exception"].endswith("RuntimeError: nobody expected this")
