"""Paying as a crowd does it: starting a payment and confirming its order, before the framework where nothing is odd.

The handlers in ``payments.py`` and ``bookings.py`` do the same for whatever is unusual, and are what OpenAPI describes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from boxoffice.kernel.ids import OrderId, PaymentId, UserId
from boxoffice.runtime import web
from boxoffice.runtime.authn import Caller, TokenVerifier
from boxoffice.runtime.hotpaths import Answer as HotAnswer
from boxoffice.runtime.hotpaths import Call, HotPath, reader
from boxoffice.runtime.idempotency import Answer
from boxoffice.services.sales.api.parts import Parts, call_of
from boxoffice.services.sales.api.views import booking_view
from boxoffice.services.sales.domain.payment import Payment, PaymentState
from boxoffice.services.sales.usecases.act_for import may_sell
from boxoffice.services.sales.usecases.confirm_for_buyer import confirm_for_buyer
from boxoffice.services.sales.usecases.gather_payments import BeginDesk
from boxoffice.services.sales.usecases.read_orders import ShownOrder, show_order
from boxoffice.services.sales.usecases.settle_payment import Settling
from boxoffice.services.sales.usecases.start_payment import Wish, start_payment

OK, CREATED = 200, 201
CREATE = f"{web.API}/payments/create"
CONFIRM = f"{web.API}/bookings/confirm/"
PROVIDER_OF_REDIRECTS = "paypal"
"""Only PayPal sends people back with ``token``."""
Url = Annotated[str, msgspec.Meta(max_length=4_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDesk:
    """What the handlers work with; ``window``: how long a buyer may take at the provider."""

    till: Settling
    beginnings: BeginDesk
    public_url: str
    window: timedelta


class CreateBody(web.Model, frozen=True):
    """The booking to pay, how, and where to send the buyer back to (pages of this shop)."""

    booking_id: UUID
    provider: Annotated[str, msgspec.Meta(max_length=40)] = PROVIDER_OF_REDIRECTS
    return_url: Url | None = None
    cancel_url: Url | None = None


class StartedView(web.View, frozen=True):
    """A payment that waits for the buyer at ``approvalUrl``."""

    payment_id: UUID
    approval_url: str | None
    status: str


class ConfirmBody(web.Model, frozen=True):
    """The payment that was made; left out for a free booking."""

    payment_id: UUID | None = None


async def started(desk: PaymentDesk, user_id: UserId, data: CreateBody, key: str | None, body: bytes) -> Answer:
    """Start a payment as a caller asks for it."""
    wish = Wish(
        order_id=OrderId(data.booking_id), user_id=user_id, provider=data.provider.lower(),
        return_url=data.return_url or desk.public_url,
        cancel_url=data.cancel_url or data.return_url or desk.public_url,
    )  # fmt: skip
    return await start_payment(
        desk.till.database, desk.till.providers, wish, public_url=desk.public_url, window=desk.window,
        call=call_of(user_id, key, "payments.create", body), render=_started, desk=desk.beginnings,
    )  # fmt: skip


async def confirmed(parts: Parts, caller: Caller, booking_id: UUID, data: ConfirmBody) -> ShownOrder:
    """Confirm a booking as a caller asks for it, and show it."""
    order_id = OrderId(booking_id)
    shown = await confirm_for_buyer(
        parts.till, order_id=order_id, user_id=caller.user_id, desk=parts.confirmations,
        payment_id=None if data.payment_id is None else PaymentId(data.payment_id),
    )  # fmt: skip
    return shown or await show_order(parts.database, order_id, caller.user_id, may_sell(caller.organisations))


def create(desk: Callable[[], PaymentDesk], verifier: TokenVerifier) -> HotPath:
    """Build the hot path that starts a payment; the desk is asked for at each call, as it is opened later."""
    read = reader(CreateBody)

    async def handle(call: Call) -> HotAnswer | None:
        token = call.bearer()
        if token is None:
            return None
        caller = await verifier.caller(token)
        data = read(call.body)
        if data is None:
            return None
        answer = await started(desk(), caller.user_id, data, call.header(b"idempotency-key"), call.body)
        return HotAnswer.of(answer.status, answer.body, cache_control="no-store")

    return HotPath("POST", CREATE, handle)


def confirm(parts: Callable[[], Parts], verifier: TokenVerifier) -> HotPath:
    """Build the hot path that confirms a booking; the parts are asked for at each call, as they are opened later."""
    read = reader(ConfirmBody)

    async def handle(call: Call) -> HotAnswer | None:
        token = call.bearer()
        booking_id = _uuid(call.path[len(CONFIRM) :])
        if token is None or booking_id is None:
            return None
        caller = await verifier.caller(token)
        data = read(call.body)
        if data is None:
            return None
        shown = await confirmed(parts(), caller, booking_id, data)
        return HotAnswer.of(OK, msgspec.json.encode(booking_view(shown)), cache_control="no-store")

    return HotPath("PUT", CONFIRM + "{}", handle, route=CONFIRM + "{reservation_id}")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _started(payment: Payment) -> Answer:
    waiting = payment.state is PaymentState.CREATED
    view = StartedView(
        payment_id=payment.payment_id, approval_url=payment.approval_url if waiting else None,
        status=payment.state.value.upper(),
    )  # fmt: skip
    return Answer(status=CREATED, body=msgspec.json.encode(view))
