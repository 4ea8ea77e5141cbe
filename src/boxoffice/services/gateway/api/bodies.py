"""Read a request's body within its limit, before any service sees a byte of it."""

import asyncio
from typing import Any

from boxoffice.services.gateway.domain.headers import find
from boxoffice.services.gateway.domain.refusals import BodyTooLargeError, BodyTooSlowError

BODY_S = 10.0
"""A body of 64 KB in 10 s is a very slow phone; slower is somebody who keeps connections open on purpose."""
DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_S = 3.0
"""A client that is sending reads no answer: what it still sends is thrown away for a while, so that it sees the 413."""


async def read_body(scope: dict[str, Any], receive: Any, *, limit: int) -> bytes:
    """Read the whole body.

    :raises BodyTooLargeError: by the length that was announced, or as soon as more has come.
    :raises BodyTooSlowError: when it does not come in time, the client leaves, or the length is no number.
    """
    announced = find(scope["headers"], b"content-length")
    if announced is None and find(scope["headers"], b"transfer-encoding") is None:
        return b""
    if announced is not None and not announced.isdigit():
        raise BodyTooSlowError("Content-Length must be a number.")
    if announced is not None and int(announced) > limit:
        await _drain(scope, receive)
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_S):
            return await _gather(scope, receive, limit)
    except TimeoutError as error:
        raise BodyTooSlowError(f"The body did not come within {BODY_S:.0f} seconds.") from error


async def _gather(scope: dict[str, Any], receive: Any, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyTooSlowError("The connection was closed before the body had come.")
        size += len(message.get("body", b""))
        if size > limit:
            if message.get("more_body", False):
                await _drain(scope, receive)
            raise _too_large(limit)
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _drain(scope: dict[str, Any], receive: Any) -> None:
    if find(scope["headers"], b"expect") is not None:
        return  # it waits for our word before it sends anything
    thrown_away = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while thrown_away < DRAIN_BYTES:
                message = await receive()
                thrown_away += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"Send at most {limit} bytes.", limitBytes=limit)


def replay(body: bytes, receive: Any) -> Any:
    """Give a ``receive`` that hands out a body that was read already, then what the server says."""
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again
