"""Webhooks out: written beside the change that they tell, signed, delivered again until somebody says 2xx."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from boxoffice.runtime.telemetry import log
from boxoffice.simulators.paypal.bank import Fact
from boxoffice.simulators.paypal.certificates import CERTIFICATE_ID, Signer
from boxoffice.simulators.paypal.faults import Faults
from boxoffice.simulators.paypal.ledger import Ledger, Record, new_id, now

TRIES = 25
"""As often as PayPal tries, which does so over three days; we are quicker."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
TIMEOUT_S = 10.0
AT_ONCE = 8
"""Deliveries in flight: several, so that they overtake one another as they do in life."""
IDLE_S = 0.2

_log = log(__name__)


@dataclass(slots=True)
class Webhooks:
    """The webhooks of one listener; without a URL they are only kept."""

    ledger: Ledger
    signer: Signer
    faults: Faults
    base_url: str
    url: str
    webhook_id: str
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _choice: random.Random = field(default_factory=random.Random)

    def tell(self, fact: Fact) -> str:
        """Write a webhook within the change that it tells; returns its event id."""
        event_id = f"WH-{new_id()}-{new_id()}"
        body = {
            "id": event_id,
            "event_version": "1.0",
            "create_time": now(),
            "resource_type": fact.resource_type,
            "resource_version": "2.0",
            "event_type": fact.event_type,
            "resource": fact.resource,
        }
        self.ledger.do(
            "INSERT INTO webhooks (event_id, event_type, body, created_at) VALUES (?, ?, ?, ?)",
            event_id, fact.event_type, json.dumps(body), now(),
        )  # fmt: skip
        self._news.set()
        return event_id

    def headers(self, body: bytes, *, sent_at: str | None = None, webhook_id: str | None = None) -> dict[str, str]:
        """Sign a body as one transmission."""
        transmission_id, sent_at = str(uuid.uuid4()), sent_at or now()
        return {
            "Content-Type": "application/json",
            "PAYPAL-AUTH-ALGO": "SHA256withRSA",
            "PAYPAL-CERT-URL": f"{self.base_url}/v1/notifications/certs/{CERTIFICATE_ID}",
            "PAYPAL-TRANSMISSION-ID": transmission_id,
            "PAYPAL-TRANSMISSION-TIME": sent_at,
            "PAYPAL-TRANSMISSION-SIG": self.signer.sign(
                transmission_id=transmission_id, time=sent_at, webhook_id=webhook_id or self.webhook_id, body=body
            ),
        }

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver while inside; what is left is delivered after the next start."""
        task = asyncio.create_task(self._forever(), name="webhooks")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _forever(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            while True:
                due = self._due() if self.url else []
                if due:
                    await asyncio.gather(*(self._deliver(client, record) for record in due))
                    continue
                self._news.clear()
                try:
                    async with asyncio.timeout(IDLE_S):
                        await self._news.wait()
                except TimeoutError:
                    continue

    def _due(self) -> list[Record]:
        due = self.ledger.all(
            "SELECT * FROM webhooks WHERE delivered_at IS NULL AND tries < ? AND next_try_at <= ?"
            " ORDER BY created_at, rowid LIMIT ?",
            TRIES, time.time(), AT_ONCE,
        )  # fmt: skip
        if due and self.faults.meets("webhook", "shuffle"):
            self._choice.shuffle(due)
        return due

    async def _deliver(self, client: httpx.AsyncClient, record: Record) -> None:
        repeat = self.faults.meets("webhook", "repeat")
        delivered = self.faults.meets("webhook", "drop") is not None
        slow = self.faults.meets("webhook", "slow")
        if slow:
            await asyncio.sleep(slow.seconds)
        for _ in range(0 if delivered else repeat.copies if repeat else 1):
            delivered = await self._post(client, record["body"].encode()) or delivered
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** record["tries"])
        self.ledger.do(
            "UPDATE webhooks SET tries = tries + 1, next_try_at = ?, delivered_at = ? WHERE event_id = ?",
            time.time() + pause, now() if delivered else None, record["event_id"],
        )  # fmt: skip

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> bool:
        try:
            answer = await client.post(self.url, content=body, headers=self.headers(body))
        except httpx.HTTPError as error:
            _log.info("webhook.undelivered", error=type(error).__name__)
            return False
        return answer.is_success
