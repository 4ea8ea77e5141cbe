"""Allocations as an organiser and a buyer meet them over HTTP, on the real database."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.sales import EVENT, SIGNER, buy, hold, put_areas_on_sale, put_on_sale, run_out, start_payment
from tests.support.sales_apps import Apps

from boxoffice.kernel.ids import SeatId
from boxoffice.services.sales.usecases.confirm_order import confirm

PATH = f"/events/{EVENT}/allocations"
LATER = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    return body


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


class Organiser:
    """Sends an organiser's calls, each with a key of its own unless told otherwise."""

    def __init__(self, apps: Apps, headers: dict[str, str] | None = None) -> None:
        self._apps = apps
        self._headers = headers or apps.organiser()

    async def post(self, path: str = "", *, key: str | None = None, **body: Any) -> httpx.Response:
        headers = {**self._headers, "Idempotency-Key": key or str(uuid4())}
        return await self._apps.tickets.post(PATH + path, json=body, headers=headers)

    async def call(self, method: str, path: str = "", body: Any = None) -> httpx.Response:
        return await self._apps.tickets.request(method, PATH + path, json=body, headers=self._headers)

    async def set_aside(self, seats: list[SeatId], kind: str = "sponsor", **more: Any) -> int:
        body = {"kind": kind, "name": "Friends of the hall", "ticketIds": seats, **more}
        return int(ok(await self.post(**body), 201)["id"])

    async def code(self, allocation: int) -> str:
        return str(ok(await self.call("PUT", f"/{allocation}/access-code"))["accessCode"])

    async def one(self, allocation: int) -> dict[str, Any]:
        found: dict[str, Any] = ok(await self.call("GET", f"/{allocation}"))
        return found


@pytest.fixture
def organiser(apps: Apps) -> Organiser:
    return Organiser(apps)


