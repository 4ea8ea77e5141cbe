-- The usual payment in few round trips: P in one call, C2 of several orders in one transaction. The statements of
-- store/payments.py, seats.py and their like stay the reference; whatever is not usual here is left to them, untouched:
-- begin_payment raises BX099, confirm_orders leaves the order out of its answer.

-- P for an order of seats that is paid for the first time. Locks as everywhere: key, order, payment, seats.
CREATE FUNCTION begin_payment(
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
     WHERE s.event_id = mine.event_id AND s.seat_id = h.seat_id RETURNING s.seat_id, s.price_minor)
  SELECT count(*), jsonb_agg(jsonb_build_object('section', l.section, 'row', l.row_label, 'number', l.number,
           'price_minor', p.price_minor) ORDER BY l.seat_id)
    INTO taken, items
    FROM paying p JOIN event_seat_labels l ON l.event_id = mine.event_id AND l.seat_id = p.seat_id;
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

-- C2 for several orders whose payments were captured, each all or nothing: an order is confirmed when it is the one that
-- was claimed (its version), still paying, its payment capturing and of its total, and every seat of it its own, paying
-- and of its price. Returns those that were. Locks: orders, payments, seats, customers, each sorted; a hold takes its
-- seats before its customers too.
CREATE FUNCTION confirm_orders(
  p_order uuid[], p_version bigint[], p_payment uuid[], p_capture text[], p_issued timestamptz[], p_message uuid[],
  p_body text[], p_trace text[], k_order uuid[], k_seat bigint[], k_ticket uuid[], p_signer text
) RETURNS uuid[] LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  locked uuid[];
  whole uuid[];
  issued int;
  expected int;
BEGIN
  SELECT array_agg(o.order_id) INTO locked FROM (
    SELECT o.order_id FROM unnest(p_order, p_version) r(id, version)
      JOIN orders o ON o.order_id = r.id AND o.version = r.version AND o.state = 'paying' AND o.ticket_types IS NULL
     ORDER BY o.order_id FOR UPDATE OF o) o;

  WITH captured AS MATERIALIZED (
    SELECT p.order_id FROM unnest(p_order, p_payment) r(id, payment_id)
      JOIN payments p ON p.payment_id = r.payment_id AND p.order_id = r.id
      JOIN orders o ON o.order_id = p.order_id
     WHERE p.order_id = ANY (locked) AND p.state = 'capturing' AND p.total_minor = o.total_minor
       AND p.currency = o.currency
     ORDER BY p.payment_id FOR UPDATE OF p),
  own AS MATERIALIZED (
    SELECT o.order_id, s.price_minor
      FROM captured c JOIN orders o USING (order_id) CROSS JOIN unnest(o.seat_ids) w(seat_id)
      JOIN event_seats s ON s.event_id = o.event_id AND s.seat_id = w.seat_id
     WHERE s.order_id = o.order_id AND s.state = 'paying'
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s)
  SELECT array_agg(w.order_id), sum(w.n_seats) INTO whole, expected FROM (
    SELECT o.order_id, o.n_seats FROM own s JOIN orders o USING (order_id)
     GROUP BY o.order_id, o.n_seats, o.total_minor
    HAVING count(*) = o.n_seats AND sum(s.price_minor) = o.total_minor) w;
  IF whole IS NULL THEN
    RETURN '{}';
  END IF;
  PERFORM 1 FROM customer_limits l
    WHERE (l.event_id, l.user_id) IN (SELECT o.event_id, o.user_id FROM orders o WHERE o.order_id = ANY (whole))
    ORDER BY l.event_id, l.user_id FOR UPDATE;

  UPDATE payments p SET state = 'captured', captured_minor = p.total_minor, capture_ref = r.capture_ref,
         tried_at = clock_timestamp()
    FROM unnest(p_payment, p_capture) r(payment_id, capture_ref)
   WHERE p.payment_id = r.payment_id AND p.order_id = ANY (whole);
  UPDATE event_seats s SET state = 'sold' FROM unnest(k_order, k_seat) k(order_id, seat_id)
   WHERE k.order_id = ANY (whole) AND s.event_id = k.seat_id >> 20 AND s.seat_id = k.seat_id
     AND s.order_id = k.order_id AND s.state = 'paying';
  INSERT INTO tickets (ticket_id, event_id, seat_id, order_id, user_id, price_minor, currency, state, key_id, issued_at)
  SELECT k.ticket_id, s.event_id, s.seat_id, o.order_id, o.user_id, s.price_minor, s.currency, 'valid', p_signer, r.at
    FROM unnest(k_order, k_seat, k_ticket) k(order_id, seat_id, ticket_id)
    JOIN unnest(p_order, p_issued) r(id, at) ON r.id = k.order_id
    JOIN orders o ON o.order_id = k.order_id
    JOIN event_seats s ON s.event_id = k.seat_id >> 20 AND s.seat_id = k.seat_id AND s.order_id = k.order_id
   WHERE k.order_id = ANY (whole) AND s.state = 'sold';
  GET DIAGNOSTICS issued = ROW_COUNT;
  IF issued IS DISTINCT FROM expected THEN
    RAISE EXCEPTION 'tickets and seats differ' USING ERRCODE = 'BX099';
  END IF;
  UPDATE orders SET state = 'confirmed', version = version + 1, confirmed_at = clock_timestamp()
   WHERE order_id = ANY (whole);
  INSERT INTO ledger_entries (posting_id, order_id, account, value_minor, currency)
  SELECT p.payment_id, p.order_id, e.account, e.sign * p.total_minor, p.currency
    FROM unnest(p_payment) r(id) JOIN payments p ON p.payment_id = r.id
   CROSS JOIN (VALUES ('provider', 1), ('revenue', -1)) e(account, sign)
   WHERE p.order_id = ANY (whole);
  INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
  SELECT r.message_id, 'sales.order.v1', r.id::text, 'sales.order.confirmed', r.version + 1, r.body::jsonb, r.trace
    FROM unnest(p_order, p_version, p_message, p_body, p_trace) r(id, version, message_id, body, trace)
   WHERE r.id = ANY (whole);
  UPDATE customer_limits l SET held = l.held - b.places, spent_seconds = greatest(0, l.spent_seconds - b.seconds)
    FROM (SELECT event_id, user_id, sum(n_seats)::int AS places,
                 sum(n_seats * ceil(extract(epoch FROM hold_expires_at - hold_started_at))::bigint)::bigint AS seconds
            FROM orders WHERE order_id = ANY (whole) GROUP BY event_id, user_id) b
   WHERE l.event_id = b.event_id AND l.user_id = b.user_id;
  RETURN whole;
END $$;
