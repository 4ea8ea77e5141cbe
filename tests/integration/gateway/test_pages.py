"""The gateway's own pages beside a real service: description, documentation, health, metrics."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.support.tasks import in_own_task

from boxoffice.runtime.peers import Peers
from boxoffice.runtime.settings import Settings
from boxoffice.services.gateway.app import build
from boxoffice.services.identity.app import build as build_identity


@pytest.fixture
async def client(identity_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    peers = Peers({})
    settings = Settings(
        identity_database_url=identity_url,
        redis_url=redis_url,
        signing_key_file=str(tmp_path / "tokens.pem"),
        public_url="https://tickets.example.org",
    )
    identity = build_identity(settings, peers)
    peers.attach("identity", identity)
    gateway = build(settings, peers)
    peers.attach("gateway", gateway)
    async with in_own_task(identity.lifespan()), in_own_task(gateway.lifespan()):
        yield peers.client("gateway")
        await peers.close()


class TestDescription:
    async def test_is_valid_and_says_roles_errors_and_examples(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/openapi.json")
        document = answer.json()
        OpenAPIV31SpecValidator(document).validate()
        assert document["openapi"].startswith("3.1")
        for path, item in document["paths"].items():
            for method, operation in item.items():
                where = f"{method} {path}"
                assert any(word in operation["description"] for word in ("Open to", "Needs")), where
                problems = [answer for status, answer in operation["responses"].items() if not status.startswith("2")]
                assert all("application/problem+json" in found["content"] for found in problems), where
                bodies = [operation.get("requestBody", {}), operation["responses"].get("200", {})]
                for media in (media for body in bodies for media in body.get("content", {}).values()):
                    assert "example" in media or "examples" in media, where
        register = document["paths"]["/api/v1/auth/register"]["post"]
        assert "identity.email_taken" in register["responses"]["409"]["description"]
        me = document["paths"]["/api/v1/users/me"]["get"]
        assert me["security"] == [{"bearer": []}]
        assert "Needs a login." in me["description"]

    async def test_is_not_sent_twice(self, client: httpx.AsyncClient) -> None:
        tag = (await client.get("/openapi.json")).headers["etag"]
        assert (await client.get("/openapi.json", headers={"If-None-Match": tag})).status_code == 304

    async def test_is_readable_without_anything_from_elsewhere(self, client: httpx.AsyncClient) -> None:
        page = await client.get("/docs")
        assert page.status_code == 200
        assert "://" not in page.text.replace("http://www.w3.org", "")
        assert page.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
        assert page.headers["x-frame-options"] == "DENY"
        for name, kind in (
            ("swagger-ui.css", "text/css; charset=utf-8"),
            ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
            ("start.js", "text/javascript; charset=utf-8"),
        ):
            found = await client.get(f"/docs/{name}")
            assert (found.status_code, found.headers["content-type"]) == (200, kind)
        for elsewhere in ("/docs/../../etc/passwd", "/docs/vendor", "/docs/vendor/", "/docs/swagger-ui/"):
            assert (await client.get(elsewhere)).status_code == 404


class TestOperations:
    async def test_tell_that_every_service_is_ready(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/health/live")).json()["status"] == "live"
        answer = await client.get("/health/ready")
        assert answer.json() == {"status": "ready", "service": "gateway", "parts": {"identity": "ok"}}

    async def test_tell_which_service_is_not(self) -> None:
        peers = Peers({"catalog": "http://127.0.0.1:9"})
        gateway = build(Settings(catalog_url="http://127.0.0.1:9"), peers)
        peers.attach("gateway", gateway)
        async with gateway.lifespan():
            answer = await peers.client("gateway").get("/health/ready")
        await peers.close()
        assert answer.status_code == 503
        assert "cannot be reached" in answer.json()["parts"]["catalog"]

    async def test_count_by_route_not_by_path(self, client: httpx.AsyncClient) -> None:
        await client.get("/api/v1/users/me")
        text = (await client.get("/metrics")).text
        assert 'route="/api/v1/users",service="gateway",status="401"' in text

    async def test_every_answer_over_https_says_to_stay_there(self, client: httpx.AsyncClient) -> None:
        for path in ("/api/v1/users/me", "/docs", "/api/v1/nothing"):
            said = (await client.get(path)).headers.get_list("strict-transport-security")
            assert said == ["max-age=31536000; includeSubDomains"]


class TestThroughTheGateway:
    async def test_a_person_registers_and_logs_in(self, client: httpx.AsyncClient) -> None:
        body = {"name": "Ada", "email": "ada@example.org", "password": "correct horse battery"}
        assert (await client.post("/api/v1/auth/register", json=body)).status_code == 201
        body.pop("name")
        tokens = (await client.post("/api/v1/auth/login", json=body)).json()
        me = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {tokens['accessToken']}"})
        assert me.json()["email"] == "ada@example.org"

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
    async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
        self, client: httpx.AsyncClient, method: str
    ) -> None:
        answer = await client.request(method, "/api/v1/auth/login")
        assert answer.status_code == 405
        assert answer.headers["content-type"] == "application/problem+json"
        assert "POST" in answer.headers["allow"]
