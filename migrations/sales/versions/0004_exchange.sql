-- Tickets given for others: worth at least what was taken, place for place, the difference paid back by the policy.
CREATE TABLE exchanges (
  exchange_id uuid PRIMARY KEY,
  order_id uuid NOT NULL REFERENCES orders,
  places int NOT NULL CHECK (places >= 1),
  given_minor bigint NOT NULL,
  taken_minor bigint NOT NULL CHECK (taken_minor BETWEEN 0 AND given_minor),
  refund_percent int NOT NULL CHECK (refund_percent BETWEEN 0 AND 100),
  refund_minor bigint NOT NULL CHECK (refund_minor = (given_minor - taken_minor) * refund_percent / 100),
  currency char(3) NOT NULL,
  exchanged_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX exchanges_of_order ON exchanges (order_id);

-- A ticket remembers the exchange that it was taken in (it was not paid for with money) and the one it was given in.
ALTER TABLE tickets
  ADD COLUMN taken_in uuid REFERENCES exchanges,
  ADD COLUMN given_in uuid REFERENCES exchanges,
  ADD CONSTRAINT ticket_given_is_void CHECK (given_in IS NULL OR state = 'void');

-- Who comes, where the owner says so. A table of its own: what is personal is erased without touching a ticket,
-- and nothing that travels (barcode, message, log) is made from it.
CREATE TABLE ticket_attendees (
  ticket_id uuid PRIMARY KEY REFERENCES tickets,
  user_id uuid NOT NULL,                             -- the owner, whose erasure takes the names along
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  email text CHECK (length(email) BETWEEN 3 AND 254),
  named_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX attendees_of_user ON ticket_attendees (user_id);
