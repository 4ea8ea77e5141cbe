"""What a client does over HTTP, as generators: yield (which line, request), get (status, body), return the outcome."""

import json
import random
from collections.abc import Callable, Generator, Iterator
from typing import Any
from uuid import uuid4

from bench.house import first_seat

Steps = Generator[tuple[int, bytes], tuple[bytes, bytes], str]
Flow = Callable[[int], Steps]
"""Begins the next thing that a client (by number) does."""
Numbers = Iterator[int]
ENOUGH = 64
"""So many clients are so many customers; fewer hold for everybody in turn."""
SALE, TILL = 0, 1
"""Which line: to the process that sells, to the process that takes money."""


class SoldOutError(Exception):
    """There is nothing left to ask for."""


def get(asked: dict[str, Any], _numbers: Numbers) -> Flow:
    """Read one address again and again."""
    request = f"GET {asked['path']} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: identity\r\n\r\n".encode()

    def flow(_client: int) -> Steps:
        status, _ = yield SALE, request
        return status.decode()

    return flow


def reserve(asked: dict[str, Any], numbers: Numbers) -> Flow:
    """Hold seat after seat of one event, each once."""
    post, event_id, first, most = poster(asked), asked["event_id"], first_seat(asked["event_id"]), asked["seats"]

    def flow(client: int) -> Steps:
        place = next(numbers)
        if place >= most:
            raise SoldOutError
        body = b'{"eventId":%d,"ticketIds":[%d]}' % (event_id, first + place)
        who = client if asked["connections"] >= ENOUGH else place  # a few would meet the limit of one customer
        status, _ = yield SALE, post(who, "/api/v1/bookings/reserve", body)
        return status.decode()

    return flow


def race(asked: dict[str, Any], _numbers: Numbers) -> Flow:
    """Ask for a random one of the last seats, again and again."""
    post, event_id, first, seats = poster(asked), asked["event_id"], first_seat(asked["event_id"]), asked["seats"]
    dice = random.Random(4)

    def flow(client: int) -> Steps:
        body = b'{"eventId":%d,"ticketIds":[%d]}' % (event_id, first + dice.randrange(seats))
        status, _ = yield SALE, post(client, "/api/v1/bookings/reserve", body)
        return status.decode()

    return flow


def order(asked: dict[str, Any], numbers: Numbers) -> Flow:
    """Buy two seats: hold, begin to pay, come back from the provider, confirm; ends with the tickets in the answer."""
    post, event_id, first = poster(asked), asked["event_id"], first_seat(asked["event_id"])
    most = asked["seats"] // 2

    def flow(client: int) -> Steps:
        place = next(numbers)
        if place >= most:
            raise SoldOutError
        seat = first + 2 * place
        body = b'{"eventId":%d,"ticketIds":[%d,%d]}' % (event_id, seat, seat + 1)
        status, answer = yield SALE, post(client, "/api/v1/bookings/reserve", body)
        if status != b"201":
            return f"reserve {status.decode()}"
        booking = json.loads(answer)["bookingId"]
        body = f'{{"bookingId":"{booking}","provider":"{asked["provider"]}"}}'.encode()
        status, answer = yield TILL, post(client, "/api/v1/payments/create", body)
        if status != b"201":
            return f"pay {status.decode()}"
        begun = json.loads(answer)
        if asked.get("approve"):
            status, _ = yield len(asked["ports"]) - 1, approval(asked, begun["approvalUrl"])
            if status not in {b"200", b"302", b"303", b"204"}:
                return f"approve {status.decode()}"
        body = f'{{"paymentId":"{begun["paymentId"]}"}}'.encode()
        status, answer = yield SALE, post(client, f"/api/v1/bookings/confirm/{booking}", body, method="PUT")
        if status != b"200" or answer.count(b'"issuedTicketId":"') != 2:
            return f"confirm {status.decode()}"
        return "ordered"

    return flow


def approval(asked: dict[str, Any], url: str) -> bytes:
    """Say yes on the provider's own page, as a buyer does."""
    path = "/" + url.split("/", 3)[3]
    body = asked["approve"].encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def pretix(asked: dict[str, Any], _numbers: Numbers) -> Flow:
    """Create a paid order of two positions over pretix's API."""
    position = {"item": asked["item"], "variation": None, "price": "50.00", "answers": []}
    body = json.dumps({
        "email": "a@example.org", "locale": "en", "sales_channel": "web", "status": asked.get("status", "n"),
        "payment_provider": "manual", "positions": [{"positionid": n, **position} for n in (1, 2)],
    }).encode()  # fmt: skip
    request = (
        "POST /api/v1/organizers/bench/events/gig/orders/ HTTP/1.1\r\nHost: 127.0.0.1:18345\r\n"
        f"Authorization: Token {asked['token']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body

    def flow(_client: int) -> Steps:
        status, _ = yield SALE, request
        return "ordered" if status == b"201" else status.decode()

    return flow


def poster(asked: dict[str, Any]) -> Callable[..., bytes]:
    """Write requests of ours: each client has its token, each request its own idempotency key."""
    heads = [
        f"Host: bench\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {uuid4().hex[:20]}".encode()
        for token in asked["tokens"]
    ]
    keys = iter(range(1_000_000, 100_000_000))

    def post(client: int, path: str, body: bytes, *, method: str = "POST") -> bytes:
        return b"%b %b HTTP/1.1\r\n%b%012d\r\nContent-Length: %d\r\n\r\n%b" % (
            method.encode(), path.encode(), heads[client % len(heads)], next(keys), len(body), body,
        )  # fmt: skip

    return post


FLOWS: dict[str, Callable[[dict[str, Any], Numbers], Flow]] = {
    "get": get, "reserve": reserve, "race": race, "order": order, "pretix": pretix,
}  # fmt: skip