async def reserve(apps: Apps, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await apps.bookings.post(
        "/bookings/reserve", json={"eventId": EVENT, **body}, headers=headers or apps.buyer()[1]
    )


async def states(apps: Apps) -> dict[str, int]:
    house = ok(await apps.tickets.get(f"/events/{EVENT}/availability"))
    return {name: house[name] for name in ("free", "held", "sold", "blocked")}


class TestSetAside:
    async def test_seats_are_not_for_sale_to_the_public_and_shown_as_blocked(
        self, apps: Apps, organiser: Organiser
    ) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:4])
        assert await states(apps) == {"free": 16, "held": 0, "sold": 0, "blocked": 4}
        listed = ok(await apps.tickets.get(f"/tickets/event/{EVENT}"))
        assert [seat["ticketId"] for seat in listed if seat["status"] == "BLOCKED"] == seats[:4]
        asked = {"ticketIds": f"{seats[0]},{seats[9]}"}
        assert [seat["ticketId"] for seat in ok(await apps.tickets.get("/tickets/available-seats", params=asked))] == [
            seats[9]
        ]
        taken = problem(await reserve(apps, ticketIds=seats[3:5]), 409, "sales.seats_taken")["taken"]
        assert [place["ticketId"] for place in taken] == [seats[3]]
        found = await organiser.one(allocation)
        assert {name: found[name] for name in ("kind", "state", "releaseAt", "hasAccessCode", "seats", "free")} == {
            "kind": "sponsor", "state": "closed", "releaseAt": None, "hasAccessCode": False, "seats": 4, "free": 4,
        }  # fmt: skip
        assert found["rows"] == [
            {"section": "Stalls", "row": "1", "seats": 4, "free": 4, "held": 0, "sold": 0, "blocked": 0}
        ]

    async def test_a_section_or_rows_of_it(self, apps: Apps, organiser: Organiser) -> None:
        await put_on_sale(apps.database, 30)
        made = ok(await organiser.post(kind="house", name="House", section="Stalls", rows=["1", "3"]), 201)
        assert [(row["row"], row["seats"]) for row in made["rows"]] == [("1", 10), ("3", 10)]
        more = ok(await organiser.post(f"/{made['id']}/seats", section="Stalls"))
        assert more["seats"] == 30
        assert (await states(apps))["free"] == 0

    async def test_seats_that_somebody_has_are_named_and_nothing_is_set_aside(
        self, apps: Apps, organiser: Organiser
    ) -> None:
        seats = await put_on_sale(apps.database, 20)
        await hold(apps.database, seats[2:3])
        await buy(apps.database, seats[5:6])
        stale, _ = await hold(apps.database, seats[7:8])
        await run_out(apps.database, stale)
        body = problem(await organiser.post(kind="kill", name="Camera", ticketIds=seats[:10]), 409, "sales.seats_taken")
        assert [place["ticketId"] for place in body["taken"]] == [seats[2], seats[5]]
        assert ok(await organiser.call("GET"))["allocations"] == []
        assert await apps.database.fetchval("SELECT count(*) FROM event_seats WHERE allocation_id IS NOT NULL") == 0
        await organiser.set_aside(seats[6:9])  # a hold that ran out stands in nobody's way

    async def test_seats_of_another_allocation_are_named(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        first = await organiser.set_aside(seats[:3])
        answer = await organiser.post(kind="artist", name="Band", ticketIds=seats[2:5])
        assert problem(answer, 409, "sales.seats_set_aside")["setAside"] == [
            {"ticketId": seats[2], "section": "Stalls", "row": "1", "number": "3"}
        ]
        ok(await organiser.post(f"/{first}/give-back", ticketIds=[seats[2]]))
        await organiser.set_aside(seats[2:5], "artist")

    async def test_a_repeat_of_the_call_is_one_allocation(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        body = {"kind": "house", "name": "House", "ticketIds": seats[:2]}
        first = await organiser.post(key="one", **body)
        again = await organiser.post(key="one", **body)
        assert (again.status_code, again.content) == (201, first.content)
        assert len(ok(await organiser.call("GET"))["allocations"]) == 1
        without = await apps.tickets.post(PATH, json=body, headers=apps.organiser())
        problem(without, 422, "request.idempotency_key_required")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"kind": "guests", "name": "A"}, "request.invalid"),
            ({"kind": "house"}, "request.invalid"),
            ({"kind": "house", "name": " "}, "sales.bad_allocation"),
            ({"kind": "house", "name": "A", "releaseAt": "2020-01-01T00:00:00Z"}, "sales.bad_allocation"),
            ({"kind": "house", "name": "A", "releaseAt": "2031-01-01T00:00:00"}, "request.invalid"),
            ({"kind": "kill", "name": "A", "releaseAt": "2031-01-01T00:00:00Z"}, "sales.bad_allocation"),
            ({"kind": "house", "name": "A", "rows": ["1"]}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "section": "Stalls", "rows": []}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "section": "Nowhere"}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "section": "Stalls", "rows": ["1", "99"]}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "ticketIds": [1]}, "sales.seats_unknown"),
            ({"kind": "house", "name": "A", "ticketIds": [EVENT << 20, EVENT << 20]}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "ticketIds": [EVENT << 20], "section": "Stalls"}, "sales.bad_selection"),
            ({"kind": "house", "name": "A", "ticketIds": [(EVENT << 20) + 999]}, "sales.seats_unknown"),
        ],
    )
    async def test_refuses_what_cannot_be_meant(
        self, apps: Apps, organiser: Organiser, body: dict[str, Any], code: str
    ) -> None:
        await put_on_sale(apps.database, 20)
        problem(await organiser.post(**body), 422, code)
        assert await apps.database.fetchval("SELECT count(*) FROM allocations") == 0

    async def test_places_of_general_admission_are_blocked_instead(self, apps: Apps, organiser: Organiser) -> None:
        await put_areas_on_sale(apps.database, {"Floor": 10})
        answer = await organiser.post(kind="house", name="A", ticketIds=[EVENT << 20])
        problem(answer, 422, "sales.bad_selection")


