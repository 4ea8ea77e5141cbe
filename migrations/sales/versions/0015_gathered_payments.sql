-- Payments that begin together, what their providers say, and confirmations, in as few statements as they can; what they
-- promise is said in 0010 and 0011. Each locks first and writes afterwards, in a statement that sees what was locked.

-- No entry for what is not known yet: a payment is written four times, and each time into every index.
ALTER TABLE payments DROP CONSTRAINT payments_provider_provider_ref_key;
CREATE UNIQUE INDEX payments_of_provider_ref ON payments (provider, provider_ref) WHERE provider_ref IS NOT NULL;
DROP INDEX payments_of_capture;
CREATE UNIQUE INDEX payments_of_capture ON payments (provider, capture_ref) WHERE capture_ref IS NOT NULL;

CREATE OR REPLACE FUNCTION begin_payments(
  p_order uuid[], p_user uuid[], p_payment uuid[], p_provider text[], p_return text[], p_cancel text[], p_key text[],
  p_fingerprint bytea[], p_route text, p_window interval
) RETURNS TABLE (order_id uuid, event_id bigint, event_name text, total_minor bigint, currency text, begun_at timestamptz,
                 items jsonb)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  fresh uuid[];
  whole uuid[];
  expected int;
  taken int;
BEGIN
  WITH keyed AS (
    INSERT INTO idempotency_keys (principal, key, route, fingerprint)
    SELECT r.user_id, r.key, p_route, r.fingerprint FROM unnest(p_user, p_key, p_fingerprint) r(user_id, key, fingerprint)
     WHERE r.key IS NOT NULL ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING principal, key)
  SELECT array_agg(r.id) INTO fresh FROM unnest(p_order, p_user, p_key) r(id, user_id, key)
   WHERE r.key IS NULL OR (r.user_id, r.key) IN (SELECT k.principal, k.key FROM keyed k);

  -- An order that somebody else has just begun to pay is not held any more, or has its first attempt (a unique index).
  WITH locked AS MATERIALIZED (
    SELECT o.order_id, o.event_id, o.seat_ids, o.n_seats FROM unnest(p_order, p_user) r(id, user_id)
      JOIN orders o ON o.order_id = r.id AND o.user_id = r.user_id
      CROSS JOIN LATERAL (SELECT t.status, t.halted_because FROM event_terms t WHERE t.event_id = o.event_id OFFSET 0) t
     WHERE r.id = ANY (fresh) AND o.state = 'held' AND o.hold_expires_at > clock_timestamp() AND o.total_minor > 0
       AND t.status = 'published' AND t.halted_because IS NULL
     ORDER BY o.order_id FOR UPDATE OF o SKIP LOCKED),
  own AS MATERIALIZED (
    SELECT o.order_id, o.n_seats
      FROM locked o CROSS JOIN unnest(o.seat_ids) w(seat_id)
      JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = w.seat_id
     WHERE s.order_id = o.order_id AND s.state = 'held' AND s.hold_expires_at > clock_timestamp()
       AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.order_id)
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s)
  SELECT array_agg(w.order_id), sum(w.n_seats) INTO whole, expected FROM (
    SELECT s.order_id, s.n_seats FROM own s GROUP BY s.order_id, s.n_seats HAVING count(*) = s.n_seats) w;

  IF coalesce(cardinality(fresh), 0) > coalesce(cardinality(whole), 0) THEN
    DELETE FROM idempotency_keys i USING unnest(p_order, p_user, p_key) r(id, user_id, key)
     WHERE i.principal = r.user_id AND i.key = r.key AND r.id = ANY (fresh) AND NOT r.id = ANY (coalesce(whole, '{}'));
  END IF;
  IF whole IS NULL THEN
    RETURN;
  END IF;

  UPDATE event_seats s SET state = 'paying', hold_expires_at = NULL
    FROM (SELECT o.order_id, o.event_id, unnest(o.seat_ids) AS seat_id FROM orders o WHERE o.order_id = ANY (whole)) k
   WHERE s.event_id = k.event_id AND s.seat_id = k.seat_id AND s.order_id = k.order_id AND s.state = 'held';
  GET DIAGNOSTICS taken = ROW_COUNT;
  IF taken <> expected THEN
    RAISE EXCEPTION 'seats and orders differ' USING ERRCODE = 'BX099';  -- cannot be: they are locked
  END IF;
  RETURN QUERY
    WITH paying AS (
      UPDATE orders o SET state = 'paying', pay_deadline = clock_timestamp() + p_window, version = o.version + 1
       WHERE o.order_id = ANY (whole)
      RETURNING o.order_id, o.event_id, o.total_minor, o.currency, o.seat_ids, o.price_minors, o.ticket_types),
    paid AS (
      INSERT INTO payments AS p (payment_id, order_id, attempt, provider, state, total_minor, currency, return_url, cancel_url)
      SELECT r.payment_id, o.order_id, 1, r.provider, 'created', o.total_minor, o.currency, r.return_url, r.cancel_url
        FROM paying o JOIN unnest(p_order, p_payment, p_provider, p_return, p_cancel)
          r(id, payment_id, provider, return_url, cancel_url) ON r.id = o.order_id
      RETURNING p.order_id, p.tried_at)
    SELECT o.order_id, o.event_id, t.name, o.total_minor, o.currency::text, p.tried_at, (
             SELECT jsonb_agg(jsonb_build_object('section', l.section, 'row', l.row_label, 'number', l.number,
                      'price_minor', w.price_minor, 'ticket_type', w.ticket_type) ORDER BY w.seat_id)
               FROM unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
               JOIN event_seat_labels l ON l.event_id = o.event_id AND l.seat_id = w.seat_id)
      FROM paid p JOIN paying o ON o.order_id = p.order_id
      CROSS JOIN LATERAL (SELECT e.name FROM event_terms e WHERE e.event_id = o.event_id OFFSET 0) t;
