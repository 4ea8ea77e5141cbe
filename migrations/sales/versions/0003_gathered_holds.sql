-- The rule against single seats: whether an event keeps it, and which seats stand side by side.
ALTER TABLE event_terms ADD COLUMN no_orphans boolean NOT NULL DEFAULT false;
-- What every message of an order says of its event, written once for all of them.
ALTER TABLE event_terms ADD COLUMN summary text;
CREATE FUNCTION summarise_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.summary := event_summary(NEW)::text;
  RETURN NEW;
END $$;
CREATE TRIGGER summarise_event BEFORE INSERT OR UPDATE ON event_terms FOR EACH ROW EXECUTE FUNCTION summarise_event();
UPDATE event_terms SET summary = event_summary(event_terms)::text;
ALTER TABLE event_terms ALTER COLUMN summary SET NOT NULL;
ALTER TABLE event_seat_labels ADD COLUMN left_id bigint, ADD COLUMN right_id bigint;
COMMENT ON COLUMN event_seat_labels.left_id IS 'the seat beside it in the same block; wheelchair places are nobody''s neighbours';

-- Allocations: a seat that is closed until an instant ('infinity': until somebody opens it), but for its own allocation.
ALTER TABLE event_seats ADD COLUMN allocation_id bigint, ADD COLUMN closed_until timestamptz;

-- A wheelchair place and its companions' seats are one bundle, named by the wheelchair place's own id. Static, but beside
-- what changes: a hold reads this record anyway.
ALTER TABLE event_seats ADD COLUMN bundle_id bigint;

-- The customer's clock starts with the first open hold of an event; the budget counts the seat-seconds held in vain.
ALTER TABLE customer_limits
  ADD COLUMN held int NOT NULL DEFAULT 0,
  ADD COLUMN clock_until timestamptz,
  ADD COLUMN spent_seconds bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT customer_held CHECK (held BETWEEN 0 AND n),
  ADD CONSTRAINT customer_budget CHECK (spent_seconds >= 0);
UPDATE customer_limits l SET held = o.places, clock_until = o.until FROM (
  SELECT event_id, user_id, sum(n_seats) AS places, min(hold_expires_at) AS until FROM orders
   WHERE state IN ('held', 'paying') GROUP BY event_id, user_id) o
 WHERE o.event_id = l.event_id AND o.user_id = l.user_id;

-- What each seat of an order costs, as it was when the hold began; the order's own copy, so that prices may change.
ALTER TABLE orders
  ADD COLUMN price_minors bigint[],
  ADD COLUMN ticket_types text[],
  ADD COLUMN allocation_id bigint,
  ADD COLUMN hold_started_at timestamptz DEFAULT clock_timestamp();
UPDATE orders o SET hold_started_at = o.created_at, price_minors = (
  SELECT array_agg(s.price_minor ORDER BY s.seat_id) FROM event_seats s
   WHERE s.event_id = o.event_id AND s.seat_id = ANY (o.seat_ids));
ALTER TABLE orders ALTER COLUMN price_minors SET NOT NULL, ALTER COLUMN hold_started_at SET NOT NULL,
  ADD CHECK (cardinality(price_minors) = n_seats),
  ADD CHECK (ticket_types IS NULL OR cardinality(ticket_types) = n_seats);

-- Say which seats of an event stand side by side; called once, when they were created.
-- Right after an event's seats were written there are no statistics of them: by nested loops it would take the square.
CREATE FUNCTION link_neighbours(p_event bigint) RETURNS void LANGUAGE sql SET enable_nestloop = off AS $$
  WITH beside AS (
    SELECT seat_id, lead(seat_id) OVER w AS right_id, lead(position) OVER w - position AS to_right,
           lag(seat_id) OVER w AS left_id, position - lag(position) OVER w AS to_left
      FROM event_seat_labels
     WHERE event_id = p_event AND row_label <> '' AND coalesce(mark, '') NOT IN ('wheelchair', 'companion')
    WINDOW w AS (PARTITION BY section, row_label, block ORDER BY position))
  UPDATE event_seat_labels l
     SET left_id = CASE WHEN to_left = 1 THEN b.left_id END, right_id = CASE WHEN to_right = 1 THEN b.right_id END
    FROM beside b WHERE l.event_id = p_event AND l.seat_id = b.seat_id
$$;
SELECT link_neighbours(event_id) FROM (SELECT DISTINCT event_id FROM event_seat_labels) every_event;
