"""The gateway's own pages: /health, /metrics, /openapi.json, and /docs (Swagger UI from its wheel, without a CDN)."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from boxoffice.services.gateway.api.answers import HTML, SERVICE, answer
from boxoffice.services.gateway.domain.headers import find

Page = Callable[[dict[str, Any], Any], Awaitable[None]]

JSON = "application/json"
SCRIPT = "text/javascript; charset=utf-8"
OPENAPI_FRESH_S = 60
FILES_FRESH_S = 86_400
FILES: Mapping[str, str] = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": SCRIPT,
    "favicon-32x32.png": "image/png",
}
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Swagger UI sets style attributes; it needs no inline script when its start stands in a file of its own."""
DOCS_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Boxoffice API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = b"""window.addEventListener("load", () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true });
});
"""


class Pages:
    """The pages by their path; ``ready`` and ``openapi`` ask the services."""

    def __init__(
        self,
        *,
        ready: Callable[[], Awaitable[dict[str, str]]],
        openapi: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._ready = ready
        self._openapi = openapi
        self._pages: dict[str, Page] = {
            "/health/live": self._live,
            "/health/ready": self._is_ready,
            "/metrics": self._metrics,
            "/openapi.json": self._document,
            "/docs": self._docs,
            "/docs/": self._docs,
            "/docs/start.js": self._start,
            **{f"/docs/{name}": self._file for name in FILES},
        }

    def find(self, path: str) -> Page | None:
        """Give the page at a path."""
        return self._pages.get(path)

    async def _live(self, _scope: dict[str, Any], send: Any) -> None:
        await _json(send, {"status": "live", "service": SERVICE})

    async def _is_ready(self, _scope: dict[str, Any], send: Any) -> None:
        parts = await self._ready()
        healthy = all(part == "ok" for part in parts.values())
        body = {"status": "ready" if healthy else "not_ready", "service": SERVICE, "parts": parts}
        await _json(send, body, status=200 if healthy else 503)

    async def _metrics(self, _scope: dict[str, Any], send: Any) -> None:
        await answer(send, status=200, body=generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def _document(self, scope: dict[str, Any], send: Any) -> None:
        body = msgspec.json.encode(await self._openapi())
        await _cacheable(scope, send, body, JSON, seconds=OPENAPI_FRESH_S)

    async def _docs(self, scope: dict[str, Any], send: Any) -> None:
        await _cacheable(scope, send, DOCS_PAGE, HTML, seconds=OPENAPI_FRESH_S)

    async def _start(self, scope: dict[str, Any], send: Any) -> None:
        await _cacheable(scope, send, START, SCRIPT, seconds=OPENAPI_FRESH_S)

    async def _file(self, scope: dict[str, Any], send: Any) -> None:
        name = scope["path"].rsplit("/", 1)[-1]
        await _cacheable(scope, send, swagger_file(name), FILES[name], seconds=FILES_FRESH_S)


def swagger_file(name: str) -> bytes:
    """Read one of Swagger UI's files from its wheel; ``name`` is one of :data:`FILES`."""
    vendor = files("swagger_ui_bundle") / "vendor"
    release = next(folder for folder in vendor.iterdir() if folder.name.startswith("swagger-ui"))
    return (release / name).read_bytes()


async def _json(send: Any, body: object, *, status: int = 200) -> None:
    await answer(
        send, status=status, body=msgspec.json.encode(body), media_type=JSON, headers={"Cache-Control": "no-store"}
    )


async def _cacheable(scope: dict[str, Any], send: Any, body: bytes, media_type: str, *, seconds: int) -> None:
    tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": f"public, max-age={seconds}", "Content-Security-Policy": DOCS_POLICY}
    if find(scope["headers"], b"if-none-match") == tag.encode():
        await answer(send, status=304, body=b"", media_type=media_type, headers=headers)
        return
    await answer(
        send,
        status=200,
        body=body,
        media_type=media_type,
        headers=headers,
        without_body=scope["method"] == "HEAD",
    )
