-- What every service that sends or takes messages, or repeats answers, has in its own database. Never edited after
-- release: a change is messaging_v2.sql and a migration.
CREATE TABLE outbox (
  message_id uuid PRIMARY KEY,
  position bigint GENERATED ALWAYS AS IDENTITY,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  version bigint NOT NULL,
  body jsonb NOT NULL,
  trace text,
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (topic, key, version, type)
);
-- The relay reads in the order of commits; a bare serial id would skip records of transactions that are still open.
CREATE INDEX outbox_order ON outbox (tx, position);
CREATE INDEX outbox_age ON outbox USING brin (created_at);

CREATE TABLE inbox (
  consumer text NOT NULL,
  message_id uuid NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, message_id)
);

CREATE TABLE idempotency_keys (
  principal uuid NOT NULL,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
  route text NOT NULL,
  fingerprint bytea NOT NULL,
  status int,
  body bytea,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);