class TestOwnership:
    async def test_of_another_organisation_there_is_no_such_event(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:2])
        stranger = Organiser(apps, apps.organiser(uuid4()))
        problem(await stranger.call("GET"), 404, "sales.event_not_found")
        answer = await stranger.post(kind="house", name="A", ticketIds=seats[5:6])
        problem(answer, 404, "sales.event_not_found")
        for method, path, body in [
            ("GET", "", None), ("PATCH", "", {"name": "Mine"}), ("DELETE", "", None), ("PUT", "/access-code", None),
            ("DELETE", "/access-code", None),
        ]:  # fmt: skip
            answer = await stranger.call(method, f"/{allocation}{path}", body)
            problem(answer, 404, "sales.allocation_not_found")
        for path in ("/seats", "/give-back"):
            answer = await stranger.post(f"/{allocation}{path}", ticketIds=seats[:1])
            problem(answer, 404, "sales.allocation_not_found")
        problem(await stranger.post(f"/{allocation}/open"), 404, "sales.allocation_not_found")
        assert (await organiser.one(allocation))["free"] == 2

    async def test_is_for_organisers(self, apps: Apps) -> None:
        await put_on_sale(apps.database, 20)
        problem(await apps.tickets.get(PATH), 401, "identity.unauthenticated")
        problem(await apps.tickets.get(PATH, headers=apps.buyer()[1]), 403, "identity.forbidden")


class TestMoves:
    async def test_open_now(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:4], releaseAt=LATER.isoformat())
        opened = ok(await organiser.post(f"/{allocation}/open"))
        assert (opened["state"], opened["free"]) == ("open", 4)
        assert (await states(apps))["free"] == 20
        assert (await reserve(apps, ticketIds=seats[:2])).status_code == 201
        problem(await organiser.post(f"/{allocation}/open"), 409, "sales.wrong_allocation_state")
        problem(await organiser.post(f"/{allocation}/seats", ticketIds=seats[8:9]), 409, "sales.wrong_allocation_state")
        problem(await organiser.call("PATCH", f"/{allocation}", {"name": "B"}), 409, "sales.wrong_allocation_state")
        again = await organiser.post(kind="house", name="Again", ticketIds=seats[2:4])
        assert again.status_code == 201  # its seats are everybody's, so they may be set aside anew

    async def test_change_its_name_and_when_it_opens(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:4])
        changed = ok(await organiser.call("PATCH", f"/{allocation}", {"releaseAt": LATER.isoformat()}))
        assert datetime.fromisoformat(changed["releaseAt"]) == LATER
        assert (
            await apps.database.fetchval("SELECT min(closed_until) FROM event_seats WHERE allocation_id > 0") == LATER
        )
        changed = ok(await organiser.call("PATCH", f"/{allocation}", {"name": "Others"}))
        assert (changed["name"], changed["version"]) == ("Others", 2)
        assert datetime.fromisoformat(changed["releaseAt"]) == LATER
        assert ok(await organiser.call("PATCH", f"/{allocation}", {"releaseAt": None}))["releaseAt"] is None
        past = {"releaseAt": "2020-01-01T00:00:00Z"}
        problem(await organiser.call("PATCH", f"/{allocation}", past), 422, "sales.bad_allocation")

    async def test_release_gives_everything_back(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:4])
        code = await organiser.code(allocation)
        assert (await organiser.call("DELETE", f"/{allocation}")).status_code == 204
        assert (await states(apps))["free"] == 20
        problem(await organiser.call("DELETE", f"/{allocation}"), 404, "sales.allocation_not_found")
        answer = await reserve(apps, ticketIds=seats[:1], accessCode=code)
        problem(answer, 404, "sales.access_code_unknown")

    async def test_give_some_back(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:12])
        assert ok(await organiser.post(f"/{allocation}/give-back", section="Stalls", rows=["1"]))["seats"] == 2
        answer = await organiser.post(f"/{allocation}/give-back", ticketIds=[seats[0], seats[10]])
        assert problem(answer, 422, "sales.bad_selection")["ticketIds"] == [seats[0]]

    async def test_what_is_killed_is_never_sold_until_it_is_undone(self, apps: Apps, organiser: Organiser) -> None:
        seats = await put_on_sale(apps.database, 20)
        allocation = await organiser.set_aside(seats[:2], "kill")
        problem(await organiser.call("PUT", f"/{allocation}/access-code"), 409, "sales.wrong_allocation_state")
        problem(await organiser.post(f"/{allocation}/open"), 409, "sales.wrong_allocation_state")
        later = {"releaseAt": LATER.isoformat()}
        problem(await organiser.call("PATCH", f"/{allocation}", later), 422, "sales.bad_allocation")
        problem(await reserve(apps, ticketIds=seats[:1]), 409, "sales.seats_taken")
        ok(await organiser.post(f"/{allocation}/give-back", ticketIds=seats[:2]))
        assert (await reserve(apps, ticketIds=seats[:1])).status_code == 201

    async def test_a_blocked_seat_stays_blocked_in_and_after_its_allocation(
        self, apps: Apps, organiser: Organiser
    ) -> None:
        seats = await put_on_sale(apps.database, 20)

        async def set_blocked(status: str) -> None:
            body = {"ticketIds": seats[:1], "status": status}
            ok(await apps.tickets.put("/tickets/update-seats", json=body, headers=apps.organiser()))

        await set_blocked("BLOCKED")
        allocation = await organiser.set_aside(seats[:2])
        code = await organiser.code(allocation)
        assert (await organiser.one(allocation))["blocked"] == 1
        problem(await reserve(apps, ticketIds=seats[:1], accessCode=code), 409, "sales.seats_taken")
        await set_blocked("AVAILABLE")
        problem(await reserve(apps, ticketIds=seats[:1]), 409, "sales.seats_taken")  # set aside still
        await set_blocked("BLOCKED")
        ok(await organiser.post(f"/{allocation}/open"))
        problem(await reserve(apps, ticketIds=seats[:1]), 409, "sales.seats_taken")
        assert (await reserve(apps, ticketIds=seats[1:2])).status_code == 201


