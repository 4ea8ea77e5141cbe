"""From a choice of seats to a paid booking: hold, pay at the provider, come back."""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid5

from litestar import Request, Response, get, post
from litestar.datastructures import FormMultiDict

from boxoffice.kernel.ids import EventId, SeatId, place_of, seat_id
from boxoffice.runtime.peers import PeerUnavailableError
from boxoffice.services.storefront.api.browse import MOST_CODE, event_values, seats_of_code
from boxoffice.services.storefront.api.front import Front
from boxoffice.services.storefront.api.visit import Visit
from boxoffice.services.storefront.domain.house import CHOICE_LIMIT, read_choice
from boxoffice.services.storefront.providers.answers import Booking, Hold
from boxoffice.services.storefront.providers.shop import ApiRefusalError
from boxoffice.services.storefront.usecases.show_event import show_event

KEYS = UUID("7d3b1a54-4b0e-4a53-9f3a-0a6c1a1f6b11")
"""Name space of idempotency keys: the same form with the same choice is the same wish (a double click)."""
MOST_PLACES = 1 << 20
UNKNOWN_CODE = "sales.access_code_unknown"
MOST_NAME = 200
"""Characters of a price level's or a section's name."""
WISHES = ("quantity", "level", "section", "together")
"""What the form for places of our choice asks for."""
WAITING_ROUNDS = 40
"""Times the waiting page asks again by itself, every two seconds; then it says that a mail will follow."""


