-- Ticket types: adult, child, … as the organiser names them, each with its own price, by price level (of general admission:
-- by area). A hold is made at the level's standard price, which is its first type's: holding knows nothing of types. While
-- an order is held and unpaid its buyer may choose others; orders.ticket_types and price_minors are in the seats' order.
CREATE TABLE ticket_types (
  event_id bigint NOT NULL,
  price_level text NOT NULL,
  rank int NOT NULL CHECK (rank >= 0),               -- as the organiser lists them; 0 is the standard type
  ticket_type text NOT NULL CHECK (length(ticket_type) BETWEEN 1 AND 100),
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  currency char(3) NOT NULL,
  PRIMARY KEY (event_id, price_level, rank),
  UNIQUE (event_id, price_level, ticket_type)
);

-- What a ticket was sold as. NULL: its buyer never chose, so it is of the standard type, where its level has types.
ALTER TABLE tickets ADD COLUMN ticket_type text;
COMMENT ON COLUMN orders.ticket_types IS 'NULL until the buyer chooses: every place is of its level''s standard type';

-- P as in 0010, but the provider is told the order's own prices and types.
CREATE OR REPLACE FUNCTION begin_payment(
  p_order uuid, p_user uuid, p_payment uuid, p_provider text, p_return text, p_cancel text, p_window interval,
  p_key text, p_route text, p_fingerprint bytea
) RETURNS TABLE (event_id bigint, event_name text, total_minor bigint, currency text, begun_at timestamptz, items jsonb)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  mine orders;
  terms event_terms;
  taken int;
  moment timestamptz;
BEGIN
  IF p_key IS NOT NULL THEN
    INSERT INTO idempotency_keys (principal, key, route, fingerprint) VALUES (p_user, p_key, p_route, p_fingerprint)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'a repeat' USING ERRCODE = 'BX099';
    END IF;
  END IF;
  SELECT * INTO mine FROM orders o WHERE o.order_id = p_order AND o.user_id = p_user FOR UPDATE;
  SELECT * INTO terms FROM event_terms t WHERE t.event_id = mine.event_id;
  IF mine.state IS DISTINCT FROM 'held' OR mine.total_minor = 0 OR terms.status IS DISTINCT FROM 'published'
     OR terms.halted_because IS NOT NULL OR EXISTS (SELECT 1 FROM payments p WHERE p.order_id = p_order) THEN
    RAISE EXCEPTION 'not the usual payment' USING ERRCODE = 'BX099';
  END IF;

  WITH held AS (
    SELECT s.seat_id FROM event_seats s
     WHERE s.event_id = mine.event_id AND s.seat_id = ANY (mine.seat_ids) AND s.order_id = p_order AND s.state = 'held'
       AND s.hold_expires_at > clock_timestamp() ORDER BY s.seat_id FOR UPDATE),
  paying AS (
    UPDATE event_seats s SET state = 'paying', hold_expires_at = NULL FROM held h
     WHERE s.event_id = mine.event_id AND s.seat_id = h.seat_id RETURNING s.seat_id)
  SELECT count(*), jsonb_agg(jsonb_build_object('section', l.section, 'row', l.row_label, 'number', l.number,
           'price_minor', w.price_minor, 'ticket_type', w.ticket_type) ORDER BY l.seat_id)
    INTO taken, items
    FROM paying p JOIN event_seat_labels l ON l.event_id = mine.event_id AND l.seat_id = p.seat_id
    JOIN unnest(mine.seat_ids, mine.price_minors, mine.ticket_types) w(seat_id, price_minor, ticket_type)
      ON w.seat_id = p.seat_id;
  IF taken <> mine.n_seats THEN
    RAISE EXCEPTION 'not the usual payment' USING ERRCODE = 'BX099';
  END IF;

  UPDATE orders o SET state = 'paying', pay_deadline = clock_timestamp() + p_window, version = o.version + 1
   WHERE o.order_id = p_order AND o.state = 'held' AND o.hold_expires_at > clock_timestamp();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'not the usual payment' USING ERRCODE = 'BX099';
  END IF;
  INSERT INTO payments AS p (payment_id, order_id, attempt, provider, state, total_minor, currency, return_url, cancel_url)
  VALUES (p_payment, p_order, 1, p_provider, 'created', mine.total_minor, mine.currency, p_return, p_cancel)
  RETURNING p.tried_at INTO moment;
  RETURN QUERY SELECT mine.event_id, terms.name, mine.total_minor, mine.currency::text, moment, items;
END $$;
