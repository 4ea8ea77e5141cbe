-- Placing and expiring holds: reliability section 4.5 R and the sweeper. A refusal raises BX0nn with its context as JSON
-- in DETAIL and rolls back alone: BX001 no such event, BX002 not on sale, BX003 seats unknown, BX004 seats taken,
-- BX005 limit reached, BX006 idempotency key reused, BX007 not enough seats, BX008 sale halted.

-- Decimals of a currency: the list of kernel/money.py (a test compares the two).
CREATE FUNCTION currency_exponent(code text) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN code IN ('CLP','ISK','JPY','KRW','PYG','UGX','VND','XAF','XOF','XPF') THEN 0
    WHEN code IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN 3
    ELSE 2 END
$$;

CREATE FUNCTION decimal_price(minor bigint, code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE currency_exponent(code)
    WHEN 0 THEN minor::text
    WHEN 3 THEN (minor / 1000)::text || '.' || lpad((minor % 1000)::text, 3, '0')
    ELSE (minor / 100)::text || '.' || lpad((minor % 100)::text, 2, '0') END
$$;

CREATE FUNCTION rfc3339(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Whether a seat may be held now. Only the database's own clock decides (never now(), which is stale after a wait).
CREATE FUNCTION is_open(state text, hold_expires_at timestamptz) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp())
$$;

CREATE FUNCTION event_summary(terms event_terms) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object('eventId', terms.event_id, 'name', terms.name, 'startsAt', rfc3339(terms.starts_at),
    'endsAt', rfc3339(terms.ends_at), 'timeZone', terms.time_zone, 'venueName', terms.venue_name,
    'venueLocation', terms.venue_location)
$$;

-- The places of an order as sales.order.v1 tells them.
CREATE FUNCTION order_places(p_event bigint, p_seats bigint[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_agg(jsonb_build_object('seatId', s.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number,
           'price', decimal_price(s.price_minor, s.currency), 'priceLevel', l.price_level) ORDER BY s.seat_id)
    FROM event_seats s JOIN event_seat_labels l USING (event_id, seat_id)
   WHERE s.event_id = p_event AND s.seat_id = ANY (p_seats)
$$;

-- End holds that ran out (anybody's, or one customer's for one event); returns how many. Hygiene: a hold that ran out
-- can be taken over by anybody without this. Sorted by customer, so that two sweepers never wait for each other in a circle.
CREATE FUNCTION expire_holds(p_user uuid, p_event bigint, p_most int, p_trace text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  due orders;
  ended int := 0;
BEGIN
  FOR due IN
    WITH mine AS MATERIALIZED (
      SELECT * FROM orders
       WHERE state = 'held' AND hold_expires_at <= clock_timestamp()
         AND (p_user IS NULL OR (user_id = p_user AND event_id = p_event))
       ORDER BY hold_expires_at LIMIT p_most FOR UPDATE SKIP LOCKED)
    SELECT * FROM mine ORDER BY event_id, user_id, order_id
  LOOP
    -- Seats that somebody took over meanwhile carry another order: they are not ours to free.
    UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL, fence = fence + 1
     WHERE event_id = due.event_id AND seat_id = ANY (due.seat_ids) AND order_id = due.order_id AND state = 'held';
    UPDATE customer_limits SET n = n - due.n_seats WHERE event_id = due.event_id AND user_id = due.user_id;
    UPDATE orders SET state = 'released', version = version + 1, ended_at = clock_timestamp(), released_because = 'expired'
     WHERE order_id = due.order_id;
    INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
    SELECT gen_random_uuid(), 'sales.order.v1', due.order_id::text, 'sales.order.released', due.version + 1,
           jsonb_build_object('orderId', due.order_id, 'userId', due.user_id, 'state', 'released',
             'event', event_summary(t), 'tickets', order_places(due.event_id, due.seat_ids),
             'total', decimal_price(due.total_minor, due.currency), 'currency', due.currency, 'reason', 'expired'), p_trace
      FROM event_terms t WHERE t.event_id = due.event_id;
    ended := ended + 1;
  END LOOP;
  RETURN ended;
END $$;

-- Say why chosen seats cannot be held: ids that are no seats of the event, else those that were not ours to take.
CREATE FUNCTION refuse_seats(p_event bigint, p_wanted bigint[], p_took bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  unknown jsonb;
  taken jsonb;
BEGIN
  SELECT jsonb_agg(w.id ORDER BY w.id) INTO unknown FROM unnest(p_wanted) w(id)
   WHERE NOT EXISTS (SELECT 1 FROM event_seats s WHERE s.event_id = p_event AND s.seat_id = w.id);
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'seats unknown' USING ERRCODE = 'BX003', DETAIL = jsonb_build_object('ticketIds', unknown)::text;
  END IF;
  SELECT jsonb_agg(jsonb_build_object('ticketId', l.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number)
                   ORDER BY l.seat_id) INTO taken
    FROM event_seat_labels l JOIN event_seats s USING (event_id, seat_id)
   WHERE l.event_id = p_event AND l.seat_id = ANY (p_wanted)
     AND CASE WHEN p_took IS NULL THEN NOT is_open(s.state, s.hold_expires_at) ELSE NOT l.seat_id = ANY (p_took) END;
  -- Contested: one of them is still free, only locked by another request, which may yet fail. Worth one more try.
  RAISE EXCEPTION 'seats taken' USING ERRCODE = 'BX004', DETAIL = jsonb_build_object('taken', coalesce(taken, '[]'),
    'contested', p_took IS NOT NULL AND EXISTS (SELECT 1 FROM event_seats s WHERE s.event_id = p_event
      AND s.seat_id = ANY (p_wanted) AND NOT s.seat_id = ANY (p_took) AND is_open(s.state, s.hold_expires_at)))::text;
END $$;

-- Choose places and lock them: in reading order, or (p_together) side by side in one block, the front rows first and in
-- a row the run nearest its middle. Returns fewer than asked for when there are not enough.
CREATE FUNCTION choose_seats(p_event bigint, p_quantity int, p_level text, p_together boolean) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
  run bigint[];
  locked bigint[];
BEGIN
  IF NOT p_together THEN
    RETURN ARRAY (
      SELECT s.seat_id FROM event_seats s
       WHERE s.event_id = p_event AND is_open(s.state, s.hold_expires_at)
         AND (p_level IS NULL OR EXISTS (SELECT 1 FROM event_seat_labels l
               WHERE l.event_id = p_event AND l.seat_id = s.seat_id AND l.price_level = p_level))
       ORDER BY s.seat_id LIMIT p_quantity FOR UPDATE SKIP LOCKED);
  END IF;
  -- A run that somebody else is just taking is passed over; after a few the buyer is told, rather than kept waiting.
  FOR run IN
    WITH places AS MATERIALIZED (
      SELECT l.seat_id, l.section, l.row_label, l.block, l.position,
             min(l.seat_id) OVER (PARTITION BY l.section, l.row_label) AS row_start,
             avg(l.seat_id) OVER (PARTITION BY l.section, l.row_label) AS middle,
             is_open(s.state, s.hold_expires_at) AND (p_level IS NULL OR l.price_level = p_level) AS open
        FROM event_seat_labels l JOIN event_seats s USING (event_id, seat_id) WHERE l.event_id = p_event),
    islands AS (
      SELECT *, position - row_number() OVER (PARTITION BY section, row_label, block ORDER BY position) AS island
        FROM places WHERE open),
    runs AS (
      SELECT array_agg(seat_id) OVER w AS ids, row_start, middle, avg(seat_id) OVER w AS centre
        FROM islands
      WINDOW w AS (PARTITION BY section, row_label, block, island ORDER BY position
                   ROWS BETWEEN CURRENT ROW AND 7 FOLLOWING))
    SELECT ids[1\:p_quantity] FROM runs WHERE cardinality(ids) >= p_quantity
     ORDER BY row_start, abs(ids[1] + (p_quantity - 1) / 2.0 - middle), ids[1] LIMIT 5
  LOOP
    SELECT array_agg(seat_id) INTO locked FROM (
      SELECT seat_id FROM event_seats
       WHERE event_id = p_event AND seat_id = ANY (run) AND is_open(state, hold_expires_at)
       ORDER BY seat_id FOR UPDATE SKIP LOCKED) free;
    IF cardinality(locked) = p_quantity THEN
      RETURN locked;
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

-- Place a hold: all or nothing, in one call. Returns the answer as it goes out, byte for byte the same for a repeat of
-- the idempotency key. p_seats names the seats, or is NULL and p_quantity (p_level, p_together) lets us choose.
-- Every statement goes by primary key, so one plan fits all; planning anew for each call costs more than the hold itself.
CREATE FUNCTION place_hold(
  p_user uuid, p_event bigint, p_seats bigint[], p_quantity int, p_level text, p_together boolean,
  p_order uuid, p_key text, p_route text, p_fingerprint bytea, p_trace text
) RETURNS bytea LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  terms event_terms;
  earlier idempotency_keys;
  wanted bigint[] := p_seats;
  places int := coalesce(cardinality(p_seats), p_quantity);
  expires timestamptz;
  took bigint[];
  sum_minor bigint;
  unit text;
  shown jsonb;
  told jsonb;
  answer bytea;
BEGIN
  IF p_key IS NOT NULL THEN
    INSERT INTO idempotency_keys (principal, key, route, fingerprint) VALUES (p_user, p_key, p_route, p_fingerprint)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT * INTO STRICT earlier FROM idempotency_keys WHERE principal = p_user AND key = p_key;
      IF earlier.route <> p_route OR earlier.fingerprint <> p_fingerprint THEN
        RAISE EXCEPTION 'key reused' USING ERRCODE = 'BX006';
      END IF;
      RETURN earlier.body;
    END IF;
  END IF;

  SELECT * INTO terms FROM event_terms WHERE event_id = p_event;
  IF NOT FOUND OR terms.status IN ('draft', 'deleted') THEN
    RAISE EXCEPTION 'no such event' USING ERRCODE = 'BX001';
  ELSIF terms.halted_because IS NOT NULL THEN
    RAISE EXCEPTION 'halted' USING ERRCODE = 'BX008';
  ELSIF terms.status <> 'published' OR clock_timestamp() < terms.on_sale_at
     OR clock_timestamp() >= coalesce(terms.off_sale_at, terms.starts_at) THEN
    RAISE EXCEPTION 'not on sale' USING ERRCODE = 'BX002', DETAIL = jsonb_build_object('eventStatus', terms.status,
      'onSaleAt', rfc3339(terms.on_sale_at), 'offSaleAt', rfc3339(coalesce(terms.off_sale_at, terms.starts_at)))::text;
  END IF;

  -- An early no: most who lose on a hot event lose here, before they have written or locked anything.
  IF wanted IS NOT NULL AND places <> (SELECT count(*) FROM event_seats
      WHERE event_id = p_event AND seat_id = ANY (wanted) AND is_open(state, hold_expires_at)) THEN
    PERFORM refuse_seats(p_event, wanted, NULL);
  END IF;

  INSERT INTO customer_limits AS l (event_id, user_id, n, cap)
  SELECT p_event, p_user, places, terms.limit_per_customer WHERE places <= terms.limit_per_customer
  ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n + EXCLUDED.n, cap = EXCLUDED.cap
    WHERE l.n + EXCLUDED.n <= EXCLUDED.cap;
  IF NOT FOUND THEN
    -- The customer's own holds that ran out do not count: end them now instead of waiting for the sweeper.
    PERFORM expire_holds(p_user, p_event, 100, p_trace);
    UPDATE customer_limits SET n = n + places, cap = terms.limit_per_customer
     WHERE event_id = p_event AND user_id = p_user AND n + places <= terms.limit_per_customer;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'limit reached' USING ERRCODE = 'BX005', DETAIL = jsonb_build_object(
        'limitPerCustomer', terms.limit_per_customer, 'requested', places, 'alreadyHeldOrBought',
        coalesce((SELECT n FROM customer_limits WHERE event_id = p_event AND user_id = p_user), 0))::text;
    END IF;
  END IF;

  IF wanted IS NULL THEN
    wanted := choose_seats(p_event, p_quantity, p_level, p_together);
    IF cardinality(wanted) IS DISTINCT FROM p_quantity THEN
      RAISE EXCEPTION 'not enough seats' USING ERRCODE = 'BX007';
    END IF;
  END IF;

  expires := clock_timestamp() + make_interval(secs => terms.hold_seconds);
  WITH open AS (
    SELECT seat_id FROM event_seats
     WHERE event_id = p_event AND seat_id = ANY (wanted)
       AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()))
     ORDER BY seat_id FOR UPDATE SKIP LOCKED),
  mine AS (
    UPDATE event_seats s SET state = 'held', order_id = p_order, hold_expires_at = expires, fence = s.fence + 1
      FROM open o WHERE s.event_id = p_event AND s.seat_id = o.seat_id
    RETURNING s.seat_id, s.price_minor, s.currency)
  SELECT array_agg(m.seat_id ORDER BY m.seat_id), sum(m.price_minor), min(m.currency),
         jsonb_agg(jsonb_build_object('ticketId', m.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number,
           'price', decimal_price(m.price_minor, m.currency), 'currency', m.currency, 'priceLevel', l.price_level,
           'status', 'HELD', 'mark', l.mark) ORDER BY m.seat_id),
         jsonb_agg(jsonb_build_object('seatId', m.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number,
           'price', decimal_price(m.price_minor, m.currency), 'priceLevel', l.price_level) ORDER BY m.seat_id)
    INTO took, sum_minor, unit, shown, told
    FROM mine m JOIN event_seat_labels l ON l.event_id = p_event AND l.seat_id = m.seat_id;
  IF cardinality(took) IS DISTINCT FROM places THEN
    PERFORM refuse_seats(p_event, wanted, coalesce(took, '{}'));
  END IF;

  INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, total_minor, currency, hold_expires_at,
                      cancel_until, refund_percent)
  VALUES (p_order, p_event, p_user, 'held', places, took, sum_minor, unit, expires,
          terms.starts_at - make_interval(hours => terms.cancel_until_hours), terms.refund_percent);
  INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
  VALUES (gen_random_uuid(), 'sales.order.v1', p_order::text, 'sales.order.held', 0,
          jsonb_build_object('orderId', p_order, 'userId', p_user, 'state', 'held', 'event', event_summary(terms),
            'tickets', told, 'total', decimal_price(sum_minor, unit), 'currency', unit), p_trace);
  answer := convert_to(jsonb_build_object('bookingId', p_order, 'reservedTickets', shown, 'expiresAt', rfc3339(expires),
    'expiresInSeconds', terms.hold_seconds, 'total', decimal_price(sum_minor, unit), 'currency', unit)::text, 'UTF8');
  IF p_key IS NOT NULL THEN
    UPDATE idempotency_keys SET status = 201, body = answer WHERE principal = p_user AND key = p_key;
  END IF;
  RETURN answer;
END $$;
