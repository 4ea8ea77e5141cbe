-- P for several orders of seats that are paid for the first time, each all or nothing, in one transaction. The statements
-- of store/payments.py stay the reference; an order that is not usual is left out of the answer, untouched, and goes
-- their way. Locks as everywhere: keys, orders, seats, each sorted; an order that somebody has is left out too.
DROP FUNCTION begin_payment(uuid, uuid, uuid, text, text, text, interval, text, text, bytea);
CREATE FUNCTION begin_payments(
  p_order uuid[], p_user uuid[], p_payment uuid[], p_provider text[], p_return text[], p_cancel text[], p_key text[],
  p_fingerprint bytea[], p_route text, p_window interval
) RETURNS TABLE (order_id uuid, event_id bigint, event_name text, total_minor bigint, currency text, begun_at timestamptz,
                 items jsonb)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  fresh uuid[];
  locked uuid[];
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

  SELECT array_agg(o.order_id) INTO locked FROM (
    SELECT o.order_id FROM unnest(p_order, p_user) r(id, user_id)
      JOIN orders o ON o.order_id = r.id AND o.user_id = r.user_id
      CROSS JOIN LATERAL (SELECT t.status, t.halted_because FROM event_terms t WHERE t.event_id = o.event_id OFFSET 0) t
     WHERE r.id = ANY (fresh) AND o.state = 'held' AND o.hold_expires_at > clock_timestamp() AND o.total_minor > 0
       AND t.status = 'published' AND t.halted_because IS NULL
     ORDER BY o.order_id FOR UPDATE OF o SKIP LOCKED) o;

  WITH own AS MATERIALIZED (
    SELECT o.order_id
      FROM orders o CROSS JOIN unnest(o.seat_ids) w(seat_id)
      JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = w.seat_id
     WHERE o.order_id = ANY (locked) AND s.order_id = o.order_id AND s.state = 'held'
       AND s.hold_expires_at > clock_timestamp()
       AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.order_id)
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s)
  SELECT array_agg(w.order_id), sum(w.n_seats) INTO whole, expected FROM (
    SELECT o.order_id, o.n_seats FROM own s JOIN orders o USING (order_id)
     GROUP BY o.order_id, o.n_seats HAVING count(*) = o.n_seats) w;

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
  UPDATE orders o SET state = 'paying', pay_deadline = clock_timestamp() + p_window, version = o.version + 1
   WHERE o.order_id = ANY (whole);
  RETURN QUERY
    WITH paid AS (
      INSERT INTO payments AS p (payment_id, order_id, attempt, provider, state, total_minor, currency, return_url, cancel_url)
      SELECT r.payment_id, o.order_id, 1, r.provider, 'created', o.total_minor, o.currency, r.return_url, r.cancel_url
        FROM unnest(p_order, p_payment, p_provider, p_return, p_cancel) r(id, payment_id, provider, return_url, cancel_url)
        JOIN orders o ON o.order_id = r.id
       WHERE r.id = ANY (whole)
      RETURNING p.order_id, p.tried_at)
    SELECT o.order_id, o.event_id, t.name, o.total_minor, o.currency::text, p.tried_at, (
             SELECT jsonb_agg(jsonb_build_object('section', l.section, 'row', l.row_label, 'number', l.number,
                      'price_minor', w.price_minor, 'ticket_type', w.ticket_type) ORDER BY w.seat_id)
               FROM unnest(o.seat_ids, o.price_minors, o.ticket_types) w(seat_id, price_minor, ticket_type)
               JOIN event_seat_labels l ON l.event_id = o.event_id AND l.seat_id = w.seat_id)
      FROM paid p
      CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.order_id = p.order_id OFFSET 0) o  -- by primary key, always
      CROSS JOIN LATERAL (SELECT e.name FROM event_terms e WHERE e.event_id = o.event_id OFFSET 0) t;
END $$;

-- Whoever marks an event as changed waits for nobody who counts: each mark is a record of its own.
ALTER TABLE sale_changes DROP CONSTRAINT sale_changes_pkey;
CREATE INDEX sale_changes_of_event ON sale_changes (event_id);
