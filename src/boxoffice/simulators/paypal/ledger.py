"""The simulator's ledger: orders, captures, refunds, idempotency keys, webhooks, in one SQLite file.

Every change is one transaction with ``synchronous=FULL``: a killed simulator loses nothing that it answered.
"""

import json
import secrets
import sqlite3
import string
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
  order_id TEXT PRIMARY KEY, client_id TEXT NOT NULL, status TEXT NOT NULL, request TEXT NOT NULL,
  total_minor INTEGER NOT NULL, currency TEXT NOT NULL, custom_id TEXT, invoice_id TEXT,
  decline TEXT, payer_id TEXT, created_at TEXT NOT NULL, approved_at TEXT);
CREATE TABLE IF NOT EXISTS captures (
  capture_id TEXT PRIMARY KEY, order_id TEXT NOT NULL REFERENCES orders, status TEXT NOT NULL,
  total_minor INTEGER NOT NULL, currency TEXT NOT NULL, custom_id TEXT, invoice_id TEXT, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (
  refund_id TEXT PRIMARY KEY, capture_id TEXT NOT NULL REFERENCES captures, status TEXT NOT NULL,
  total_minor INTEGER NOT NULL, currency TEXT NOT NULL, custom_id TEXT, invoice_id TEXT, note TEXT,
  created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS request_keys (
  scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (scope, key));
CREATE TABLE IF NOT EXISTS webhooks (
  event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, body TEXT NOT NULL, created_at TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, next_try_at REAL NOT NULL DEFAULT 0, delivered_at TEXT);
CREATE INDEX IF NOT EXISTS orders_of_custom_id ON orders (custom_id);
CREATE INDEX IF NOT EXISTS captures_of_order ON captures (order_id);
CREATE INDEX IF NOT EXISTS refunds_of_capture ON refunds (capture_id);
CREATE INDEX IF NOT EXISTS webhooks_due ON webhooks (next_try_at) WHERE delivered_at IS NULL;
"""
ID_ALPHABET = string.ascii_uppercase + string.digits
ID_LENGTH = 17
"""As long as PayPal's own ids."""

Record = dict[str, Any]


def new_id() -> str:
    """Make an id that looks like PayPal's."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))


def now() -> str:
    """Tell the time as PayPal writes it, to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ledger:
    """The file. One process writes it; calls are short and run in the event loop, so each is atomic."""

    def __init__(self, file: Path) -> None:
        self._file = sqlite3.connect(file, isolation_level=None)
        self._file.row_factory = sqlite3.Row
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """Make one change durable, or none of it."""
        self._file.execute("BEGIN IMMEDIATE")
        done = False
        try:
            yield
            done = True
        finally:
            self._file.execute("COMMIT" if done else "ROLLBACK")

    def one(self, sql: str, *arguments: object) -> Record | None:
        """Read one record."""
        found = self._file.execute(sql, arguments).fetchone()
        return None if found is None else dict(found)

    def all(self, sql: str, *arguments: object) -> list[Record]:
        """Read records."""
        return [dict(found) for found in self._file.execute(sql, arguments).fetchall()]

    def do(self, sql: str, *arguments: object) -> int:
        """Write; returns how many records were touched."""
        return self._file.execute(sql, arguments).rowcount

    def remembered(self, scope: str, key: str) -> Record | None:
        """Look up what a PayPal-Request-Id was answered."""
        return self.one("SELECT * FROM request_keys WHERE scope = ? AND key = ?", scope, key)

    def remember(self, scope: str, key: str, fingerprint: str, status: int, body: Record) -> None:
        """Keep what a PayPal-Request-Id was answered."""
        self.do(
            "INSERT OR REPLACE INTO request_keys (scope, key, fingerprint, status, body) VALUES (?, ?, ?, ?, ?)",
            scope, key, fingerprint, status, json.dumps(body),
        )  # fmt: skip

    def forget_keys(self) -> int:
        """Forget every PayPal-Request-Id, as PayPal does after hours (orders) or 45 days (refunds)."""
        return self.do("DELETE FROM request_keys")

    def refunded_minor(self, capture_id: str) -> int:
        """Sum up what of a capture was refunded."""
        found = self.one("SELECT coalesce(sum(total_minor), 0) AS s FROM refunds WHERE capture_id = ?", capture_id)
        return int(found["s"]) if found else 0

    def books(self, custom_id: str | None = None) -> dict[str, Any]:
        """Tell what moved, in all or for one ``custom_id``: the independent truth of the tests."""
        captures = self.all(
            "SELECT * FROM captures WHERE ?1 IS NULL OR custom_id = ?1 ORDER BY created_at, capture_id", custom_id
        )
        refunds = self.all(
            "SELECT r.*, c.custom_id AS capture_custom_id, c.order_id FROM refunds r JOIN captures c USING (capture_id)"
            " WHERE ?1 IS NULL OR c.custom_id = ?1 ORDER BY r.created_at, r.refund_id", custom_id,
        )  # fmt: skip
        orders = self.all(
            "SELECT order_id, status, total_minor, currency, custom_id, invoice_id, created_at, approved_at FROM orders"
            " WHERE ?1 IS NULL OR custom_id = ?1 ORDER BY created_at, order_id", custom_id,
        )  # fmt: skip
        return {
            "orders": orders,
            "captures": captures,
            "refunds": refunds,
            "captured_minor": sum(c["total_minor"] for c in captures if c["status"] not in {"DECLINED", "PENDING"}),
            "refunded_minor": sum(r["total_minor"] for r in refunds),
        }
