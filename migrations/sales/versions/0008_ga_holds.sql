-- Holds of general admission: one by one (place_in_area, the reference) and those that wait together (gather_places).
-- Order of locks: orders that ran out (SKIP LOCKED, nobody waits), idempotency keys, customers (sorted), areas (sorted,
-- last: who holds one waits for nobody but the next). A request that finds no places has its limit undone in the same
-- transaction, so a refusal leaves no trace.

-- Orders of an event whose hold ran out, only of places in this area (or of these very places), enough to free p_missing
-- of them; locked, passing over those that somebody else is just ending or paying.
CREATE FUNCTION orders_run_out(p_event bigint, p_area text, p_seats bigint[], p_missing int) RETURNS uuid[]
LANGUAGE sql VOLATILE AS $$
  SELECT array_agg(due.order_id) FROM (
    SELECT o.order_id FROM orders o
     WHERE o.state = 'held' AND o.hold_expires_at <= clock_timestamp() AND o.event_id = p_event
       AND (p_seats IS NULL OR o.seat_ids && p_seats)
       AND o.n_seats = (SELECT coalesce(sum(g.n), 0) FROM ga_places_of(o.seat_ids) g)
       AND (p_area IS NULL OR EXISTS (SELECT FROM ga_places_of(o.seat_ids) g WHERE g.area = p_area))
     ORDER BY o.hold_expires_at LIMIT least(p_missing, 100) FOR UPDATE SKIP LOCKED) due
$$;

-- End orders whose hold ran out, all but giving their places back. The caller has locked them and their customers.
CREATE FUNCTION end_run_out(p_orders uuid[], p_trace text) RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH due AS MATERIALIZED (SELECT * FROM orders WHERE order_id = ANY (p_orders)),
  uncounted AS (
    UPDATE customer_limits l SET n = l.n - d.n, held = l.held - d.n
      FROM (SELECT event_id, user_id, sum(n_seats)::int AS n FROM due GROUP BY event_id, user_id) d
     WHERE l.event_id = d.event_id AND l.user_id = d.user_id),
  ended AS (
    UPDATE orders o SET state = 'released', version = o.version + 1, ended_at = clock_timestamp(), released_because = 'expired'
      FROM due d WHERE o.order_id = d.order_id)
  INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
  SELECT gen_random_uuid(), 'sales.order.v1', d.order_id::text, 'sales.order.released', d.version + 1,
         jsonb_build_object('orderId', d.order_id, 'userId', d.user_id, 'state', 'released', 'event', event_summary(t),
           'tickets', order_places(d.event_id, d.seat_ids), 'total', decimal_price(d.total_minor, d.currency),
           'currency', d.currency, 'reason', 'expired'), p_trace
    FROM due d JOIN event_terms t USING (event_id)
$$;

