"""/payments: create, read and refund; the provider's redirects and webhooks.

A redirect or a webhook proves nothing: both only make us ask the provider's API (I13).
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Redirect

from boxoffice.kernel.ids import PaymentId
from boxoffice.runtime import authn, web
from boxoffice.runtime.idempotency import Answer, KeyReusedError
from boxoffice.services.sales.api.parts import NO_STORE, call_of, written
from boxoffice.services.sales.api.paying import PROVIDER_OF_REDIRECTS, CreateBody, PaymentDesk, StartedView, started
from boxoffice.services.sales.domain.payment import (
    ForeignUrlError,
    ForgedWebhookError,
    NoSuchListenerError,
    NothingToPayError,
    Payment,
    PaymentNotFoundError,
    ProviderRefusedError,
    ProviderSilentError,
    ProviderUnknownError,
    way_back,
)
from boxoffice.services.sales.domain.refusals import (
    HoldExpiredError,
    NotOnSaleError,
    OrderNotFoundError,
    TicketNotFoundError,
    WrongOrderStateError,
)
from boxoffice.services.sales.store import payments
from boxoffice.services.sales.usecases.abandon_payment import TURNED_BACK, abandon
from boxoffice.services.sales.usecases.act_for import may_manage
from boxoffice.services.sales.usecases.refund_payment import refund_payment
from boxoffice.services.sales.usecases.settle_payment import settle
from boxoffice.services.sales.usecases.take_webhook import take_webhook

CREATED = 201
ACCEPTED = 202
SEE_OTHER: Literal[303] = 303
Token = Annotated[str, QueryParameter(name="token", max_length=200, description="The provider's id of its order.")]
TicketName = int | UUID
Named = Annotated[list[TicketName], msgspec.Meta(min_length=1, max_length=1_000)]


async def payment_desk(state: State) -> PaymentDesk:
    """Litestar dependency: the payment desk of this process, as ``app.py`` put it there."""
    found: PaymentDesk = state.payment_desk
    return found


class RefundBody(web.Model, frozen=True):
    """The tickets to refund, by their own id or their seat's; none: all that are left."""

    ticket_ids: Named | None = None


class PaymentView(web.View, frozen=True):
    """A payment; ``refunded`` counts what was promised back, on its way or there."""

    payment_id: UUID
    booking_id: UUID
    provider: str
    status: str
    total: str
    currency: str
    refunded: str
    failure: str | None = None
    return_url: str | None = None


class WebhookView(web.View, frozen=True):
    """The webhook was taken."""

    status: str


def payment_view(payment: Payment) -> PaymentView:
    """Show a payment."""
    return PaymentView(
        payment_id=payment.payment_id, booking_id=payment.order_id, provider=payment.provider,
        status=payment.state.value.upper(), total=payment.total.decimal(), currency=payment.total.currency,
        refunded=payment.refunded.decimal(), failure=payment.failure, return_url=payment.return_url,
    )  # fmt: skip


