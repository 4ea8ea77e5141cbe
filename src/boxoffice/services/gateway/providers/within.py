"""A service in the same process: its ASGI application is called as a server would call it, without a hop."""

from typing import Any

from boxoffice.services.gateway.domain.headers import Header, outward


def scope_for(scope: dict[str, Any], headers: list[Header], *, method: str | None = None) -> dict[str, Any]:
    """Give the scope for a service: its own ``state``, so that the gateway's and the service's never mix."""
    changed: dict[str, Any] = {**scope, "headers": headers, "state": {}}
    if method is not None:
        changed["method"] = method
    return changed


async def call(app: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Let a service answer."""

    async def send_outward(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": outward(message["headers"])}
        await send(message)

    await app(scope, receive, send_outward)