@post("/events/{event_id:int}/hold", include_in_schema=False)
async def hold(request: Request[Any, Any, Any], front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Hold what the form chose; whoever is not logged in does that first and finds the choice again."""
    form = await request.form()
    if not visit.logged_in:
        return front.pages.go(visit, f"/login?next={quote(_again(event_id, form))}")
    visit.check_form(request, form)
    try:
        held = await _hold(visit, event_id, form)
    except ApiRefusalError as refusal:
        if refusal.is_unauthenticated:
            visit.become(None)
            return front.pages.go(visit, f"/login?next={quote(_again(event_id, form))}")
        if refusal.is_not_found and refusal.code != UNKNOWN_CODE:
            raise
        return await _show_refusal(front, visit, event_id, form, refusal)
    return front.pages.go(visit, f"/bookings/{held.booking_id}")


async def _hold(visit: Visit, event_id: int, form: FormMultiDict) -> Hold:
    chosen = _chosen(form)
    quantity = str(form.get("quantity", ""))
    level = str(form.get("level", "")) or None
    section = str(form.get("section", "")) or None
    together = form.get("together") == "yes"
    code = _code(form)
    wish = f"{form.get('key', '')}:{event_id}:{sorted(chosen)}:{quantity}:{level}:{section}:{together}:{code}"
    key = str(uuid5(KEYS, wish))
    if chosen or not quantity.isdecimal():
        return await visit.shop.hold_seats(event_id, [_ticket(event_id, place) for place in chosen], code=code, key=key)
    number = min(int(quantity[:4]), CHOICE_LIMIT + 1)
    return await visit.shop.hold_best(
        event_id, number, price_level=level, section=section, together=together, code=code, key=key
    )  # fmt: skip


async def _show_refusal(
    front: Front,
    visit: Visit,
    event_id: int,
    form: FormMultiDict,
    refusal: ApiRefusalError,
) -> Response[bytes]:
    """Show the event again: what was lost is named and taken out of the choice, the rest stays chosen."""
    taken = [entry for entry in refusal.context.get("taken", []) if isinstance(entry, dict)]
    lost = tuple(_name(entry) for entry in taken)
    without = tuple(place_of(SeatId(int(entry["ticketId"]))) for entry in taken if "ticketId" in entry)
    # A code that was just refused is not tried again: wrong ones are counted.
    code, opened, _ = await seats_of_code(visit, event_id, "" if refusal.code == UNKNOWN_CODE else _code(form))
    shown = await show_event(visit.shop, front.houses, event_id, opened=opened)
    values = await event_values(front, shown, visit, wish=form, lost=lost, problem=refusal, without=without, code=code)
    return front.pages.personal(visit, "event.html", status=refusal.status, **values)


@post("/bookings/{booking_id:uuid}/pay", include_in_schema=False)
async def pay(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Start the payment and lead to the provider's page.

    A page in between, not a redirect: a form may only lead to this shop (``form-action``), wherever the provider lives.
    """
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    back = f"{front.public_url}/bookings/{booking_id}/return"
    key = str(uuid5(KEYS, f"pay:{booking_id}:{form.get('key', '')}"))
    booking = await visit.shop.booking(booking_id)
    if changed := _types(form, booking):
        booking = await visit.shop.choose_types(booking_id, changed)
        if booking.total != form.get("shown"):  # nobody pays another sum than the one that they were shown
            return front.pages.go(visit, f"/bookings/{booking_id}?total=new")
    if booking.total.strip("0.") == "":
        await visit.shop.confirm(booking_id, None)
        return front.pages.go(visit, f"/bookings/{booking_id}?paid=now")
    started = await visit.shop.pay(booking_id, return_url=back, cancel_url=back, key=key)
    if started.approval_url is None:
        return front.pages.go(visit, f"/bookings/{booking_id}/return")
    if urlsplit(started.approval_url).scheme not in {"http", "https"}:
        raise PeerUnavailableError("The payment provider's address cannot be used.")
    answer: Response[bytes] = front.pages.personal(
        visit,
        "leaving.html",
        booking=booking,
        address=started.approval_url,
        provider=urlsplit(started.approval_url).netloc,
    )
    answer.headers["Refresh"] = f"0; url={started.approval_url}"
    return answer


@post("/bookings/{booking_id:uuid}/types", include_in_schema=False)
async def types(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Choose ticket types (adult, child, …) of a held booking, and show its new total."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    if changed := _types(form, await visit.shop.booking(booking_id)):
        await visit.shop.choose_types(booking_id, changed)
    return front.pages.go(visit, f"/bookings/{booking_id}")


@get("/bookings/{booking_id:uuid}/return", include_in_schema=False)
async def come_back(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Come back from the provider: to the tickets, to the hold, or to a page that waits for the provider's word."""
    visit.known()
    booking = await visit.shop.booking(booking_id)
    text = request.query_params.get("round", "0")
    waited = int(text) if text.isdecimal() and len(text) < 4 else 0  # noqa: PLR2004 - no page waits longer
    if booking.status == "PAYING" and request.query_params.get("status") != "VOIDED":
        answer: Response[bytes] = front.pages.personal(
            visit, "waiting.html", booking=booking, patient=waited < WAITING_ROUNDS
        )
        if waited < WAITING_ROUNDS:
            answer.headers["Refresh"] = f"2; url=/bookings/{booking_id}/return?round={waited + 1}"
        return answer
    word = "paid" if booking.status == "CONFIRMED" else "unpaid"
    return front.pages.go(visit, f"/bookings/{booking_id}?{word}=now")


@post("/bookings/{booking_id:uuid}/give-back", include_in_schema=False)
async def give_back(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Give the held seats back, and show the event again."""
    visit.known()
    visit.check_form(request, await request.form())
    booking = await visit.shop.booking(booking_id)
    await visit.shop.give_back(booking_id)
    return front.pages.go(visit, f"/events/{booking.event.id}")


@post("/bookings/{booking_id:uuid}/extend", include_in_schema=False)
async def extend(request: Request[Any, Any, Any], front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Keep the held seats a little longer."""
    visit.known()
    form = await request.form()
    visit.check_form(request, form)
    await visit.shop.extend(booking_id, key=str(uuid5(KEYS, f"extend:{booking_id}:{form.get('key', '')}")))
    return front.pages.go(visit, f"/bookings/{booking_id}")


@get("/events/{event_id:int}/hold", include_in_schema=False)
async def back_to_event(front: Front, visit: Visit, event_id: int) -> Response[bytes]:
    """Lead somebody who loads a form's address again back to the page that it was on."""
    return front.pages.go(visit, f"/events/{event_id}")


@get(
    [f"/bookings/{{booking_id:uuid}}/{form}" for form in ("pay", "types", "give-back", "extend")],
    include_in_schema=False,
)
async def back_to_booking(front: Front, visit: Visit, booking_id: UUID) -> Response[bytes]:
    """Lead somebody who loads a form's address again back to the page that it was on."""
    return front.pages.go(visit, f"/bookings/{booking_id}")


def _types(form: FormMultiDict, booking: Booking) -> dict[int, str]:
    """Read which tickets are to be sold as another type than they are."""
    wished = {ticket.ticket_id: str(form.get(f"type-{ticket.ticket_id}", ""))[:MOST_NAME] for ticket in booking.tickets}
    return {
        ticket.ticket_id: wished[ticket.ticket_id]
        for ticket in booking.tickets
        if wished[ticket.ticket_id] not in ("", ticket.ticket_type)
    }


def _chosen(form: FormMultiDict) -> tuple[int, ...]:
    return read_choice([str(text) for text in form.getall("place", [])], places=MOST_PLACES)


def _code(form: FormMultiDict) -> str:
    return str(form.get("code", "")).strip()[:MOST_CODE]


def _ticket(event_id: int, place: int) -> int:
    return seat_id(EventId(event_id), place)


def _again(event_id: int, form: FormMultiDict) -> str:
    """Write the event's address with what was chosen."""
    chosen = _chosen(form)
    wish: dict[str, str] = {"choose": ",".join(map(str, chosen))} if chosen else {}
    if not chosen:
        wish |= {name: str(form.get(name))[:MOST_NAME] for name in WISHES if form.get(name)}
    wish |= {"code": _code(form)} if _code(form) else {}
    return f"/events/{event_id}?{urlencode(wish)}" if wish else f"/events/{event_id}"


def _name(entry: dict[str, Any]) -> str:
    return f"{entry.get('section', '')}, row {entry.get('row', '')}, seat {entry.get('number', '')}"


ROUTES: list[Any] = [hold, pay, types, come_back, give_back, extend, back_to_event, back_to_booking]