class PaymentController(Controller):
    """Payments."""

    path = "/payments"
    dependencies = {"desk": Provide(payment_desk)}  # noqa: RUF012 - the framework's own way to declare them
    response_headers = NO_STORE

    @post(
        "/create",
        opt=web.refuses(
            OrderNotFoundError, HoldExpiredError, NothingToPayError, NotOnSaleError, WrongOrderStateError,
            ForeignUrlError, ProviderUnknownError, ProviderSilentError, ProviderRefusedError, KeyReusedError,
        ),
        responses={CREATED: ResponseSpec(data_container=StartedView, generate_examples=False)},
    )  # fmt: skip
    async def create(
        self,
        request: Request[Any, Any, Any],
        data: CreateBody,
        caller: authn.Caller,
        desk: PaymentDesk,
        idempotency_key: web.IdempotencyKey,
    ) -> Response[bytes]:
        """Start to pay a booking: the seats are kept while the buyer is at the provider's page.

        A booking that is being paid answers with the payment that it has.
        """
        answer = await started(desk, caller.user_id, data, idempotency_key, await request.body())
        return written(answer.body, status=answer.status)

    @get("/success", status_code=SEE_OTHER, opt=web.refuses(PaymentNotFoundError))
    async def success(self, desk: PaymentDesk, token: Token) -> Redirect:
        """Come back from the provider after saying yes: the payment is settled, then the buyer's page follows."""
        payment = await _settled(desk, await _by_token(desk, token))
        return _back(payment, payment.return_url or desk.public_url)

    @get("/cancel", status_code=SEE_OTHER, opt=web.refuses(PaymentNotFoundError))
    async def cancel(self, desk: PaymentDesk, token: Token) -> Redirect:
        """Come back from the provider after saying no: the seats are held again while there is time."""
        payment = await _by_token(desk, token)
        await abandon(desk.till.database, desk.till.providers, payment.payment_id, because=TURNED_BACK)
        payment = await _settled(desk, payment)
        return _back(payment, payment.cancel_url or desk.public_url)

    @get("/error", status_code=SEE_OTHER, opt=web.refuses(PaymentNotFoundError))
    async def error(self, desk: PaymentDesk, token: Token) -> Redirect:
        """Come back from the provider after it failed: the payment is settled as far as it can be."""
        payment = await _settled(desk, await _by_token(desk, token))
        return _back(payment, payment.cancel_url or desk.public_url)

    @get("/{payment_id:uuid}", opt=web.refuses(PaymentNotFoundError))
    async def show(self, payment_id: UUID, caller: authn.Caller, desk: PaymentDesk) -> PaymentView:
        """Read a payment: its buyer, an owner or manager of the event's organisation, staff."""
        payment = await payments.visible_to(
            desk.till.database, PaymentId(payment_id), user_id=caller.user_id,
            organisations=may_manage(caller.organisations), staff=caller.is_staff,
        )  # fmt: skip
        if payment is None:
            raise PaymentNotFoundError("There is no such payment.")
        return payment_view(payment)

    @post("/webhooks/{provider:str}", status_code=200, opt=web.refuses(ForgedWebhookError, NoSuchListenerError))
    async def webhook(self, request: Request[Any, Any, Any], provider: str, desk: PaymentDesk) -> WebhookView:
        """Take a provider's webhook: the raw body's signature is checked, then the provider is asked."""
        await take_webhook(desk.till, provider, dict(request.headers.items()), await request.body())
        return WebhookView(status="taken")

    @post(
        "/{payment_id:uuid}/refund",
        status_code=ACCEPTED,
        guards=[authn.require(authn.ORGANISER, authn.SUPPORT, authn.ADMINISTRATOR)],
        opt=web.refuses(PaymentNotFoundError, WrongOrderStateError, TicketNotFoundError, KeyReusedError),
        responses={ACCEPTED: ResponseSpec(data_container=PaymentView, generate_examples=False)},
    )
    async def refund(
        self,
        request: Request[Any, Any, Any],
        payment_id: UUID,
        data: RefundBody,
        caller: authn.Caller,
        desk: PaymentDesk,
        idempotency_key: web.IdempotencyKey,
    ) -> Response[bytes]:
        """Refund a payment, whole or for some tickets: they are void at once, the money follows."""
        answer = await refund_payment(
            desk.till.database, PaymentId(payment_id), by=caller.user_id,
            organisations=may_manage(caller.organisations), staff=caller.is_staff, chosen=data.ticket_ids,
            render=_refunding,
            call=call_of(caller.user_id, idempotency_key, f"payments.refund.{payment_id}", await request.body()),
        )  # fmt: skip
        return written(answer.body, status=answer.status)


async def _by_token(desk: PaymentDesk, token: str) -> Payment:
    payment = await payments.by_ref(desk.till.database, PROVIDER_OF_REDIRECTS, token)
    if payment is None:
        raise PaymentNotFoundError("The payment provider's token is not one of ours.")
    return payment


async def _settled(desk: PaymentDesk, payment: Payment) -> Payment:
    """Settle as far as possible now; on silence the buyer goes back all the same, and the resolver goes on."""
    try:
        return await settle(desk.till, payment.payment_id)
    except ProviderSilentError:
        found = await payments.by_id(desk.till.database, payment.payment_id)
        return found or payment


def _back(payment: Payment, url: str) -> Redirect:
    address = way_back(
        url, order_id=payment.order_id, payment_id=payment.payment_id, status=payment.state.value.upper()
    )
    return Redirect(address, status_code=SEE_OTHER)


def _refunding(payment: Payment) -> Answer:
    return Answer(status=ACCEPTED, body=msgspec.json.encode(payment_view(payment)))
