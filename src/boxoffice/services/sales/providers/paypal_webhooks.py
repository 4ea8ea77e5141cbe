"""PayPal's webhooks: the signature over the raw body, checked here, with a certificate that we trust (SSRF: pinned).

RSA with SHA-256 over ``transmission id|transmission time|webhook id|crc32(body)``
(https://developer.paypal.com/api/rest/webhooks/rest/). A webhook names an order; nothing in it is believed.
"""

import base64
import binascii
import ssl
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from boxoffice.services.sales.domain.payment import ForgedWebhookError, ProviderSilentError
from boxoffice.services.sales.providers import ProviderEvent

ALGORITHM = "SHA256withRSA"
TOLERANCE = timedelta(seconds=300)
"""How old or how far ahead a transmission may be: our clocks and PayPal's queues, not a replay from yesterday."""
CERTIFICATE_PATH = "/v1/notifications/certs/"
MAX_CERTIFICATE_BYTES = 64 * 1024
REMEMBERED_CERTIFICATES = 8
"""PayPal uses one at a time; a stranger cannot make us remember more."""
PAYPAL_DOMAIN = "paypal.com"
SIMULATOR_SIGNER = "messageverificationcerts.simulator.test"


class _Related(msgspec.Struct):
    order_id: str | None = None


class _Supplement(msgspec.Struct):
    related_ids: _Related = msgspec.field(default_factory=_Related)


class _Link(msgspec.Struct):
    rel: str = ""
    href: str = ""


class _Resource(msgspec.Struct):
    id: str | None = None
    invoice_id: str | None = None
    supplementary_data: _Supplement = msgspec.field(default_factory=_Supplement)
    links: tuple[_Link, ...] = ()

    def capture_ref(self) -> str | None:
        """Tell the capture that a refund gives back: a refund names no order, only (by its "up" link) the capture."""
        parents = [link.href.partition("/v2/payments/captures/")[2] for link in self.links if link.rel == "up"]
        return next((found for found in parents if found), None)


class _Event(msgspec.Struct):
    id: str
    event_type: str
    resource: _Resource


