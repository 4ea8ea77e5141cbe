-- What sales knows of an event: the catalog's facts, kept here so that a sale never asks another service.
CREATE TABLE event_terms (
  event_id bigint PRIMARY KEY,
  organisation_id uuid NOT NULL,
  version bigint NOT NULL,
  status text NOT NULL CHECK (status IN ('draft','published','cancelled','deleted')),
  name text NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  time_zone text NOT NULL,
  venue_name text NOT NULL,
  venue_location text NOT NULL,
  on_sale_at timestamptz,
  off_sale_at timestamptz,
  seat_map_id bigint,
  currency char(3) NOT NULL,
  limit_per_customer int NOT NULL CHECK (limit_per_customer BETWEEN 1 AND 1000),
  hold_seconds int NOT NULL CHECK (hold_seconds BETWEEN 1 AND 86400),
  cancel_until_hours int NOT NULL CHECK (cancel_until_hours >= 0),
  refund_percent int NOT NULL CHECK (refund_percent BETWEEN 0 AND 100),
  halted_because text                                -- set by the auditor: sales stop, and this is why
);

-- The part of an event seat that never changes. seat_id = event_id << 20 | place.
-- No foreign key: half a million are written at once, in the transaction that has just seen the event's terms.
CREATE TABLE event_seat_labels (
  event_id bigint NOT NULL,
  seat_id bigint NOT NULL,
  section text NOT NULL,
  row_label text NOT NULL,
  number text NOT NULL,
  block int NOT NULL DEFAULT 0,
  position int NOT NULL DEFAULT 0,
  mark text,
  price_level text,
  external_id text,                                  -- the organiser's own seat id, as the seed's clients send it
  PRIMARY KEY (event_id, seat_id),
  UNIQUE (event_id, section, row_label, number),
  CHECK (seat_id >> 20 = event_id)
);
CREATE UNIQUE INDEX event_seat_external_id ON event_seat_labels (event_id, external_id) WHERE external_id IS NOT NULL;

-- The part that is fought over. No index on what changes, room on the page: updates stay HOT.
CREATE TABLE event_seats (
  event_id bigint NOT NULL,
  seat_id bigint NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  currency char(3) NOT NULL,
  state text NOT NULL DEFAULT 'free' CHECK (state IN ('free','held','paying','sold','blocked')),
  order_id uuid,
  hold_expires_at timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (event_id, seat_id),
  CHECK ((state IN ('held','paying','sold')) = (order_id IS NOT NULL)),
  CHECK ((state = 'held') = (hold_expires_at IS NOT NULL)),
  CHECK (seat_id >> 20 = event_id)
) WITH (fillfactor = 70);

-- "orders" in the plural as everything here; "order" alone is a word of SQL.
-- No foreign key to event_terms: every hold of a hot event would lock the same record of it.
CREATE TABLE orders (
  order_id uuid PRIMARY KEY,
  event_id bigint NOT NULL,
  user_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('held','paying','confirmed','released','cancelled')),
  n_seats int NOT NULL CHECK (n_seats BETWEEN 1 AND 1000),
  seat_ids bigint[] NOT NULL,                        -- sorted; seats are always addressed by primary key
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  currency char(3) NOT NULL,
  hold_expires_at timestamptz NOT NULL,
  pay_deadline timestamptz,
  cancel_until timestamptz NOT NULL,                 -- the refund policy as it was shown, kept with the order
  refund_percent int NOT NULL,
  version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  confirmed_at timestamptz,
  ended_at timestamptz,
  released_because text,
  CHECK (n_seats = cardinality(seat_ids)),
  CHECK ((state = 'paying') <= (pay_deadline IS NOT NULL))
);
CREATE INDEX orders_due ON orders (hold_expires_at) WHERE state = 'held';
CREATE INDEX orders_pay_due ON orders (pay_deadline) WHERE state = 'paying';
CREATE INDEX orders_of_user ON orders (user_id, created_at);
CREATE INDEX orders_of_event ON orders (event_id, created_at);

