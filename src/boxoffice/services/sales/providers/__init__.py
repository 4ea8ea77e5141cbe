"""Clients of payment providers, one file each, behind one Protocol. They say what was said and decide nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from boxoffice.kernel.ids import OrderId, PaymentId, RefundId
from boxoffice.kernel.money import Money
from boxoffice.services.sales.domain.payment import CaptureOutcome, ProviderOrder, RefundOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of what is paid for."""

    name: str
    price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """What a provider is asked to collect. The same payment is always asked for in the same words.

    ``reference``: what the provider keeps with the items so that the order can be made again (``domain/bought.py``).
    """

    payment_id: PaymentId
    order_id: OrderId
    total: Money
    description: str
    items: Sequence[Item]
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The provider waits for the buyer at ``approval_url``."""

    provider_ref: str
    approval_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """A webhook whose signature held. It names what to ask about and proves nothing else."""

    event_id: str
    event_type: str
    provider_ref: str | None
    capture_ref: str | None
    payment_reference: str | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moved in the provider's books: a capture (value above 0) or a refund (below 0).

    ``reference`` is the order id of a capture, the refund id of a refund; ``payment_reference`` our payment id;
    ``of_ref`` the provider's order of a capture, the capture of a refund.
    """

    provider_ref: str
    of_ref: str
    value: Money
    moved_at: datetime
    reference: str | None
    payment_reference: str | None
    is_final: bool


class PaymentProvider(Protocol):
    """A payment provider. Calls that move money carry our id, so that a repeat changes nothing."""

    name: str
    payee: str

    async def create(self, payment: NewPayment) -> Begun:
        """Begin a payment under its payment id.

        :raises ProviderSilentError: when it may or may not have begun; ask again with the same payment.
        :raises ProviderRefusedError: when the provider says no.
        """

    async def get(self, provider_ref: str) -> ProviderOrder:
        """Ask how an order stands.

        :raises ProviderSilentError: when there is no answer.
        """

    async def capture(self, provider_ref: str, *, payment_id: PaymentId) -> CaptureOutcome:
        """Take the money of an approved order, at most once however often it is called."""

    async def void(self, provider_ref: str) -> None:
        """Make sure that an order which was not captured cannot be captured any more.

        :raises ProviderSilentError: when there is no answer.
        """

    async def refund(self, capture_ref: str, *, refund_id: RefundId, value: Money) -> RefundOutcome:
        """Give money back, at most once for a refund id while the provider remembers it."""

    async def webhook(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a webhook's signature over the raw body and read it.

        :raises ForgedWebhookError: when it cannot be trusted.
        :raises ProviderSilentError: when the certificate cannot be had now.
        """

    async def movements(self, begin: datetime, end: datetime) -> list[Movement]:
        """List what moved between two instants.

        :raises ProviderSilentError: when there is no answer.
        """


Providers = Mapping[str, PaymentProvider]
"""The providers that this shop works with, by name."""
