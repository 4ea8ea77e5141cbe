"""Hot paths answer like the framework would, or leave the call to it."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from litestar import get
from prometheus_client import REGISTRY

from boxoffice.kernel.errors import Category, DomainError
from boxoffice.runtime import web
from boxoffice.runtime.hotpaths import Answer, Call, HotPath, segment


class GoneAwayError(DomainError):
    code: ClassVar[str] = "test.gone_away"
    category: ClassVar[Category] = Category.GONE
    title: ClassVar[str] = "It went away"


async def answer_hot(call: Call) -> Answer | None:
    which = segment(call.path)
    if which == "left":
        return None
    if which == "refused":
        raise GoneAwayError("Too late.", thing=which)
    if which == "broken":
        raise RuntimeError("nobody expected this")
    return Answer.of(200, b'"hot"', cache_control="no-store")


@get("/things/{name:str}/state")
async def answer_slowly(name: str) -> str:
    return f"framework: {name}"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    hot = HotPath("GET", "/api/v1/things/{}/state", answer_hot, route="/api/v1/things/{name}/state")
    app = web.make_app("hot-test", routes=[answer_slowly], verifier=None, hot_paths=[hot])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as found:
        yield found


def common(answer: httpx.Response) -> dict[str, str]:
    """The headers that every answer has, without the one that differs by call."""
    own = {"content-length", "content-type", "cache-control", "x-request-id"}
    return {name: value for name, value in answer.headers.items() if name not in own}


class TestHotPath:
    async def test_answers_with_the_headers_of_every_other_answer(self, client: httpx.AsyncClient) -> None:
        hot, framework = await client.get("/things/a/state"), await client.get("/things/left/state")
        assert (hot.json(), hot.headers["cache-control"]) == ("hot", "no-store")
        assert framework.text == "framework: left"
        assert common(hot) == common(framework)
        assert common(hot)["x-frame-options"] == "DENY"

    @pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/things/a/state", 405)])
    async def test_what_nobody_serves_is_refused_with_the_same_headers(
        self, client: httpx.AsyncClient, method: str, path: str, status: int
    ) -> None:
        hot, refused = await client.get("/things/a/state"), await client.request(method, path)
        assert refused.status_code == status
        assert {**common(refused), **common(hot)} == common(refused)
        assert refused.json()["traceId"] == refused.headers["x-request-id"]

    async def test_every_answer_says_what_it_may_not_be_taken_for(self, client: httpx.AsyncClient) -> None:
        assert common(await client.get("/things/a/state")) == {
            "x-content-type-options": "nosniff",
            "referrer-policy": "strict-origin-when-cross-origin",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
        }

    async def test_continues_the_trace(self, client: httpx.AsyncClient) -> None:
        trace = "0af7651916cd43dd8448eb211c80319c"
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        for name in ("a", "left", "refused"):
            answer = await client.get(f"/things/{name}/state", headers=headers)
            assert answer.headers["x-request-id"] == trace

    async def test_refuses_with_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/things/refused/state")
        assert answer.status_code == 410
        assert answer.headers["content-type"] == "application/problem+json"
        body: dict[str, Any] = answer.json()
        assert (body["code"], body["thing"]) == ("test.gone_away", "refused")
        assert body["traceId"] == answer.headers["x-request-id"]

    async def test_hides_what_nobody_expected(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/things/broken/state")
        assert answer.status_code == 500
        assert answer.json()["code"] == "request.unexpected"
        assert "nobody" not in answer.text

    async def test_is_counted_under_the_route_of_the_framework(self, client: httpx.AsyncClient) -> None:
        def counted(status: str) -> float:
            labels = {
                "service": "hot-test",
                "method": "GET",
                "route": "/api/v1/things/{name}/state",
                "status": status,
            }
            return REGISTRY.get_sample_value("boxoffice_http_request_seconds_count", labels) or 0

        before = counted("200"), counted("410")
        for name in ("a", "left", "refused"):
            await client.get(f"/things/{name}/state")
        assert (counted("200"), counted("410")) == (before[0] + 2, before[1] + 1)

    async def test_leaves_other_methods_and_paths_alone(self, client: httpx.AsyncClient) -> None:
        assert (await client.put("/things/a/state")).status_code == 405
        assert (await client.get("/things/a/b/state")).status_code == 404
