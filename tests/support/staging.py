"""Events that a test stages over the API of a running shop, as their organiser."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import httpx
from tests.support.shop import Shop

ON_SALE_WITHIN_S = 20.0


def stage(shop: Shop, name: str, levels: Sequence[dict[str, Any]], **more: Any) -> int:
    """Put an event on sale, with price levels as the API takes them, general admission unless it has a map; gives its id."""
    with closing(shop.client("organiser@example.org")) as organiser:
        venue = answered(
            organiser.post(
                "/venues",
                json={
                    "name": "Castle Yard", "description": "", "location": "1 Yard Street, Leipzig",
                    "totalSeats": 1000, "timeZone": "Europe/Berlin",
                },
            )
        )  # fmt: skip
        body = {
            "name": name, "description": "In the open air.", "startTime": "2031-05-01T19:30:00",
            "endTime": "2031-05-01T22:00:00", "venueId": venue["id"],
            **({} if "seatMapId" in more else {"availableSeats": 1000}), **more,
        }  # fmt: skip
        event = int(answered(organiser.post("/events", json=body))["id"])
        answered(organiser.post(f"/tickets/event/{event}/create", json={"priceLevels": list(levels)}))
        answered(organiser.post(f"/events/{event}/publish"))
    wait_for_sale(shop, event)
    return event


def wait_for_sale(shop: Shop, event: int) -> None:
    """Wait until the sale has heard that the event is published."""
    deadline = time.monotonic() + ON_SALE_WITHIN_S
    with closing(shop.client()) as anyone:
        while anyone.get(f"/events/{event}/availability").status_code != httpx.codes.OK:
            assert time.monotonic() < deadline, "the event did not go on sale"
            time.sleep(0.1)


def answered(answer: httpx.Response) -> Any:
    """Read an answer that has to be a success."""
    assert answer.is_success, answer.text
    return answer.json()