class TestAccessCode:
    @pytest.fixture
    async def seats(self, apps: Apps) -> list[SeatId]:
        return await put_on_sale(apps.database, 20, no_single_seats=False)

    @pytest.mark.parametrize("kind", ["house", "artist", "sponsor", "channel", "accessible"])
    async def test_opens_the_seats_of_its_allocation_to_whoever_sends_it(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId], kind: str
    ) -> None:
        allocation = await organiser.set_aside(seats[:4], kind)
        code = await organiser.code(allocation)
        typed = f" {code.lower().replace('-', ' ')}"
        held = await reserve(apps, ticketIds=seats[3:5], accessCode=typed)  # one of them is everybody's
        assert held.status_code == 201, held.text
        found = await organiser.one(allocation)
        assert (found["free"], found["held"], found["hasAccessCode"]) == (3, 1, True)
        assert await apps.database.fetchval("SELECT allocation_id FROM orders") == allocation

    async def test_opens_them_to_best_available_too(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        code = await organiser.code(await organiser.set_aside(seats))
        problem(await reserve(apps, quantity=2), 409, "sales.not_enough_seats")
        held = ok(await reserve(apps, quantity=2, accessCode=code), 201)
        assert held["arrangement"] == "together"

    async def test_is_kept_as_a_hash_only_and_told_once(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        allocation = await organiser.set_aside(seats[:4])
        first, second = await organiser.code(allocation), await organiser.code(allocation)
        assert first != second
        problem(await reserve(apps, ticketIds=seats[:1], accessCode=first), 404, "sales.access_code_unknown")
        ok(await reserve(apps, ticketIds=seats[:1], accessCode=second), 201)
        kept = await apps.database.fetchval("SELECT array_agg(a::text) FROM allocations a")
        written = await apps.database.fetchval("SELECT array_agg(convert_from(body, 'UTF8')) FROM idempotency_keys")
        assert not [text for text in [*kept, *written] if second in text or second.replace("-", "") in text]

    async def test_that_was_taken_back_opens_nothing_and_what_was_held_stays(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        allocation = await organiser.set_aside(seats[:4])
        code = await organiser.code(allocation)
        _, headers = apps.buyer()
        body = {"ticketIds": seats[:1], "accessCode": code}
        keyed = {**headers, "Idempotency-Key": "one"}
        held = await reserve(apps, keyed, **body)
        assert (await organiser.call("DELETE", f"/{allocation}/access-code")).status_code == 204
        problem(await reserve(apps, headers, ticketIds=seats[1:2], accessCode=code), 404, "sales.access_code_unknown")
        again = await reserve(apps, keyed, **body)
        assert (again.status_code, again.content) == (201, held.content)

    async def test_of_another_event_or_none_is_answered_alike(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        code = await organiser.code(await organiser.set_aside(seats[:4]))
        await put_on_sale(apps.database, 10, event_id=8)
        answers = [
            await reserve(apps, eventId=8, quantity=1, accessCode=code),
            await reserve(apps, quantity=1, accessCode="0000-0000-0000-0000"),
            await reserve(apps, eventId=99, quantity=1, accessCode=code),
        ]
        said = [problem(answer, 404, "sales.access_code_unknown") for answer in answers]
        assert len({(one["title"], one["detail"]) for one in said}) == 1

    async def test_attempts_are_limited_by_customer(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        code = await organiser.code(await organiser.set_aside(seats[:4]))
        _, guesser = apps.buyer()
        for _ in range(10):
            answer = await reserve(apps, guesser, ticketIds=seats[:1], accessCode="guess")
            problem(answer, 404, "sales.access_code_unknown")
        for body in ({"ticketIds": seats[:1], "accessCode": code}, {"quantity": 1, "accessCode": "guess"}):
            assert problem(await reserve(apps, guesser, **body), 429, "sales.too_many_access_codes")[
                "retryAfterSeconds"
            ]
        looked = await apps.tickets.post(f"/events/{EVENT}/access-code", json={"accessCode": code}, headers=guesser)
        problem(looked, 429, "sales.too_many_access_codes")
        ok(await reserve(apps, guesser, ticketIds=seats[9:10]), 201)  # without a code the sale goes on
        ok(await reserve(apps, ticketIds=seats[:1], accessCode=code), 201)  # and for others with it

    async def test_guesses_at_the_same_moment_do_not_all_pass(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        await organiser.set_aside(seats[:4])
        _, guesser = apps.buyer()
        looks = [
            apps.tickets.post(f"/events/{EVENT}/access-code", json={"accessCode": f"guess {n}"}, headers=guesser)
            for n in range(20)
        ]
        holds = [reserve(apps, guesser, ticketIds=seats[:1], accessCode=f"another guess {n}") for n in range(20)]
        answers = await asyncio.gather(*looks, *holds)
        assert sorted(answer.status_code for answer in answers) == [404] * 10 + [429] * 30

    async def test_says_which_seats_it_opens(self, apps: Apps, organiser: Organiser, seats: list[SeatId]) -> None:
        allocation = await organiser.set_aside(seats[:4])
        code = await organiser.code(allocation)
        await reserve(apps, ticketIds=seats[1:2], accessCode=code)
        path, (_, headers) = f"/events/{EVENT}/access-code", apps.buyer()
        answer = await apps.tickets.post(path, json={"accessCode": code}, headers=headers)
        assert ok(answer)["ticketIds"] == [seats[0], seats[2], seats[3]]
        problem(await apps.tickets.post(path, json={"accessCode": code}), 401, "identity.unauthenticated")
        wrong = await apps.tickets.post(path, json={"accessCode": "wrong"}, headers=headers)
        problem(wrong, 404, "sales.access_code_unknown")
        ok(await organiser.post(f"/{allocation}/open"))
        answer = await apps.tickets.post(path, json={"accessCode": code}, headers=headers)
        assert ok(answer)["ticketIds"] == []  # they are everybody's now

    async def test_an_order_held_with_it_is_extended_and_exchanged_within_its_allocation(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        allocation = await organiser.set_aside(seats[:4])
        code = await organiser.code(allocation)
        _, headers = apps.buyer()
        booking = ok(await reserve(apps, headers, ticketIds=seats[:1], accessCode=code), 201)["bookingId"]
        keyed = {**headers, "Idempotency-Key": str(uuid4())}
        ok(await apps.bookings.post(f"/bookings/{booking}/extend", json={}, headers=keyed))
        payment = await start_payment(apps.database, booking, "capturing")
        async with apps.database.transaction() as tx:
            await confirm(tx, order_id=booking, payment_id=payment, capture_ref="C", signer=SIGNER)

        async def exchange(give: SeatId, take: SeatId, order: str, sender: dict[str, str]) -> httpx.Response:
            keyed = {**sender, "Idempotency-Key": str(uuid4())}
            body = {"give": [give], "take": [take]}
            return await apps.bookings.post(f"/bookings/{order}/exchange", json=body, headers=keyed)

        ok(await exchange(seats[0], seats[3], booking, headers))
        ok(await exchange(seats[3], seats[12], booking, headers))
        assert (await organiser.one(allocation))["free"] == 4
        order, owner, _ = await buy(apps.database, seats[15:16])
        answer = await exchange(seats[15], seats[1], str(order), apps.buyer(owner)[1])
        problem(answer, 409, "sales.seats_taken")  # without the code there is no way in

    async def test_seats_that_come_back_are_its_allocations_again(
        self, apps: Apps, organiser: Organiser, seats: list[SeatId]
    ) -> None:
        code = await organiser.code(await organiser.set_aside(seats[:4]))
        _, headers = apps.buyer()
        booking = ok(await reserve(apps, headers, ticketIds=seats[:1], accessCode=code), 201)["bookingId"]
        await apps.bookings.delete(f"/bookings/{booking}/hold", headers=headers)
        problem(await reserve(apps, ticketIds=seats[:1]), 409, "sales.seats_taken")
        ok(await reserve(apps, ticketIds=seats[:1], accessCode=code), 201)


class TestReleaseTime:
    async def test_opens_seats_in_time_for_buyers_pictures_lists_and_counts(
        self, apps: Apps, organiser: Organiser
    ) -> None:
        seats = await put_on_sale(apps.database, 20)
        release_at = datetime.now(UTC) + timedelta(seconds=5)  # a busy machine stands still for a second or two
        allocation = await organiser.set_aside(seats, releaseAt=release_at.isoformat())
        assert (await states(apps))["free"] == 0
        problem(await reserve(apps, ticketIds=seats[:1]), 409, "sales.seats_taken")
        await asyncio.sleep((release_at - datetime.now(UTC)).total_seconds())
        ok(await reserve(apps, ticketIds=seats[:1]), 201)  # at once: the clock alone opens them
        listed = ok(await apps.tickets.get(f"/tickets/event/{EVENT}"))
        assert [seat["status"] for seat in listed].count("AVAILABLE") == 19
        assert (await organiser.one(allocation))["state"] == "open"
        while (await states(apps))["free"] != 19:
            assert (datetime.now(UTC) - release_at).total_seconds() < 20
            await asyncio.sleep(0.05)

        async def summary() -> int | None:
            free: int | None = await apps.database.fetchval(
                "SELECT free FROM sale_summaries WHERE event_id = $1", EVENT
            )
            return free

        while not await summary():  # what search is told; two timers of a second each
            assert (datetime.now(UTC) - release_at).total_seconds() < 20
            await asyncio.sleep(0.05)
        while await apps.database.fetchval("SELECT state FROM allocations") != "open":  # written down by a timer too
            assert (datetime.now(UTC) - release_at).total_seconds() < 20
            await asyncio.sleep(0.05)