CREATE TABLE payments (
  payment_id uuid PRIMARY KEY,
  order_id uuid NOT NULL REFERENCES orders,
  attempt int NOT NULL,
  provider text NOT NULL,
  provider_ref text,                                 -- the provider's order id
  capture_ref text,                                  -- the provider's capture id, once captured
  approval_url text,
  return_url text,
  cancel_url text,
  state text NOT NULL CHECK (state IN ('created','capturing','captured','abandoning','voided','failed')),
  total_minor bigint NOT NULL CHECK (total_minor > 0),
  currency char(3) NOT NULL,
  captured_minor bigint NOT NULL DEFAULT 0,
  refunded_minor bigint NOT NULL DEFAULT 0,
  failure text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (captured_minor IN (0, total_minor)),
  CHECK ((state = 'captured') = (captured_minor > 0)),
  CHECK (refunded_minor BETWEEN 0 AND captured_minor),
  UNIQUE (order_id, attempt),
  UNIQUE (provider, provider_ref)
);
CREATE UNIQUE INDEX payment_one_live ON payments (order_id) WHERE state IN ('created','capturing','captured','abandoning');
CREATE UNIQUE INDEX payments_of_capture ON payments (provider, capture_ref);
CREATE INDEX payments_open ON payments (tried_at) WHERE state IN ('created','capturing','abandoning');

CREATE TABLE tickets (
  ticket_id uuid PRIMARY KEY,
  event_id bigint NOT NULL,
  seat_id bigint NOT NULL,
  order_id uuid NOT NULL REFERENCES orders,
  user_id uuid NOT NULL,
  price_minor bigint NOT NULL,
  currency char(3) NOT NULL,
  state text NOT NULL CHECK (state IN ('valid','used','void')),
  key_id text NOT NULL,                              -- which key signs its barcode
  issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  voided_at timestamptz,
  CHECK ((state = 'void') = (voided_at IS NOT NULL))
);
CREATE UNIQUE INDEX ticket_one_live ON tickets (event_id, seat_id) WHERE state IN ('valid','used');
CREATE INDEX tickets_of_order ON tickets (order_id);
CREATE INDEX tickets_of_user ON tickets (user_id, issued_at);

CREATE TABLE refunds (
  refund_id uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payments,
  ticket_id uuid NOT NULL UNIQUE REFERENCES tickets, -- a ticket is refunded at most once
  refund_minor bigint NOT NULL CHECK (refund_minor > 0),
  currency char(3) NOT NULL,
  state text NOT NULL CHECK (state IN ('requested','done','manual')),
  provider_ref text,
  failure text,
  tries int NOT NULL DEFAULT 0,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tried_at timestamptz,
  done_at timestamptz
);
CREATE INDEX refunds_open ON refunds (requested_at) WHERE state = 'requested';
CREATE INDEX refunds_of_payment ON refunds (payment_id);

CREATE TABLE customer_limits (
  event_id bigint NOT NULL,
  user_id uuid NOT NULL,
  n int NOT NULL,
  cap int NOT NULL,
  PRIMARY KEY (event_id, user_id),
  CONSTRAINT customer_limit CHECK (n BETWEEN 0 AND cap)
);

CREATE TABLE provider_events (
  provider text NOT NULL,
  provider_event_id text NOT NULL,
  payload jsonb NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (provider, provider_event_id)
);

-- Double entry: the entries of one posting sum to zero. Accounts: provider (money at the provider), revenue, refunds_due.
CREATE TABLE ledger_entries (
  entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  posting_id uuid NOT NULL,
  order_id uuid NOT NULL REFERENCES orders,
  account text NOT NULL CHECK (account IN ('provider','revenue','refunds_due')),
  value_minor bigint NOT NULL,
  currency char(3) NOT NULL,
  posted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (posting_id, account)
);
CREATE INDEX ledger_of_order ON ledger_entries (order_id);

-- How an event sells, as it was told last (sales.event.v1), and the events whose counts have changed since.
CREATE TABLE sale_summaries (
  event_id bigint PRIMARY KEY,
  version bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('not_on_sale','on_sale','few_left','sold_out')),
  capacity int NOT NULL,
  free int NOT NULL,
  lowest_price_minor bigint,
  currency char(3),
  told_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE sale_changes (
  event_id bigint PRIMARY KEY,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
