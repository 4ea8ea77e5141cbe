"""The public API at the gateway, as the pages call it. Keeps that every call goes out with the caller's own token.

A refusal comes back as :class:`ApiRefusalError` with the problem's own words; nothing is made up for a missing answer
(invariant I12).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec

from boxoffice.runtime.peers import Peers, PeerUnavailableError
from boxoffice.services.storefront.providers import answers

API = "/api/v1"
T = TypeVar("T")
Parameters = Mapping[str, str | int]


class ApiRefusalError(Exception):
    """The API said no: its status, code, words and context (RFC 9457)."""

    def __init__(self, *, status: int, code: str, title: str, detail: str, context: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.context = context

    @property
    def is_unauthenticated(self) -> bool:
        """Whether logging in (again) would help."""
        return self.status == httpx.codes.UNAUTHORIZED

    @property
    def is_not_found(self) -> bool:
        """Whether there is no such thing, or none that the caller may see."""
        return self.status == httpx.codes.NOT_FOUND

    @property
    def retry_after_s(self) -> int:
        """Seconds after which another try makes sense; 0 when the API says nothing."""
        found = self.context.get("retryAfterSeconds", 0)
        return found if isinstance(found, int) else 0


class Shop:
    """The API for one visitor: with their token, and their address for the limits."""

    def __init__(self, peers: Peers, *, token: str = "", client: str = "") -> None:
        self._peers = peers
        self._headers = {
            "accept": "application/json",
            **({"authorization": f"Bearer {token}"} if token else {}),
            **({"x-forwarded-for": client} if client else {}),
        }

    async def search(self, asked: Parameters) -> answers.SearchPage:
        """Find events."""
        return await self._get("/search", answers.SearchPage, params=asked)

    async def suggest(self, text: str) -> answers.Suggestions:
        """Complete what is being typed."""
        return await self._get("/search/suggest", answers.Suggestions, params={"q": text})

    async def event(self, event_id: int) -> answers.EventAnswer:
        """Read one event."""
        return await self._get(f"/events/{event_id}", answers.EventAnswer)

    async def events(self, asked: Parameters) -> answers.EventPage:
        """List events of the catalog; with an organiser's token, their drafts too."""
        return await self._get("/events", answers.EventPage, params=asked)

    async def seat_map(self, seat_map_id: int) -> answers.SeatMapAnswer:
        """Read one seat map."""
        return await self._get(f"/seat-maps/{seat_map_id}", answers.SeatMapAnswer)

    async def tickets(self, event_id: int) -> list[answers.Ticket]:
        """List every event seat of an event."""
        return await self._get(f"/tickets/event/{event_id}", list[answers.Ticket])

    async def ticket_types(self, event_id: int) -> list[answers.LevelTypes]:
        """List the ticket types of an event's price levels."""
        return await self._get(f"/tickets/event/{event_id}/types", list[answers.LevelTypes])

    async def availability(self, event_id: int) -> answers.Availability:
        """Read the state of a house."""
        return await self._get(f"/events/{event_id}/availability", answers.Availability)

    async def log_in(self, email: str, password: str) -> answers.Tokens:
        """Log in."""
        body = {"email": email, "password": password}
        return await self._send("POST", "/auth/login", answers.Tokens, body=body)

    async def refresh(self, refresh_token: str, *, key: str) -> answers.Tokens:
        """Exchange a refresh token; the same key within seconds gives the same answer."""
        body = {"refreshToken": refresh_token}
        return await self._send("POST", "/auth/refresh", answers.Tokens, body=body, key=key)

    async def log_out(self, refresh_token: str) -> None:
        """End a login."""
        await self._call("POST", "/auth/logout", json={"refreshToken": refresh_token})

    async def register(self, *, name: str, email: str, password: str) -> answers.User:
        """Make an account."""
        body = {"name": name, "email": email, "password": password}
        return await self._send("POST", "/auth/register", answers.User, body=body)

    async def verify_email(self, token: str) -> None:
        """Verify an address with the token of a mailed link."""
        await self._call("POST", "/auth/verify-email", json={"token": token})

    async def forgot_password(self, email: str) -> None:
        """Ask for a link to set a new password."""
        await self._call("POST", "/auth/forgot-password", json={"email": email})

    async def reset_password(self, token: str, password: str) -> None:
        """Set a new password with the token of a mailed link."""
        await self._call("POST", "/auth/reset-password", json={"token": token, "password": password})

    async def me(self) -> answers.User:
        """Read one's own account."""
        return await self._get("/users/me", answers.User)

    async def hold_seats(self, event_id: int, ticket_ids: Sequence[int], *, code: str, key: str) -> answers.Hold:
        """Hold chosen seats, all or nothing; an access code, if there is one, opens those that are set aside for it."""
        body: dict[str, Any] = {"eventId": event_id, "ticketIds": list(ticket_ids), **_code(code)}
        return await self._send("POST", "/bookings/reserve", answers.Hold, body=body, key=key)

    async def hold_best(
        self,
        event_id: int,
        quantity: int,
        *,
        price_level: str | None,
        section: str | None,
        together: bool,
        code: str,
        key: str,
    ) -> answers.Hold:
        """Hold the best seats there are, or places of general admission."""
        body: dict[str, Any] = {"eventId": event_id, "quantity": quantity, "together": together, **_code(code)}
        if price_level:
            body["priceLevel"] = price_level
        if section:
            body["section"] = section
        return await self._send("POST", "/bookings/reserve", answers.Hold, body=body, key=key)

    async def opened_by(self, event_id: int, code: str) -> answers.Opened:
        """List the free seats that an access code opens."""
        return await self._send("POST", f"/events/{event_id}/access-code", answers.Opened, body=_code(code))

    async def allocations(self, event_id: int) -> tuple[answers.Allocation, ...]:
        """List the allocations of an event that one organises."""
        found = await self._get(f"/events/{event_id}/allocations", answers.Allocations)
        return found.allocations

    async def set_aside(self, event_id: int, plan: Mapping[str, Any], *, key: str) -> answers.Allocation:
        """Set seats aside in a new allocation: ``kind``, ``name``, ``section``, maybe ``rows`` and ``releaseAt``."""
        return await self._send("POST", f"/events/{event_id}/allocations", answers.Allocation, body=plan, key=key)

    async def open_allocation(self, event_id: int, allocation_id: int, *, key: str) -> answers.Allocation:
        """Open an allocation's seats to everybody now."""
        path = f"/events/{event_id}/allocations/{allocation_id}/open"
        return await self._send("POST", path, answers.Allocation, body={}, key=key)

    async def release_allocation(self, event_id: int, allocation_id: int) -> None:
        """Give all seats of an allocation back."""
        await self._call("DELETE", f"/events/{event_id}/allocations/{allocation_id}")

    async def issue_access_code(self, event_id: int, allocation_id: int) -> str:
        """Make a new access code for an allocation."""
        path = f"/events/{event_id}/allocations/{allocation_id}/access-code"
        return (await self._send("PUT", path, answers.AccessCode, body={})).access_code

    async def bookings(self, asked: Parameters) -> answers.BookingPage:
        """List bookings: one's own, or those of an event that one organises."""
        return await self._get("/bookings", answers.BookingPage, params=asked)

    async def booking(self, booking_id: UUID) -> answers.Booking:
        """Read one booking."""
        return await self._get(f"/bookings/{booking_id}", answers.Booking)

    async def give_back(self, booking_id: UUID) -> None:
        """Give held seats back."""
        await self._call("DELETE", f"/bookings/{booking_id}/hold")

    async def confirm(self, booking_id: UUID, payment_id: UUID | None) -> answers.Booking:
        """Confirm a paid booking, or a free one."""
        body = {"paymentId": str(payment_id)} if payment_id else {}
        return await self._send("PUT", f"/bookings/confirm/{booking_id}", answers.Booking, body=body)

    async def cancel(self, booking_id: UUID, ticket_ids: Sequence[int], *, key: str) -> answers.Booking:
        """Cancel a booking, or the tickets named."""
        body: dict[str, Any] = {"ticketIds": list(ticket_ids)} if ticket_ids else {}
        return await self._send("POST", f"/bookings/{booking_id}/cancel", answers.Booking, body=body, key=key)

    async def extend(self, booking_id: UUID, *, key: str) -> answers.Booking:
        """Ask for more time to pay for held seats."""
        return await self._send("POST", f"/bookings/{booking_id}/extend", answers.Booking, body={}, key=key)

    async def choose_types(self, booking_id: UUID, types: Mapping[int, str]) -> answers.Booking:
        """Choose the ticket types of a held booking, by event seat."""
        body = {"ticketTypes": {str(ticket): chosen for ticket, chosen in types.items()}}
        return await self._send("PATCH", f"/bookings/{booking_id}/ticket-types", answers.Booking, body=body)

    async def name_attendees(self, booking_id: UUID, named: Sequence[Mapping[str, Any]]) -> answers.Booking:
        """Say who comes with tickets of a booking."""
        body = {"attendees": list(named)}
        return await self._send("PATCH", f"/bookings/{booking_id}/attendees", answers.Booking, body=body)

    async def pay(self, booking_id: UUID, *, return_url: str, cancel_url: str, key: str) -> answers.StartedPayment:
        """Start to pay a booking."""
        body = {"bookingId": str(booking_id), "provider": "paypal", "returnUrl": return_url, "cancelUrl": cancel_url}
        return await self._send("POST", "/payments/create", answers.StartedPayment, body=body, key=key)

    async def payment(self, payment_id: UUID) -> answers.Payment:
        """Read one payment."""
        return await self._get(f"/payments/{payment_id}", answers.Payment)

    async def document(self, path: str) -> tuple[bytes, str]:
        """Fetch a document (QR code, PDF) below the API's root; gives its bytes and its media type."""
        response = await self._call("GET", path)
        return response.content, response.headers.get("content-type", "application/octet-stream")

    async def _get(self, path: str, shape: type[T], *, params: Parameters | None = None) -> T:
        response = await self._call("GET", path, params=dict(params) if params else None)
        return _decoded(response, shape)

    async def _send(
        self, method: str, path: str, shape: type[T], *, body: Mapping[str, Any], key: str | None = None
    ) -> T:
        headers = {"idempotency-key": key} if key else {}
        return _decoded(await self._call(method, path, json=dict(body), headers=headers), shape)

    async def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        arguments["headers"] = {**self._headers, **arguments.get("headers", {})}
        try:
            response = await self._peers.client("gateway").request(method, API + path, **arguments)
        except (httpx.TransportError, OSError) as error:
            raise PeerUnavailableError("The shop's services cannot be reached.", retryAfterSeconds=2) from error
        if not response.is_success:
            raise _refusal(response)
        return response


def _code(code: str) -> dict[str, str]:
    return {"accessCode": code} if code else {}


def _decoded(response: httpx.Response, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=shape)
    except msgspec.DecodeError as error:
        raise PeerUnavailableError("The shop's services do not answer as agreed.", retryAfterSeconds=2) from error


def _refusal(response: httpx.Response) -> ApiRefusalError:
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    return ApiRefusalError(
        status=response.status_code,
        code=str(problem.get("code", "request.unreadable")),
        title=str(problem.get("title", "The request was refused")),
        detail=str(problem.get("detail", "")),
        context=problem,
    )
