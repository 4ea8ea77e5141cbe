"""How services ask each other: where an answer points, nobody goes."""

import httpx
import pytest

from boxoffice.runtime.peers import Peers


class TestCall:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_goes_nowhere_that_the_answer_names(self, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        async def answer(_transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(status, headers={"location": "http://169.254.169.254/"})

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
        peers = Peers({"catalog": "http://catalog.example"})
        found = await peers.call("catalog", "GET", "/api/v1/events", headers={"authorization": "Bearer t"})
        await peers.close()
        assert (found.status_code, asked) == (status, ["catalog.example"])