class WebhookCheck:
    """Checks the webhooks of one listener."""

    def __init__(self, client: httpx.AsyncClient, *, api_url: str, webhook_id: str, ca_file: str) -> None:
        self._client = client
        self._webhook_id = webhook_id
        self._origins = certificate_origins(api_url)
        self._signer = x509.DNSName(signer_name(api_url))
        self._ca_file = Path(ca_file or certifi.where())
        self._store: Store | None = None
        self._keys: dict[str, tuple[rsa.RSAPublicKey, datetime]] = {}

    async def read(self, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check a transmission and read its event.

        :raises ForgedWebhookError: when it is unsigned, wrongly signed, too old, from the future, or unreadable.
        :raises ProviderSilentError: when the certificate cannot be had now.
        """
        given = {name.lower(): value for name, value in headers.items()}
        missing = [name for name in ("id", "time", "sig") if not given.get(f"paypal-transmission-{name}")]
        if missing or given.get("paypal-auth-algo") != ALGORITHM or not self._webhook_id:
            raise ForgedWebhookError("The webhook is not signed as PayPal signs.")
        sent_at = given["paypal-transmission-time"]
        if abs(datetime.now(UTC) - _instant(sent_at)) > TOLERANCE:
            raise ForgedWebhookError("The webhook is older than five minutes, or from the future.")
        key = await self._key(given.get("paypal-cert-url", ""))
        message = f"{given['paypal-transmission-id']}|{sent_at}|{self._webhook_id}|{zlib.crc32(body)}"
        try:
            signature = base64.b64decode(given["paypal-transmission-sig"], validate=True)
            key.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, InvalidSignature) as error:
            raise ForgedWebhookError("The webhook's signature does not hold.") from error
        return _event(body)

    async def _key(self, url: str) -> rsa.RSAPublicKey:
        """Give the key of a certificate address: ours to fetch only if it lies on PayPal's own host."""
        address = urlsplit(url)
        origin = f"{address.scheme}://{address.netloc}"
        plain = address.path.startswith(CERTIFICATE_PATH) and ".." not in address.path and not address.query
        if origin not in self._origins or not plain:
            raise ForgedWebhookError("The webhook's certificate lies on a foreign host.")
        known = self._keys.get(url)
        if known is not None and known[1] > datetime.now(UTC):
            return known[0]
        leaf = self._trusted(await self._fetch(url))
        key = leaf.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise ForgedWebhookError("The webhook's certificate holds no RSA key.")
        if len(self._keys) >= REMEMBERED_CERTIFICATES:
            self._keys.clear()
        self._keys[url] = (key, leaf.not_valid_after_utc)
        return key

    async def _fetch(self, url: str) -> bytes:
        try:
            async with self._client.stream("GET", url, follow_redirects=False) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise ForgedWebhookError("There is no certificate at the webhook's address.")
                pem = b""
                async for chunk in answer.aiter_bytes():
                    pem += chunk
                    if len(pem) > MAX_CERTIFICATE_BYTES:
                        raise ForgedWebhookError("What lies at the webhook's address is no certificate.")
                return pem
        except (httpx.TransportError, OSError, ssl.SSLError) as error:
            raise ProviderSilentError("PayPal's certificate cannot be fetched.", retryAfterSeconds=5) from error

    def _trusted(self, pem: bytes) -> x509.Certificate:
        """Check the chain up to the configured CA, and that the leaf is the one that signs webhooks."""
        try:
            leaf, *others = x509.load_pem_x509_certificates(pem)
            if self._store is None:
                self._store = Store(x509.load_pem_x509_certificates(self._ca_file.read_bytes()))
            PolicyBuilder().store(self._store).build_server_verifier(self._signer).verify(leaf, others)
        except (ValueError, VerificationError) as error:
            raise ForgedWebhookError("The webhook's certificate is not one that we trust.") from error
        except OSError as error:
            raise ProviderSilentError("The CA file for webhooks cannot be read.", retryAfterSeconds=60) from error
        return leaf


def certificate_origins(api_url: str) -> frozenset[str]:
    """List where certificates may lie: the API's own origin, and at PayPal its twin (api-m.X and api.X)."""
    address = urlsplit(api_url)
    host, origins = address.netloc, {f"{address.scheme}://{address.netloc}"}
    if host.endswith("." + PAYPAL_DOMAIN) and host.startswith(("api-m.", "api.")):
        rest = host.partition(".")[2]
        origins |= {f"https://api.{rest}", f"https://api-m.{rest}"}
    return frozenset(origins)


def signer_name(api_url: str) -> str:
    """Name the certificate that signs the webhooks of an API host."""
    host = urlsplit(api_url).hostname or ""
    if host == PAYPAL_DOMAIN or host.endswith("." + PAYPAL_DOMAIN):
        return "messageverificationcerts." + host.removeprefix("api-m.").removeprefix("api.")
    return SIMULATOR_SIGNER


def _instant(written: str) -> datetime:
    try:
        instant = datetime.fromisoformat(written)
    except ValueError as error:
        raise ForgedWebhookError("The webhook's time cannot be read.") from error
    if instant.tzinfo is None:
        raise ForgedWebhookError("The webhook's time names no zone.")
    return instant


def _event(body: bytes) -> ProviderEvent:
    try:
        event = msgspec.json.decode(body, type=_Event)
        payload: dict[str, Any] = msgspec.json.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ForgedWebhookError("The webhook's body is not an event.") from error
    about_order = event.event_type.startswith("CHECKOUT.ORDER.")
    return ProviderEvent(
        event_id=event.id,
        event_type=event.event_type,
        provider_ref=event.resource.id if about_order else event.resource.supplementary_data.related_ids.order_id,
        capture_ref=event.resource.capture_ref(),
        payment_reference=event.resource.invoice_id,
        payload=payload,
    )