-- Lock customers of events in their order, those who never had anything too.
CREATE FUNCTION lock_customers(p_event bigint[], p_user uuid[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO customer_limits AS l (event_id, user_id, n, cap)
  SELECT DISTINCT c.event_id, c.user_id, 0, t.limit_per_customer
    FROM unnest(p_event, p_user) c(event_id, user_id) JOIN event_terms t ON t.event_id = c.event_id
   ORDER BY c.event_id, c.user_id
  ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n
$$;

-- Lock every area of these events in their order: who needs more than one record of them takes them like this.
CREATE FUNCTION lock_areas(p_events bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM ga_areas WHERE event_id = ANY (p_events) ORDER BY event_id, area FOR UPDATE;
END $$;

-- Refuse places named one by one: ids that are none, else those that others have.
CREATE FUNCTION refuse_places(p_event bigint, p_seats bigint[], p_contested boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  unknown jsonb;
  taken jsonb;
BEGIN
  SELECT jsonb_agg(w.id ORDER BY w.id) INTO unknown FROM unnest(p_seats) w(id)
   WHERE NOT EXISTS (SELECT FROM ga_places_of(ARRAY[w.id]) g WHERE g.event_id = p_event);
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'seats unknown' USING ERRCODE = 'BX003', DETAIL = jsonb_build_object('ticketIds', unknown)::text;
  END IF;
  SELECT jsonb_agg(jsonb_build_object('ticketId', p.seat_id, 'section', p.section, 'row', p.row_label, 'number', p.number)
                   ORDER BY p.seat_id) INTO taken
    FROM ga_listed(p_event, p_seats) p WHERE p.state <> 'free' OR p_contested;
  RAISE EXCEPTION 'seats taken' USING ERRCODE = 'BX004',
    DETAIL = jsonb_build_object('taken', coalesce(taken, '[]'), 'contested', p_contested)::text;
END $$;

-- Place a hold of general admission: so many places of an area (of the first area that has them, when none is named), or
-- these very places, all or nothing, in one call. The answer, the records and the refusals are those of place_hold.
CREATE FUNCTION place_in_area(
  p_user uuid, p_event bigint, p_seats bigint[], p_quantity int, p_area text,
  p_order uuid, p_key text, p_route text, p_fingerprint bytea, p_trace text, p_message uuid
) RETURNS bytea LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  terms event_terms;
  earlier idempotency_keys;
  want int := coalesce(cardinality(p_seats), p_quantity);
  chosen text;
  missing int := 0;
  due uuid[];
  expires timestamptz;
  got record;
  took bigint[] := p_seats;
  prices bigint[];
  sum_minor bigint;
  unit text;
  shown text;
  told text;
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
  ELSIF NOT is_on_sale(terms) THEN
    RAISE EXCEPTION 'not on sale' USING ERRCODE = 'BX002', DETAIL = jsonb_build_object('eventStatus', terms.status,
      'onSaleAt', rfc3339(terms.on_sale_at), 'offSaleAt', rfc3339(coalesce(terms.off_sale_at, terms.starts_at)))::text;
  END IF;

  -- A look without a lock: which area, and whether holds that ran out have to be ended to serve this. An early no: most
  -- who come when all is gone leave here, before they have waited for anybody.
  IF p_seats IS NULL THEN
    SELECT a.area, p_quantity - a.n_free INTO chosen, missing FROM ga_areas a LEFT JOIN ga_run_out(p_event) r ON r.area = a.area
     WHERE a.event_id = p_event AND (p_area IS NULL OR a.area = p_area)
     ORDER BY a.n_free + coalesce(r.n, 0) >= p_quantity DESC, a.first_place LIMIT 1;
    IF NOT FOUND OR p_quantity > (SELECT n_free FROM ga_areas WHERE event_id = p_event AND area = chosen)
        + coalesce((SELECT n FROM ga_run_out(p_event) r WHERE r.area = chosen), 0) THEN
      RAISE EXCEPTION 'not enough seats' USING ERRCODE = 'BX007';
    END IF;
  ELSIF want <> (SELECT count(*) FROM ga_listed(p_event, p_seats) p WHERE p.state = 'free') THEN
    PERFORM refuse_places(p_event, p_seats, false);
  ELSE
    SELECT want - coalesce(sum(places_in(a.free * g.places)), 0) INTO missing
      FROM ga_places_of(p_seats) g JOIN ga_areas a USING (event_id, area);
  END IF;
  IF missing > 0 THEN
    due := orders_run_out(p_event, chosen, p_seats, missing);
    PERFORM lock_customers(array_agg(c.event_id), array_agg(c.user_id)) FROM (
      SELECT event_id, user_id FROM orders WHERE order_id = ANY (due) UNION SELECT p_event, p_user) c;
  END IF;

  expires := count_places(p_event, p_user, want, terms.limit_per_customer, terms.hold_seconds);
  IF due IS NOT NULL OR expires IS NULL THEN
    PERFORM lock_areas(ARRAY[p_event]);
    PERFORM end_run_out(due, p_trace);
    PERFORM return_places(array_agg(s.id)) FROM orders o CROSS JOIN unnest(o.seat_ids) s(id) WHERE o.order_id = ANY (due);
  END IF;
  IF expires IS NULL THEN
    -- The customer's own holds that ran out do not count: end them now instead of waiting for the sweeper.
    PERFORM expire_holds(p_user, p_event, 100, p_trace);
    expires := count_places(p_event, p_user, want, terms.limit_per_customer, terms.hold_seconds);
    IF expires IS NULL THEN
      PERFORM refuse_count(p_event, p_user, want, terms.limit_per_customer, terms.hold_seconds);
    END IF;
  END IF;

  IF p_seats IS NULL THEN
    got := claim_places(p_event, chosen, ARRAY[want]);
    IF NOT got.granted[1] THEN
      -- Contested: somebody else is just ending a hold that ran out, and may leave some of its places.
      RAISE EXCEPTION 'not enough seats' USING ERRCODE = 'BX007', DETAIL = jsonb_build_object(
        'contested', EXISTS (SELECT FROM ga_run_out(p_event) r WHERE r.area = chosen))::text;
    END IF;
    took := ARRAY (SELECT p_event << 20 | place FROM unnest(got.places) place ORDER BY place);
  ELSIF NOT claim_these(p_seats) THEN
    PERFORM refuse_places(p_event, p_seats, EXISTS (
      SELECT FROM ga_run_out(p_event) r JOIN ga_places_of(p_seats) g USING (area) WHERE r.places && g.places));
  END IF;

  SELECT array_agg(a.price_minor ORDER BY s.id), sum(a.price_minor), min(a.currency),
         string_agg(shown_place(l, a.price_minor, a.currency), ',' ORDER BY s.id),
         string_agg(told_place(l, a.price_minor, a.currency), ',' ORDER BY s.id)
    INTO prices, sum_minor, unit, shown, told
    FROM unnest(took) s(id)
    JOIN ga_areas a ON a.event_id = p_event AND (s.id & 1048575) >= a.first_place
                   AND (s.id & 1048575) < a.first_place + a.capacity
    CROSS JOIN LATERAL ga_label(p_event, a.area, a.first_place, (s.id & 1048575)::int) l;
  INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                      hold_started_at, hold_expires_at, cancel_until, refund_percent)
  VALUES (p_order, p_event, p_user, 'held', want, took, prices, sum_minor, unit, clock_timestamp(), expires,
          terms.starts_at - make_interval(hours => terms.cancel_until_hours), terms.refund_percent);
  INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
  VALUES (p_message, 'sales.order.v1', p_order::text, 'sales.order.held', 0,
          hold_message(p_order, p_user, event_summary(terms)::text, told, sum_minor, unit)::jsonb, p_trace);
  answer := hold_answer(p_order, shown, expires, sum_minor, unit);
  IF p_key IS NOT NULL THEN
    UPDATE idempotency_keys SET status = 201, body = answer WHERE principal = p_user AND key = p_key;
  END IF;
  RETURN answer;
END $$;

-- Decide requests for so many places that were waiting, each all or nothing and in their order, in one transaction; one
-- refusal undoes nothing of its neighbours, and each area's record is written once. Request i is p_event[i], p_area[i]
-- (NULL: the first area that has them) …; a batch holds an idempotency key and a (customer, event) at most once.
-- Verdicts: 'placed' with the answer as place_in_area would give it; 'none' when there are not that many places;
-- 'contested' when holds that ran out are just being ended by others; 'alone' for whatever place_in_area must say.
CREATE FUNCTION gather_places(
  p_event bigint[], p_area text[], p_n int[], p_user uuid[], p_order uuid[], p_message uuid[], p_key text[],
  p_fingerprint bytea[], p_trace text[], p_route text
) RETURNS TABLE (req int, verdict text, answer bytea)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  w_req int[];
  w_area text[];
  hopeless int[];
  short record;
  due uuid[];
  l_req int[];
  l_until timestamptz[];
  one record;
  got record;
  g_req int[] := '{}';
  g_seat bigint[] := '{}';
  placed int[];
  answers bytea[];
  back int[];
BEGIN
  -- What can be decided here, and a look without a lock at the area that each will be served from.
  SELECT array_agg(r.req::int), array_agg(a.area) INTO w_req, w_area
    FROM unnest(p_event, p_area, p_n, p_user, p_key) WITH ORDINALITY r(event_id, area, n, user_id, key, req)
    JOIN event_terms t ON t.event_id = r.event_id
    CROSS JOIN LATERAL (
      SELECT a.area FROM ga_areas a WHERE a.event_id = r.event_id AND (r.area IS NULL OR a.area = r.area)
       ORDER BY a.n_free >= r.n DESC, a.first_place LIMIT 1) a
   WHERE is_on_sale(t) AND (r.key IS NULL
      OR (SELECT true FROM idempotency_keys i WHERE i.principal = r.user_id AND i.key = r.key) IS NULL);

  -- Where there is not enough, holds that ran out are ended here and now; and an early no to who would get nothing anyway.
  FOR short IN
    SELECT p_event[w.req] AS event_id, w.area, sum(p_n[w.req])::int - a.n_free AS missing
      FROM unnest(w_req, w_area) w(req, area) JOIN ga_areas a ON a.event_id = p_event[w.req] AND a.area = w.area
     GROUP BY p_event[w.req], w.area, a.n_free HAVING sum(p_n[w.req]) > a.n_free
  LOOP
    due := due || orders_run_out(short.event_id, short.area, NULL, short.missing);
    hopeless := hopeless || ARRAY (
      SELECT w.req FROM unnest(w_req, w_area) w(req, area)
       WHERE p_event[w.req] = short.event_id AND w.area = short.area AND p_n[w.req] > (
         SELECT a.n_free FROM ga_areas a WHERE a.event_id = short.event_id AND a.area = short.area)
         + coalesce((SELECT r.n FROM ga_run_out(short.event_id) r WHERE r.area = short.area), 0));
  END LOOP;
  IF hopeless <> '{}' THEN
    SELECT array_agg(w.req), array_agg(w.area) INTO w_req, w_area FROM unnest(w_req, w_area) w(req, area)
     WHERE NOT w.req = ANY (hopeless);
  END IF;
  IF due IS NOT NULL THEN
    PERFORM lock_customers(array_agg(c.event_id), array_agg(c.user_id)) FROM (
      SELECT o.event_id, o.user_id FROM orders o WHERE o.order_id = ANY (due)
      UNION SELECT p_event[w.req], p_user[w.req] FROM unnest(w_req) w(req)) c;
  END IF;

  WITH counted AS (
    INSERT INTO customer_limits AS l (event_id, user_id, n, cap, held, clock_until, spent_seconds)
    SELECT t.event_id, p_user[w.req], p_n[w.req], t.limit_per_customer, p_n[w.req],
           clock_timestamp() + make_interval(secs => t.hold_seconds), p_n[w.req]::bigint * t.hold_seconds
      FROM unnest(w_req) w(req) JOIN event_terms t ON t.event_id = p_event[w.req]
     WHERE p_n[w.req] <= t.limit_per_customer ORDER BY 1, 2
    ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n + EXCLUDED.n, cap = EXCLUDED.cap, held = l.held + EXCLUDED.n,
      clock_until = CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp() THEN l.clock_until ELSE EXCLUDED.clock_until END,
      spent_seconds = l.spent_seconds + CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp()
        THEN EXCLUDED.n * ceil(extract(epoch FROM l.clock_until - clock_timestamp()))::bigint ELSE EXCLUDED.spent_seconds END
      WHERE l.n + EXCLUDED.n <= EXCLUDED.cap
        AND l.spent_seconds + EXCLUDED.spent_seconds <= hold_budget(EXCLUDED.cap, (EXCLUDED.spent_seconds / EXCLUDED.n)::int)
    RETURNING l.event_id, l.user_id, l.clock_until)
  SELECT array_agg(w.req ORDER BY w.req), array_agg(k.clock_until ORDER BY w.req) INTO l_req, l_until
    FROM unnest(w_req) w(req) JOIN counted k ON k.event_id = p_event[w.req] AND k.user_id = p_user[w.req];

  IF due IS NOT NULL THEN
    PERFORM lock_areas(p_event);
    PERFORM end_run_out(due, p_trace[1]);
    PERFORM return_places(array_agg(s.id)) FROM orders o CROSS JOIN unnest(o.seat_ids) s(id) WHERE o.order_id = ANY (due);
  END IF;
  FOR one IN
    SELECT p_event[w.req] AS event_id, w.area, array_agg(w.req ORDER BY w.req) AS reqs,
           array_agg(p_n[w.req] ORDER BY w.req) AS wants
      FROM unnest(w_req, w_area) w(req, area) WHERE w.req = ANY (l_req)
     GROUP BY p_event[w.req], w.area ORDER BY 1, 2
  LOOP
    got := claim_places(one.event_id, one.area, one.wants);
    g_req := g_req || ARRAY (
      SELECT r.req FROM unnest(one.reqs, one.wants, got.granted) WITH ORDINALITY r(req, n, granted, at)
       CROSS JOIN generate_series(1, r.n) WHERE r.granted ORDER BY r.at);
    g_seat := g_seat || ARRAY (SELECT one.event_id << 20 | p.place FROM unnest(got.places) WITH ORDINALITY p(place, at) ORDER BY p.at);
  END LOOP;

  WITH won AS MATERIALIZED (
    SELECT w.req, w.until FROM unnest(l_req, l_until) w(req, until) WHERE w.req = ANY (g_req)),
  terms AS MATERIALIZED (
    SELECT t.event_id, event_summary(t)::text AS summary, t.refund_percent,
           t.starts_at - make_interval(hours => t.cancel_until_hours) AS cancel_until
      FROM event_terms t WHERE t.event_id IN (SELECT p_event[w.req] FROM won w)),
  place AS MATERIALIZED (
    SELECT g.req, g.seat_id, a.price_minor, a.currency,
           shown_place(l, a.price_minor, a.currency) AS shown, told_place(l, a.price_minor, a.currency) AS told
      FROM unnest(g_req, g_seat) g(req, seat_id)
      JOIN unnest(w_req, w_area) w(req, area) ON w.req = g.req
      JOIN ga_areas a ON a.event_id = g.seat_id >> 20 AND a.area = w.area
      CROSS JOIN LATERAL ga_label(a.event_id, a.area, a.first_place, (g.seat_id & 1048575)::int) l),
  whole_order AS MATERIALIZED (
    SELECT w.req, w.until, p_order[w.req] AS order_id, g.seat_ids, g.prices, g.total, g.unit, g.told,
           hold_answer(p_order[w.req], g.shown, w.until, g.total, g.unit) AS answer
      FROM won w JOIN (
        SELECT p.req, array_agg(p.seat_id ORDER BY p.seat_id) AS seat_ids, array_agg(p.price_minor ORDER BY p.seat_id) AS prices,
               sum(p.price_minor)::bigint AS total, min(p.currency) AS unit,
               string_agg(p.shown, ',' ORDER BY p.seat_id) AS shown, string_agg(p.told, ',' ORDER BY p.seat_id) AS told
          FROM place p GROUP BY p.req) g ON g.req = w.req),
  keyed AS (
    INSERT INTO idempotency_keys (principal, key, route, fingerprint, status, body)
    SELECT p_user[o.req], p_key[o.req], p_route, p_fingerprint[o.req], 201, o.answer
      FROM whole_order o WHERE p_key[o.req] IS NOT NULL ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING principal, key),
  kept AS MATERIALIZED (
    SELECT o.* FROM whole_order o
     WHERE p_key[o.req] IS NULL OR EXISTS (SELECT FROM keyed k WHERE k.principal = p_user[o.req] AND k.key = p_key[o.req])),
  ordered AS (
    INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                        hold_started_at, hold_expires_at, cancel_until, refund_percent)
    SELECT o.order_id, p_event[o.req], p_user[o.req], 'held', p_n[o.req], o.seat_ids, o.prices, o.total, o.unit,
           clock_timestamp(), o.until, t.cancel_until, t.refund_percent
      FROM kept o JOIN terms t ON t.event_id = p_event[o.req] ORDER BY o.req),
  told AS (
    INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
    SELECT p_message[o.req], 'sales.order.v1', o.order_id::text, 'sales.order.held', 0,
           hold_message(o.order_id, p_user[o.req], t.summary, o.told, o.total, o.unit)::jsonb, p_trace[o.req]
      FROM kept o JOIN terms t ON t.event_id = p_event[o.req] ORDER BY o.req)
  SELECT array_agg(o.req), array_agg(o.answer) INTO placed, answers FROM kept o;

  -- Counted, but not placed: there were no places, or another process placed the same call meanwhile. Undo it.
  back := ARRAY (SELECT w.req FROM unnest(l_req) w(req) WHERE NOT w.req = ANY (coalesce(placed, '{}')));
  IF back <> '{}' THEN
    UPDATE customer_limits l SET n = l.n - p_n[w.req], held = l.held - p_n[w.req],
           spent_seconds = greatest(0, l.spent_seconds - p_n[w.req] * ceil(extract(epoch FROM w.until - clock_timestamp()))::bigint)
      FROM unnest(l_req, l_until) w(req, until)
     WHERE w.req = ANY (back) AND l.event_id = p_event[w.req] AND l.user_id = p_user[w.req];
    PERFORM return_places(array_agg(g.seat_id)) FROM unnest(g_req, g_seat) g(req, seat_id) WHERE g.req = ANY (back);
  END IF;

  RETURN QUERY SELECT p.req, 'placed', p.answer FROM unnest(placed, answers) p(req, answer);
  RETURN QUERY SELECT w.req, 'none', NULL::bytea FROM unnest(hopeless) w(req);
  RETURN QUERY
    SELECT w.req, CASE WHEN EXISTS (SELECT FROM ga_run_out(p_event[w.req]) r WHERE r.area = w.area) THEN 'contested' ELSE 'none' END,
           NULL::bytea
      FROM unnest(w_req, w_area) w(req, area) WHERE w.req = ANY (back) AND NOT w.req = ANY (g_req);
END $$;