END $$;

-- What providers call payments that began, and what their buyers were told: the end of P.
CREATE FUNCTION note_payments(
  p_payment uuid[], p_provider_ref text[], p_approval text[], p_user uuid[], p_key text[], p_status int[], p_body bytea[]
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
BEGIN
  WITH said AS MATERIALIZED (
    SELECT * FROM unnest(p_payment, p_provider_ref, p_approval, p_user, p_key, p_status, p_body)
      r(payment_id, provider_ref, approval_url, principal, key, status, body)),
  noted AS (
    UPDATE payments p SET provider_ref = r.provider_ref, approval_url = r.approval_url
      FROM said r WHERE p.payment_id = r.payment_id AND p.provider_ref IS NULL)
  UPDATE idempotency_keys i SET status = r.status, body = r.body
    FROM said r WHERE i.principal = r.principal AND i.key = r.key;
END $$;

CREATE OR REPLACE FUNCTION confirm_orders(
  p_order uuid[], p_version bigint[], p_payment uuid[], p_capture text[], p_issued timestamptz[], p_message uuid[],
  p_body text[], p_trace text[], k_order uuid[], k_seat bigint[], k_ticket uuid[], p_signer text
) RETURNS uuid[]
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
DECLARE
  whole uuid[];
  issued int;
  expected int;
BEGIN
  WITH locked AS MATERIALIZED (
    SELECT r.payment_id, o.order_id, o.event_id, o.seat_ids, o.n_seats, o.total_minor, o.currency
      FROM unnest(p_order, p_version, p_payment) r(id, version, payment_id)
      JOIN orders o ON o.order_id = r.id AND o.version = r.version AND o.state = 'paying' AND o.ticket_types IS NULL
     ORDER BY o.order_id FOR UPDATE OF o),
  captured AS MATERIALIZED (
    SELECT o.order_id, o.event_id, o.seat_ids, o.n_seats, o.total_minor
      FROM locked o JOIN payments p ON p.payment_id = o.payment_id AND p.order_id = o.order_id
     WHERE p.state = 'capturing' AND p.total_minor = o.total_minor AND p.currency = o.currency
     ORDER BY p.payment_id FOR UPDATE OF p),
  own AS MATERIALIZED (
    SELECT o.order_id, o.n_seats, o.total_minor, s.price_minor
      FROM captured o CROSS JOIN unnest(o.seat_ids) w(seat_id)
      JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = w.seat_id
     WHERE s.order_id = o.order_id AND s.state = 'paying'
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s)
  SELECT array_agg(w.order_id), sum(w.n_seats) INTO whole, expected FROM (
    SELECT s.order_id, s.n_seats FROM own s GROUP BY s.order_id, s.n_seats, s.total_minor
    HAVING count(*) = s.n_seats AND sum(s.price_minor) = s.total_minor) w;
  IF whole IS NULL THEN
    RETURN '{}';
  END IF;
  PERFORM 1 FROM customer_limits l
    WHERE (l.event_id, l.user_id) IN (SELECT o.event_id, o.user_id FROM orders o WHERE o.order_id = ANY (whole))
    ORDER BY l.event_id, l.user_id FOR UPDATE;

  WITH paid AS (
    UPDATE payments p SET state = 'captured', captured_minor = p.total_minor, capture_ref = r.capture_ref,
           tried_at = clock_timestamp()
      FROM unnest(p_payment, p_capture) r(payment_id, capture_ref)
     WHERE p.payment_id = r.payment_id AND p.order_id = ANY (whole)
    RETURNING p.payment_id, p.order_id, p.total_minor, p.currency),
  posted AS (
    INSERT INTO ledger_entries (posting_id, order_id, account, value_minor, currency)
    SELECT p.payment_id, p.order_id, e.account, e.sign * p.total_minor, p.currency
      FROM paid p CROSS JOIN (VALUES ('provider', 1), ('revenue', -1)) e(account, sign)),
  sold AS (
    UPDATE event_seats s SET state = 'sold' FROM unnest(k_order, k_seat, k_ticket) k(order_id, seat_id, ticket_id)
     WHERE k.order_id = ANY (whole) AND s.event_id = k.seat_id >> 20 AND s.seat_id = k.seat_id
       AND s.order_id = k.order_id AND s.state = 'paying'
    RETURNING k.ticket_id, s.event_id, s.seat_id, s.order_id, s.price_minor, s.currency),
  done AS (
    UPDATE orders SET state = 'confirmed', version = version + 1, confirmed_at = clock_timestamp()
     WHERE order_id = ANY (whole)
    RETURNING order_id, event_id, user_id, n_seats, hold_expires_at, hold_started_at),
  tickets AS (
    INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id, issued_at)
    SELECT s.ticket_id, s.event_id, s.seat_id, s.order_id, o.user_id, s.price_minor, s.currency, 'valid', p_signer,
           p_issued[array_position(p_order, s.order_id)]
      FROM sold s JOIN done o ON o.order_id = s.order_id
    RETURNING 1),
  told AS (
    INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
    SELECT r.message_id, 'sales.order.v1', r.id::text, 'sales.order.confirmed', r.version + 1, r.body::jsonb, r.trace
      FROM unnest(p_order, p_version, p_message, p_body, p_trace) r(id, version, message_id, body, trace)
     WHERE r.id = ANY (whole)),
  counted AS (
    UPDATE customer_limits l SET held = l.held - b.places, spent_seconds = greatest(0, l.spent_seconds - b.seconds)
      FROM (SELECT event_id, user_id, sum(n_seats)::int AS places,
                   sum(n_seats * ceil(extract(epoch FROM hold_expires_at - hold_started_at))::bigint)::bigint AS seconds
              FROM done GROUP BY event_id, user_id) b
     WHERE l.event_id = b.event_id AND l.user_id = b.user_id)
  SELECT count(*) INTO issued FROM tickets;
  IF issued IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'tickets and seats differ' USING ERRCODE = 'BX099';
  END IF;
  RETURN whole;
END $$;
