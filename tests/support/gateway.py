"""A stand-in for the public API, for the storefront's unit tests: it answers by path and remembers what it was asked."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One call as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any


Answer = tuple[int, Any] | Callable[[Asked], tuple[int, Any]]


@dataclass
class FakeGateway:
    """An ASGI application: ``answers`` by ``"GET /path"``; what is not there is a 404 with a problem."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def calls(self, key: str) -> list[Asked]:
        """The calls of one method and path."""
        return [one for one in self.asked if f"{one.method} {one.path}" == key]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = Asked(
            method=scope["method"], path=scope["path"].removeprefix("/api/v1"), query=scope["query_string"].decode(),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            body=json.loads(body) if body else None,
        )  # fmt: skip
        self.asked.append(asked)
        answer = self.answers.get(f"{asked.method} {asked.path}", NOT_FOUND)
        status, content = answer(asked) if callable(answer) else answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        kind = b"image/png" if isinstance(content, bytes) else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", str(len(raw)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})


def problem(status: int, code: str, title: str = "No", detail: str = "", **context: Any) -> tuple[int, Any]:
    """Write a refusal as the API does."""
    return status, {"status": status, "code": code, "title": title, "detail": detail, **context}


NOT_FOUND = problem(404, "request.not_found", "There is nothing at this address")
