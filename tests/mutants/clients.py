"""Mutants of who may ask, and of who gets whose answer."""

import asyncio
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError
from tests.mutants.case import Case, Mutant, code, statement
from tests.mutants.oracles import BreachError, breach
from tests.mutants.room import Room

from boxoffice.services.identity.usecases import refresh
from boxoffice.services.sales.store import orders, payments, seats, tickets
from boxoffice.services.sales.usecases import block_seats

ROUNDS = 30
QUESTIONS = 4
SENT_S = 0.01
"""After this long a question has certainly left, unless the machine stands still: then that round proves nothing."""
LATE_S = 0.2
"""An answer that is still on its way when nobody wants it any more."""


async def impatient_clients_share_a_client(room: Room) -> None:
    """Questions are given up while their answers are on the way; every other answer must be to its own question."""
    mixed_up: list[str] = []
    given_up = 0
    async with Redis.from_url(room.redis_url, max_connections=QUESTIONS + 1) as redis:

        async def ask(said: bytes) -> None:
            try:
                answer = await redis.echo(said)
            except RedisError:  # no connection left, or one that was cut: no answer is not a wrong one
                return
            if answer != said:
                mixed_up.append(f"asked {said!r}, was told {answer!r}")

        for number in range(ROUNDS):
            late = asyncio.create_task(redis.blpop([f"nothing-{number}"], timeout=LATE_S))  # type: ignore[arg-type]
            await asyncio.sleep(SENT_S)
            given_up += late.cancel()
            await asyncio.gather(*(ask(f"{number}.{question}".encode()) for question in range(QUESTIONS)))
            await asyncio.wait([late])
            if mixed_up:
                break
    if given_up:
        room.meet(f"{given_up} of {ROUNDS} late answers met nobody")
    if mixed_up:
        raise breach("echo", f"{len(mixed_up)} answers belonged to others: {mixed_up[0]}")


async def a_stranger_asks(room: Room) -> None:
    """Another buyer, and another house, ask for everything of a booking."""
    till, apps = await room.till(), await room.apps()
    payment = await till.bought(2)
    ticket = await till.database.fetchval("SELECT ticket_id FROM tickets WHERE order_id = $1 LIMIT 1", payment.order_id)
    _, owner = apps.buyer(payment.user_id)
    _, other = apps.buyer()
    house = apps.organiser(uuid4())
    booking, free = f"/bookings/{payment.order_id}", till.seats[-2:]
    blocking = {"ticketIds": free, "status": "BLOCKED"}
    reading = {
        "booking": (apps.bookings, booking),
        "ticket": (apps.tickets, f"/tickets/{ticket}.pdf"),
        "payment": (apps.payments, f"/payments/{payment.payment_id}"),
    }
    for client, path in reading.values():
        assert (await client.get(path, headers=owner)).status_code == 200, path
    let_in: dict[str, str] = {}
    for headers in (other, house):
        for what, (client, path) in reading.items():
            answer = await client.get(path, headers=headers)
            if answer.status_code != 404:
                let_in[f"http:{what}"] = f"a stranger read it: {answer.status_code}"
        answer = await apps.bookings.post(f"{booking}/cancel", json={}, headers=headers)
        if answer.status_code != 404:
            let_in["http:cancel"] = f"a stranger cancelled: {answer.status_code}"
    answer = await apps.tickets.put("/tickets/update-seats", json=blocking, headers=house)
    if answer.status_code not in {403, 404}:
        let_in["http:block"] = f"another house blocked seats: {answer.status_code}"
    room.meet("nobody else was let in")
    if let_in:
        raise BreachError(let_in)


async def a_thief_uses_an_old_refresh_token(room: Room) -> None:
    """A copied token is used after its owner used it: both may be the thief, so the whole login ends."""
    identity = await room.identity()
    first = (await identity.entered())["refreshToken"]
    second = (await identity.refresh(first)).json()["refreshToken"]
    assert (await identity.refresh(first)).status_code == 401
    answer = await identity.refresh(second)
    room.meet("the second use was noticed")
    if answer.status_code != 401:
        raise breach("http", f"the login goes on after its token was used twice: {answer.status_code}")


ANYBODY = "AND ($2::uuid IS NOT NULL OR $3::uuid[] IS NOT NULL)"
OWNER_OR_HOUSE = "AND (o.user_id = $2 OR t.organisation_id = ANY ($3::uuid[]))"

MUTANTS = [
    Mutant(
        number=20,
        name="redis_client_keeps_half_read_connections",
        breaks="a connection goes back to the pool although the answer to a cancelled question is still on its way",
        cases=[
            Case(
                name="echo",
                attack=impatient_clients_share_a_client,
                breaks=[
                    code(AbstractConnection.read_response, "#1128.\n        if disconnect_on_error:", "\n        if False:")
                ],
                seen_by="echo",
            )
        ],
    ),
    Mutant(
        number=21,
        name="one_endpoint_without_ownership",
        breaks="whose it is does not count at one endpoint. Blocking and cancelling have two guards each",
        cases=[
            Case(
                name="read a booking",
                attack=a_stranger_asks,
                breaks=[statement(orders, "SEEN", OWNER_OR_HOUSE, ANYBODY)],
                seen_by="http:booking",
            ),
            Case(
                name="cancel a booking",
                attack=a_stranger_asks,
                # The answer shows the booking, by the statement that reads one, and takes everything back when it may not.
                breaks=[
                    statement(orders, "LOCK_VISIBLE", OWNER_OR_HOUSE, ANYBODY),
                    statement(orders, "SEEN", OWNER_OR_HOUSE, ANYBODY),
                ],
                seen_by="http:cancel",
            ),
            Case(
                name="read a payment",
                attack=a_stranger_asks,
                breaks=[statement(payments, "VISIBLE", "(o.user_id = $2 OR", "($2::uuid IS NOT NULL OR")],
                seen_by="http:payment",
            ),
            Case(
                name="read a ticket",
                attack=a_stranger_asks,
                breaks=[statement(tickets, "OWN", "AND k.user_id = $2", "AND $2::uuid IS NOT NULL")],
                seen_by="http:ticket",
            ),
            Case(
                name="block a seat, the use case alone",
                attack=a_stranger_asks,
                without=[
                    statement(
                        seats, "SET_BLOCKED", "AND t.organisation_id = ANY ($3::uuid[])", "AND $3::uuid[] IS NOT NULL"
                    )
                ],
                breaks=[code(block_seats._check_event, "if event.organisation_id not in organisations:", "if False:")],
                seen_by="http:block",
            ),
        ],
    ),
    Mutant(
        number=22,
        name="refresh_reuse_goes_on",
        breaks="the second use of a refresh token is refused, and the login goes on",
        cases=[
            Case(
                name="stolen",
                attack=a_thief_uses_an_old_refresh_token,
                breaks=[
                    code(
                        refresh.refresh,
                        'await logins.close(tx, presented.login_id, state, because="reuse")',
                        "assert state",
                    )
                ],
                seen_by="http",
            )
        ],
    ),
]  # fmt: skip
